"""Field types and small checks that identity's nouns share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct

from gureum.foundation.errors import BadRequest, Conflict, Forbidden
from gureum.foundation.http.call import Call
from gureum.foundation.policy import Scope
from gureum.foundation.shapes import converted

ProjectName = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"\S")]
LongName = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"\S")]
IdText = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9-]+\Z")]
Description = Annotated[str, Meta(max_length=65535)] | None
Tag = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[^,/]*\Z")]

ADMIN = "rule:admin_required"
ADMIN_OR_SYSTEM_READER = "rule:admin_required or (role:reader and system_scope:all)"
CLOUD: tuple[Scope, ...] = ("system", "project")
"""The scopes of rules for what belongs to the whole cloud: its administrators hold admin on the system or a project."""
LOOKED_UP_FIRST = f"{ADMIN} and not scope:domain"
"""For what belongs to the cloud, where the reference answers 404 to everybody before it asks who may: the rule is for
every scope, so that a handler gets to look, and is true for the cloud's administrators alone."""
PERSONAL: tuple[Scope, ...] = ("system", "project", "unscoped")
"""The scopes of rules for a user's own secrets and delegations, which no token of a domain touches."""


def extra_of(
    body: Mapping[str, Any], known: frozenset[str], present: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What the reference lets a client add: any other attribute, stored and shown as it came.

    A change adds to those that are `present`; the bound is on all of them, or changes would pass it. Raises BadRequest.
    """
    changed = {key: value for key, value in body.items() if key not in known}
    extra = {**(present or {}), **changed}
    if changed and len(msgspec.json.encode(extra)) > 16_384:
        raise BadRequest("The additional attributes are larger than 16 KiB.")
    return extra


def typed(kind: Any, body: Mapping[str, Any]) -> Any:
    """The known part of an open body as its type. Raises BadRequest."""
    try:
        return converted(body, kind)
    except msgspec.ValidationError as error:
        raise BadRequest(f"Invalid input: {str(error).replace('`$.', '`').replace('`$`', 'the body')}") from error


def is_immutable(options: Mapping[str, Any]) -> bool:
    return options.get("immutable") is True


def check_mutable(kind: str, options: Mapping[str, Any], change: Mapping[str, Any] | None = None) -> None:
    """Raises Forbidden for a change or deletion of what is immutable, unless the change lifts just that."""
    lifts = change is not None and (change.get("options") or {}).get("immutable", True) in (False, None)
    if is_immutable(options) and not (lifts and change is not None and set(change) == {"options"}):
        raise Forbidden(f"Cannot change or delete the {kind}: it is immutable. Lift its immutable option first.")


class ResourceOptions(Struct, forbid_unknown_fields=True):
    """The options of projects, domains and roles; null takes one away."""

    immutable: bool | None = None


def options_of(kind: Any, present: Mapping[str, Any], change: Any) -> dict[str, Any]:
    """Options after a change, which is checked against the closed type `kind`: null removes one."""
    if change is UNSET or change is None:
        return dict(present)
    typed(kind, change)
    merged = {**present, **change}
    return {key: value for key, value in merged.items() if value is not None}


def merged_options(present: Mapping[str, Any], change: Any) -> dict[str, Any]:
    """The options of a project, domain or role after a change."""
    return options_of(ResourceOptions, present, change)


def taken(kind: str, name: str) -> Conflict:
    return Conflict(f"Conflict occurred attempting to store {kind} - Duplicate entry found with name {name}.")


def scope_domain(call: Call[Any]) -> str:
    """The domain that a new project, user or group goes to when the request names none."""
    caller = call.caller
    return caller.domain_id or caller.project_domain_id or "default"
