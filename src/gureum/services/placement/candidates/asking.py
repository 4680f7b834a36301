"""The query of GET /allocation_candidates as a request to the solver, refused where its microversion refuses it.

Source: placement API reference, "List allocation candidates"; version history 1.10 to 1.39.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache

from sqlalchemy import select

from gureum.foundation.db.engine import Tx
from gureum.foundation.errors import BadRequest
from gureum.foundation.http.call import Call
from gureum.foundation.http.microversions import Version
from gureum.services.placement import names
from gureum.services.placement.answers import BAD_VALUE, DUPLICATE_KEY, MISSING_VALUE, MOST, dashed
from gureum.services.placement.candidates.solver import Group, Request
from gureum.services.placement.model import Provider
from gureum.services.placement.queries import (
    ANY_TRAITS,
    Traits,
    in_force,
    membership_of,
    resources_of,
    several,
    traits_of,
)

_GROUPED: dict[str, Version] = {
    "resources": (1, 10),
    "required": (1, 17),
    "member_of": (1, 21),
    "in_tree": (1, 31),
}
_SINGLE: dict[str, Version] = {
    "limit": (1, 16),
    "group_policy": (1, 25),
    "root_required": (1, 35),
    "same_subtree": (1, 36),
}
PARAMETERS = (*_GROUPED, *_SINGLE)
"""Those of groups take a suffix too."""
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_SUFFIX = re.compile(r"[a-zA-Z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Asked:
    request: Request
    limit: int | None
    resource_classes: frozenset[str]
    trait_names: frozenset[str]


def asked_of(call: Call[None]) -> Asked:
    """Raises BadRequest."""
    query = _parsed(tuple(call.query), call.version)
    if unknown := names.unknown_classes(call.tx, query.resource_classes):
        raise BadRequest(f"Invalid resource class in resources parameter: No such resource class {unknown[0]}.")
    names.check_traits(call.tx, query.trait_names)
    if any(group.tree is not None for group in query.request.groups):
        groups = tuple(_rooted(call.tx, group) for group in query.request.groups)
        return replace(query, request=replace(query.request, groups=groups))
    return query


@lru_cache(maxsize=256)
def _parsed(query: tuple[tuple[str, str], ...], version: Version) -> Asked:
    """What the query says, whatever the tables hold: groups still name any member of their tree. Raises BadRequest.

    Kept, for clients ask for the same flavors again and again.
    """
    grouped, single = _sorted_out(query, version)
    groups = [_group(suffix, values, version) for suffix, values in sorted(grouped.items())]
    if not any(group.resources for group in groups):
        raise BadRequest("Invalid query string parameters: 'resources' is a required property", code=MISSING_VALUE)
    root = traits_of(single.get("root_required", []), version) if "root_required" in single else Traits()
    subtrees = tuple(_subtree(text, {group.suffix for group in groups}) for text in single.get("same_subtree", []))
    _check_resourceless(groups, subtrees)
    request = Request(tuple(groups), _isolated(single, groups), root, subtrees)
    classes = frozenset(name for group in groups for name in group.resources)
    traits = frozenset(name for group in groups for name in group.traits.names()) | root.names()
    return Asked(request, _limit(single), classes, traits)


def _sorted_out(
    query: tuple[tuple[str, str], ...], version: Version
) -> tuple[dict[str, dict[str, list[str]]], dict[str, list[str]]]:
    """suffix -> parameter -> values, and the parameters that stand for themselves."""
    grouped: dict[str, dict[str, list[str]]] = {}
    single: dict[str, list[str]] = {}
    for name, value in query:
        if name in _SINGLE and version >= _SINGLE[name]:
            single.setdefault(name, []).append(value)
            continue
        plain, suffix = _split(name, version)
        if plain is None:
            raise BadRequest(
                f"Invalid query string parameters: Additional properties are not allowed ({name[:64]!r} was unexpected)"
            )
        grouped.setdefault(suffix, {}).setdefault(plain, []).append(value)
    if len(single.get("root_required", ())) > 1:
        raise BadRequest("Query parameter 'root_required' may be specified only once.", code=DUPLICATE_KEY)
    return grouped, single


def _split(name: str, version: Version) -> tuple[str | None, str]:
    """`resources_NET1` -> ("resources", "_NET1"): numbers since 1.25, names since 1.33."""
    for plain, since in _GROUPED.items():
        if not name.startswith(plain) or version < since:
            continue
        suffix = name.removeprefix(plain)
        if not suffix:
            return plain, ""
        form = _SUFFIX if version >= (1, 33) else _NUMBER
        if version >= (1, 25) and form.fullmatch(suffix):
            return plain, suffix
    return None, ""


def _group(suffix: str, values: dict[str, list[str]], version: Version) -> Group:
    if "resources" not in values and not (suffix and version >= (1, 36)):
        what = f"Resources are needed for the request group {suffix!r}: 'resources' is a required property"
        raise BadRequest(f"Invalid query string parameters: {what}", code=MISSING_VALUE)
    tree = values.get("in_tree")
    return Group(
        suffix,
        resources_of(values["resources"][-1]) if "resources" in values else {},
        traits_of(in_force(values.get("required", []), version, ANY_TRAITS), version),
        membership_of(several(values.get("member_of", []), version), version),
        dashed(tree[-1]) if tree else None,
    )


def _rooted(tx: Tx, group: Group) -> Group:
    """The group with the root of its tree; an unknown provider's tree holds nothing."""
    if group.tree is None:
        return group
    root_id = tx.scalar(select(Provider.root_id).where(Provider.id == group.tree))
    return replace(group, tree=root_id or group.tree)


def _subtree(text: str, known: set[str]) -> frozenset[str]:
    wanted = frozenset(suffix.strip() for suffix in text.split(","))
    missing = wanted - known
    if "" in wanted or missing:
        raise BadRequest(f"Real suffixes should be specified in 'same_subtree'. Got: {text[:128]}", code=BAD_VALUE)
    return wanted


def _check_resourceless(groups: list[Group], subtrees: tuple[frozenset[str], ...]) -> None:
    for group in groups:
        if not group.resources and not any(group.suffix in together for together in subtrees):
            raise BadRequest(
                f"The request group {group.suffix!r} needs resources, or a same_subtree that names it.",
                code=BAD_VALUE,
            )


def _isolated(single: dict[str, list[str]], groups: list[Group]) -> bool:
    policy = single.get("group_policy", [None])[0]
    if policy not in (None, "none", "isolate"):
        raise BadRequest("Invalid query string parameters: group_policy must be none or isolate.", code=BAD_VALUE)
    if policy is None and len([group for group in groups if group.suffix and group.resources]) > 1:
        raise BadRequest(
            'The "group_policy" parameter is required when specifying more than one "resources{N}" parameter.'
        )
    return policy == "isolate"


def _limit(single: dict[str, list[str]]) -> int | None:
    if "limit" not in single:
        return None
    text = single["limit"][0]
    if not re.fullmatch(r"[1-9][0-9]{0,9}", text):
        raise BadRequest(f"Invalid query string parameters: Failed validating 'pattern' for limit: {text[:32]!r}")
    return min(int(text), MOST)
