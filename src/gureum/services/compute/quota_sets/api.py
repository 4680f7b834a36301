"""Routes of quota sets and quota classes.

Sources: compute API reference, "Quota sets (os-quota-sets)", "Quota class sets (os-quota-class-sets)".
The limits themselves are enforced where things are created (`Quotas.require`).
"""

from __future__ import annotations

from msgspec import UNSET
from sqlalchemy import select

from gureum.foundation.errors import BadRequest
from gureum.foundation.http import filters
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route
from gureum.foundation.policy import Rule
from gureum.foundation.quota import EVERY_PROJECT, PROJECT_ITSELF, UNLIMITED
from gureum.services.compute.deps import ComputeDeps
from gureum.services.compute.pages import CLOSED
from gureum.services.compute.quota_sets.bodies import (
    NewQuotaClass,
    NewQuotaSet,
    QuotaClassView,
    QuotaSetDetail,
    QuotaSetView,
    QuotaUse,
    limits_of,
)
from gureum.services.compute.quota_sets.model import QuotaClassLimit
from gureum.services.compute.quotas import QUOTAS

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

DEFAULT_CLASS = "default"
MAX_ID = 36
MAX_CLASS_NAME = 255


# -- projects' sets ----------------------------------------------------------------------------------------


def show(call: Call[ComputeDeps], project_id: str) -> QuotaSetView:
    call.enforce(project_id=project_id)
    _check(call, project_id)
    return QuotaSetView(id=project_id, **_limits(call, project_id, _user(call)))


def detail(call: Call[ComputeDeps], project_id: str) -> QuotaSetDetail:
    call.enforce(project_id=project_id)
    _check(call, project_id)
    user_id = _user(call)
    used = call.deps.quotas.usage(call.tx, project_id, user_id or PROJECT_ITSELF)
    limits = _limits(call, project_id, user_id)
    return QuotaSetDetail(id=project_id, **{name: QuotaUse(limit, used.get(name, 0)) for name, limit in limits.items()})


def defaults(call: Call[ComputeDeps], project_id: str) -> QuotaSetView:
    _check(call, project_id)
    return QuotaSetView(id=project_id, **call.deps.quotas.limits(call.tx, EVERY_PROJECT))


def update(call: Call[ComputeDeps], body: NewQuotaSet, project_id: str) -> QuotaSetView:
    _check(call, project_id)
    user_id = _user(call)
    changes = limits_of(body)
    if not (body.force if isinstance(body.force, bool) else filters.boolean("force", body.force)):
        _check_bounds(call, project_id, user_id, changes)
    call.deps.quotas.set_limits(call.tx, project_id, changes, user_id)
    return QuotaSetView(id=UNSET, **_limits(call, project_id, user_id))


def delete(call: Call[ComputeDeps], project_id: str) -> None:
    """Back to the defaults: of one user, or of the project and everyone in it."""
    call.deps.quotas.clear_limits(call.tx, project_id, _user(call))


def _user(call: Call[ComputeDeps]) -> str | None:
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


def _check(call: Call[ComputeDeps], project_id: str) -> None:
    if call.deps.identity.project(call.tx, project_id) is None:
        raise BadRequest(f"Project ID {project_id[:64]} is not a valid project.")


# -- classes -----------------------------------------------------------------------------------------------


def show_class(call: Call[ComputeDeps], name: str) -> QuotaClassView:
    return QuotaClassView(id=name, **_class(call, name))


def update_class(call: Call[ComputeDeps], body: NewQuotaClass, name: str) -> QuotaClassView:
    if len(name) > MAX_CLASS_NAME:
        raise BadRequest(f"quota_class_name has {len(name)} characters, more than {MAX_CLASS_NAME}.")
    changes = limits_of(body)
    if name == DEFAULT_CLASS:
        call.deps.quotas.set_limits(call.tx, EVERY_PROJECT, changes)
    else:
        for resource, limit in changes.items():
            call.tx.merge(QuotaClassLimit(class_name=name, resource=resource, limit=limit))
    call.tx.flush()
    return QuotaClassView(id=UNSET, **_class(call, name))


def _class(call: Call[ComputeDeps], name: str) -> dict[str, int]:
    if name == DEFAULT_CLASS:
        return call.deps.quotas.limits(call.tx, EVERY_PROJECT)
    rows = call.tx.scalars(select(QuotaClassLimit).where(QuotaClassLimit.class_name == name))
    return {**QUOTAS.defaults} | {row.resource: row.limit for row in rows}


_ONE = "/v2.1/os-quota-sets/{project_id}"
_CLASS = "/v2.1/os-quota-class-sets/{name}"
_DETAIL = _SETS + "detail"
_SET = "quota_set"
_CLASS_SET = "quota_class_set"
_USER = ("user_id",)
ROUTES = (
    Route("GET", _ONE, show, _SETS + "show", envelope=_SET, target="handler", query=_USER, closed=CLOSED),
    Route(
        "GET", _ONE + "/detail", detail, _SETS + "detail", envelope=_SET, target="handler", query=_USER, closed=CLOSED
    ),
    Route("GET", _ONE + "/defaults", defaults, _SETS + "defaults", envelope=_SET),
    Route("PUT", _ONE, update, _SETS + "update", body=NewQuotaSet, envelope=_SET, query=_USER, closed=CLOSED),
    Route("DELETE", _ONE, delete, _SETS + "delete", 202, query=_USER, closed=CLOSED),
    Route("GET", _CLASS, show_class, _CLASSES + "show", envelope=_CLASS_SET),
    Route("PUT", _CLASS, update_class, _CLASSES + "update", body=NewQuotaClass, envelope=_CLASS_SET),
)
