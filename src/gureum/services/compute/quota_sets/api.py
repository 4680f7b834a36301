"""Routes of quota sets and quota classes.

Sources: compute API reference, "Quota sets (os-quota-sets)", "Quota class sets (os-quota-class-sets)".
The limits themselves are enforced where things are created (`Quotas.require`).
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType
from sqlalchemy import select

from gureum.foundation.errors import BadRequest
from gureum.foundation.http import filters
from gureum.foundation.http.call import Call
from gureum.foundation.http.microversions import Version
from gureum.foundation.http.routes import Route
from gureum.foundation.policy import Rule
from gureum.foundation.quota import EVERY_PROJECT, PROJECT_ITSELF, UNLIMITED
from gureum.services.compute.deps import ComputeDeps
from gureum.services.compute.pages import CLOSED
from gureum.services.compute.quota_sets.model import QuotaClassLimit
from gureum.services.compute.quotas import QUOTAS
from gureum.services.compute.words import Flag

_SETS = "os_compute_api:os-quota-sets:"
_CLASSES = "os_compute_api:os-quota-class-sets:"
READER = "rule:project_reader_or_admin"

RULES = (
    Rule(_SETS + "show", READER, "Show the quotas of a project"),
    Rule(_SETS + "detail", READER, "Show the quotas of a project beside its use"),
    Rule(
        _SETS + "defaults", "rule:any_authenticated", "Show the default quotas", unbounded="the same for every project"
    ),
    Rule(_SETS + "update", "rule:admin", "Change the quotas of a project"),
    Rule(_SETS + "delete", "rule:admin", "Give a project the default quotas again"),
    Rule(_CLASSES + "show", "rule:admin", "Show a class of quotas; the default class is every project's default"),
    Rule(_CLASSES + "update", "rule:admin", "Change a class of quotas"),
)

NETWORK = ("fixed_ips", "floating_ips", "security_groups", "security_group_rules")
INJECTED = ("injected_files", "injected_file_content_bytes", "injected_file_path_bytes")
DEFAULT_CLASS = "default"
MAX_ID = 36
MAX_CLASS_NAME = 255
Limit = Annotated[int, Meta(ge=-1, le=2**31 - 1)] | Annotated[str, Meta(pattern=r"^-?[0-9]{1,10}\Z")]
MaybeLimit = Limit | UnsetType


class Lasting(Struct, forbid_unknown_fields=True, kw_only=True):
    """The quotas that every microversion has."""

    instances: MaybeLimit = UNSET
    cores: MaybeLimit = UNSET
    ram: MaybeLimit = UNSET
    metadata_items: MaybeLimit = UNSET
    key_pairs: MaybeLimit = UNSET
    server_groups: MaybeLimit = UNSET
    server_group_members: MaybeLimit = UNSET


class WithFiles(Lasting, forbid_unknown_fields=True, kw_only=True):
    """Until 2.56."""

    injected_files: MaybeLimit = UNSET
    injected_file_content_bytes: MaybeLimit = UNSET
    injected_file_path_bytes: MaybeLimit = UNSET


class WithNetwork(WithFiles, forbid_unknown_fields=True, kw_only=True):
    """Until 2.35 for sets, 2.49 for classes."""

    fixed_ips: MaybeLimit = UNSET
    floating_ips: MaybeLimit = UNSET
    security_groups: MaybeLimit = UNSET
    security_group_rules: MaybeLimit = UNSET


class SetV21(WithNetwork, forbid_unknown_fields=True, kw_only=True):
    tenant_id: str | UnsetType = UNSET
    force: Flag = False


class SetV236(WithFiles, forbid_unknown_fields=True, kw_only=True):
    tenant_id: str | UnsetType = UNSET
    force: Flag = False


class SetV257(Lasting, forbid_unknown_fields=True, kw_only=True):
    tenant_id: str | UnsetType = UNSET
    force: Flag = False


class UpdateV21(Struct, forbid_unknown_fields=True):
    quota_set: SetV21


class UpdateV236(Struct, forbid_unknown_fields=True):
    quota_set: SetV236


class UpdateV257(Struct, forbid_unknown_fields=True):
    quota_set: SetV257


class ClassV21(Struct, forbid_unknown_fields=True):
    quota_class_set: WithNetwork


class ClassV250(Struct, forbid_unknown_fields=True):
    quota_class_set: WithFiles


class ClassV257(Struct, forbid_unknown_fields=True):
    quota_class_set: Lasting


# -- projects' sets ----------------------------------------------------------------------------------------


def show(call: Call[ComputeDeps], project_id: str) -> dict[str, Any]:
    call.enforce(project_id=project_id)
    _check(call, project_id)
    return {"quota_set": {"id": project_id, **_shown(call, _limits(call, project_id, _user(call)))}}


def detail(call: Call[ComputeDeps], project_id: str) -> dict[str, Any]:
    call.enforce(project_id=project_id)
    _check(call, project_id)
    user_id = _user(call)
    used = call.deps.quotas.usage(call.tx, project_id, user_id or PROJECT_ITSELF)
    limits = _shown(call, _limits(call, project_id, user_id))
    rows = {name: {"limit": limit, "in_use": used.get(name, 0), "reserved": 0} for name, limit in limits.items()}
    return {"quota_set": {"id": project_id, **rows}}


def defaults(call: Call[ComputeDeps], project_id: str) -> dict[str, Any]:
    _check(call, project_id)
    return {"quota_set": {"id": project_id, **_shown(call, call.deps.quotas.limits(call.tx, EVERY_PROJECT))}}


def update(call: Call[ComputeDeps], body: Any, project_id: str) -> dict[str, Any]:
    _check(call, project_id)
    user_id = _user(call)
    changes = _changes(body.quota_set)
    force = body.quota_set.force
    if not (force if isinstance(force, bool) else filters.boolean("force", force)):
        _check_bounds(call, project_id, user_id, changes)
    call.deps.quotas.set_limits(call.tx, project_id, changes, user_id)
    return {"quota_set": _shown(call, _limits(call, project_id, user_id))}


def delete(call: Call[ComputeDeps], project_id: str) -> None:
    """Back to the defaults: of one user, or of the project and everyone in it."""
    call.deps.quotas.clear_limits(call.tx, project_id, _user(call))


def _user(call: Call[Any]) -> str | None:
    """The user whose quotas are asked for, or None for those of the project. Raises BadRequest."""
    user_id = call.param("user_id")
    if user_id is not None and not 1 <= len(user_id) <= MAX_ID:  # an empty one must not mean the whole project
        raise BadRequest(f"Invalid input for query parameter user_id: it has 1 to {MAX_ID} characters.")
    return user_id


def _limits(call: Call[ComputeDeps], project_id: str, user_id: str | None) -> dict[str, int]:
    return call.deps.quotas.limits(call.tx, project_id, user_id or PROJECT_ITSELF)


def _check_bounds(call: Call[ComputeDeps], project_id: str, user_id: str | None, changes: dict[str, int]) -> None:
    """A limit covers what is in use, and that of a project covers those of its users together. Raises BadRequest."""
    quotas, tx = call.deps.quotas, call.tx
    used = quotas.usage(tx, project_id, user_id or PROJECT_ITSELF)
    of_users = quotas.users_limits_together(tx, project_id)
    of_project = quotas.limits(tx, project_id)
    own = quotas.users_own_limits(tx, project_id, user_id) if user_id else {}
    for name, limit in changes.items():
        least = used.get(name, 0) if user_id else max(used.get(name, 0), of_users.get(name, 0))
        if limit != UNLIMITED and limit < least:
            raise BadRequest(
                f"Quota limit {limit} for {name} must be greater than or equal to already used and reserved {least}."
            )
        if user_id and of_project[name] != UNLIMITED:
            most = of_project[name] - of_users.get(name, 0) + max(own.get(name, 0), 0)
            if limit == UNLIMITED or limit > most:
                raise BadRequest(f"Quota limit {limit} for {name} must be less than or equal to {most}.")


def _changes(given: Lasting) -> dict[str, int]:
    """What the body sets, as numbers. Raises BadRequest."""
    found = {}
    for name in QUOTAS.defaults:
        value = getattr(given, name, UNSET)
        if value is UNSET:
            continue
        found[name] = int(value)
        if not UNLIMITED <= found[name] <= 2**31 - 1:
            raise BadRequest(f"Invalid input for field/attribute {name}: {value} is not in -1 to {2**31 - 1}.")
    return found


def _check(call: Call[ComputeDeps], project_id: str) -> None:
    if call.deps.identity.project(call.tx, project_id) is None:
        raise BadRequest(f"Project ID {project_id[:64]} is not a valid project.")


def _shown(call: Call[Any], limits: dict[str, int], network_until: Version = (2, 36)) -> dict[str, int]:
    hidden: tuple[str, ...] = ()
    if call.version >= network_until:
        hidden += NETWORK
    if call.version >= (2, 57):
        hidden += INJECTED
    return {name: limit for name, limit in limits.items() if name not in hidden}


# -- classes -----------------------------------------------------------------------------------------------


def show_class(call: Call[ComputeDeps], name: str) -> dict[str, Any]:
    return {"quota_class_set": {"id": name, **_class(call, name)}}


def update_class(call: Call[ComputeDeps], body: Any, name: str) -> dict[str, Any]:
    if len(name) > MAX_CLASS_NAME:
        raise BadRequest(f"quota_class_name has {len(name)} characters, more than {MAX_CLASS_NAME}.")
    changes = _changes(body.quota_class_set)
    if name == DEFAULT_CLASS:
        call.deps.quotas.set_limits(call.tx, EVERY_PROJECT, changes)
    else:
        for resource, limit in changes.items():
            call.tx.merge(QuotaClassLimit(class_name=name, resource=resource, limit=limit))
    call.tx.flush()
    return {"quota_class_set": _class(call, name)}


def _class(call: Call[ComputeDeps], name: str) -> dict[str, int]:
    if name == DEFAULT_CLASS:
        limits = call.deps.quotas.limits(call.tx, EVERY_PROJECT)
    else:
        rows = call.tx.scalars(select(QuotaClassLimit).where(QuotaClassLimit.class_name == name))
        limits = {**QUOTAS.defaults} | {row.resource: row.limit for row in rows}
    shown = _shown(call, limits, (2, 50))
    if not call.at_least(2, 50):
        del shown["server_groups"], shown["server_group_members"]
    return shown


_ONE = "/v2.1/os-quota-sets/{project_id}"
_CLASS = "/v2.1/os-quota-class-sets/{name}"
_BODIES = {(2, 1): UpdateV21, (2, 36): UpdateV236, (2, 57): UpdateV257}
_CLASS_BODIES = {(2, 1): ClassV21, (2, 50): ClassV250, (2, 57): ClassV257}
_USER = ("user_id",)
ROUTES = (
    Route("GET", _ONE, show, _SETS + "show", target="handler", query=_USER, closed=CLOSED),
    Route("GET", _ONE + "/detail", detail, _SETS + "detail", target="handler", query=_USER, closed=CLOSED),
    Route("GET", _ONE + "/defaults", defaults, _SETS + "defaults"),
    Route("PUT", _ONE, update, _SETS + "update", body=_BODIES, query=_USER, closed=CLOSED),
    Route("DELETE", _ONE, delete, _SETS + "delete", 202, query=_USER, closed=CLOSED),
    Route("GET", _CLASS, show_class, _CLASSES + "show"),
    Route("PUT", _CLASS, update_class, _CLASSES + "update", body=_CLASS_BODIES),
)
