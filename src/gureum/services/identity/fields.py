"""Field types and small checks that identity's nouns share."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from gureum.foundation.errors import BadRequest, Conflict, Forbidden
from gureum.foundation.http.call import Call
from gureum.foundation.http.views import JsonValue, fields_shown
from gureum.foundation.policy import Scope
from gureum.services.identity.deps import IdentityDeps

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


SHOWN_ONLY = frozenset({"id", "links"})
"""What every resource is shown with and no body sets: a client that sends it back changes nothing."""


def extra_of(
    properties: Mapping[str, JsonValue],
    known: Collection[str] = SHOWN_ONLY,
    present: Mapping[str, JsonValue] | None = None,
) -> dict[str, JsonValue]:
    """What the reference lets a client add: any property that is not `known`, stored and shown as it came.

    A change adds to those that are `present`; the bound is on all of them, or changes would pass it. Raises BadRequest.
    """
    changed = {name: value for name, value in properties.items() if name not in known}
    extra = {**(present or {}), **changed}
    if changed and len(msgspec.json.encode(extra)) > 16_384:
        raise BadRequest("The additional attributes are larger than 16 KiB.")
    return extra


class ResourceOptions(Struct, forbid_unknown_fields=True, frozen=True):
    """The options of projects, domains and roles as a body has them; null takes one away."""

    immutable: bool | UnsetType | None = UNSET


class ResourceChange(Struct):
    """What all changes of projects, domains and roles have."""

    options: ResourceOptions | UnsetType = UNSET


ShownOptions = dict[str, bool]
"""The options that a project, domain or role has."""


def check_mutable(
    kind: str,
    options: Mapping[str, JsonValue],
    change: ResourceChange | None = None,
    properties: Mapping[str, JsonValue] | None = None,
) -> None:
    """Raises Forbidden for a change or deletion of what is immutable, unless the change lifts just that.

    `properties` are those that the change has beside its fields.
    """
    if options.get("immutable") is True and (change is None or properties or not _lifts_immutable(change)):
        raise Forbidden(f"Cannot change or delete the {kind}: it is immutable. Lift its immutable option first.")


def _lifts_immutable(change: ResourceChange) -> bool:
    lifts = change.options is not UNSET and change.options.immutable in (False, None)
    return lifts and set(fields_shown(change)) == {"options"}


def options_of(present: Mapping[str, JsonValue], change: Struct | UnsetType) -> dict[str, JsonValue]:
    """Options after a change: null removes one."""
    if change is UNSET:
        return dict(present)
    return {name: value for name, value in {**present, **fields_shown(change)}.items() if value is not None}


def taken(kind: str, name: str) -> Conflict:
    return Conflict(f"Conflict occurred attempting to store {kind} - Duplicate entry found with name {name}.")


def scope_domain(call: Call[IdentityDeps]) -> str:
    """The domain that a new project, user or group goes to when the request names none."""
    caller = call.caller
    return caller.domain_id or caller.project_domain_id or "default"
