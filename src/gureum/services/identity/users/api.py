"""Routes of users. Source: identity API reference, "Users".

Passwords are hashed before the transaction begins: hashing is slow on purpose.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from datetime import datetime
from typing import Any

from msgspec import UNSET
from sqlalchemy import and_, select, true
from sqlalchemy import delete as delete_from

from gureum.foundation import clock, ids
from gureum.foundation.db.engine import Tx
from gureum.foundation.errors import BadRequest
from gureum.foundation.http import filters
from gureum.foundation.http.call import Call
from gureum.foundation.http.collections import Condition
from gureum.foundation.http.routes import PUBLIC, Route, Runs
from gureum.foundation.http.views import Extended, Listed
from gureum.foundation.policy import EVERY_SCOPE, Rule
from gureum.services.identity import listing
from gureum.services.identity.assignments.authority import check_reach
from gureum.services.identity.assignments.model import Assignment
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.events import UserDeleted
from gureum.services.identity.fields import (
    ADMIN,
    ADMIN_OR_SYSTEM_READER,
    SHOWN_ONLY,
    extra_of,
    options_of,
    scope_domain,
    taken,
)
from gureum.services.identity.finding import existing, existing_domain
from gureum.services.identity.listing import declared, in_domain, query, whole
from gureum.services.identity.projects.hierarchy import projects_of
from gureum.services.identity.projects.views import ProjectView
from gureum.services.identity.projects.views import view_of as project_view
from gureum.services.identity.tokens import revocations
from gureum.services.identity.users import compliance
from gureum.services.identity.users.bodies import NewUser, UserChange
from gureum.services.identity.users.model import User
from gureum.services.identity.users.own_password import OwnPassword, change_own_password, store_password
from gureum.services.identity.users.views import UserRow, UserView, view_of

IN_DOMAIN = " or (role:manager and domain_id:%(target.user.domain_id)s)"
READ_DOMAIN = " or (role:reader and domain_id:%(target.user.domain_id)s)"
OMITTED = " or (role:admin and domain_id:%(target.user.omitted_domain_id)s)"
OWN = " or user_id:%(target.user.id)s"
RULES = (
    Rule("identity:get_user", ADMIN_OR_SYSTEM_READER + READ_DOMAIN + OWN, "Show a user", scopes=EVERY_SCOPE),
    Rule(
        "identity:list_users",
        ADMIN_OR_SYSTEM_READER + " or (role:reader and domain_id:%(target.domain_id)s)",
        "List users",
        scopes=EVERY_SCOPE,
    ),
    Rule("identity:create_user", ADMIN + IN_DOMAIN + OMITTED, "Create a user", scopes=EVERY_SCOPE),
    Rule("identity:update_user", ADMIN + IN_DOMAIN, "Update a user", scopes=EVERY_SCOPE),
    Rule("identity:delete_user", ADMIN + IN_DOMAIN, "Delete a user", scopes=EVERY_SCOPE),
    Rule(
        "identity:list_user_projects",
        ADMIN_OR_SYSTEM_READER + READ_DOMAIN + OWN,
        "List a user's projects",
        scopes=EVERY_SCOPE,
    ),
)
_NEVER_KEPT = SHOWN_ONLY | {"password_expires_at", "original_password"}
"""What is no property of the client's own, though no body sets it."""


def find(call: Call[IdentityDeps], user_id: str, rule: str | None = None) -> User:
    row = call.tx.get(User, user_id)
    call.enforce(
        rule, **{"target.user.id": row.id if row else None, "target.user.domain_id": row.domain_id if row else None}
    )
    return existing(row, "user", user_id)


def create(call: Call[IdentityDeps], body: Extended[NewUser]) -> Extended[UserView]:
    new = body.fields
    domain_id = new.domain_id or scope_domain(call)
    omitted = None if new.domain_id else domain_id
    call.enforce(**{"target.user.domain_id": new.domain_id, "target.user.omitted_domain_id": omitted})
    options = options_of({}, new.options)
    if new.password is not None:
        compliance.check_strength(call.deps.options, new.password)
    hashed = call.deps.passwords.hash(new.password) if new.password is not None else None
    now = clock.utcnow()

    def write(tx: Tx) -> Extended[UserView]:
        existing_domain(tx, domain_id)
        if tx.scalar(select(User.id).where(User.domain_id == domain_id, User.is_named(new.name))):
            raise taken("user", new.name)
        row = User(
            id=ids.new_hex(),
            name=new.name,
            domain_id=domain_id,
            default_project_id=new.default_project_id,
            description=new.description,
            email=new.email,
            enabled=new.enabled,
            password_hash=hashed,
            password_set_at=now if hashed else None,
            password_expires_at=compliance.expiry(call.deps.options, options, now, self_set=False) if hashed else None,
            password_self_set=False,
            failed_count=0,
            created_at=now,
            options=options,
            extra=extra_of(body.extra, _NEVER_KEPT),
        )
        tx.add(row)
        return view_of(call, row)

    return call.database.write(write)


_COMPARED: dict[str, Callable[[Any, datetime], Condition]] = {
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
    "eq": operator.eq,
    "neq": operator.ne,
}


def expiring(values: list[str]) -> Condition:
    """The condition of `password_expires_at=operator:time`, each time that it is given."""
    conditions: list[Condition] = [true()]
    for value in values:
        how, _, text = value.partition(":")
        if how not in _COMPARED:
            raise BadRequest(f"password_expires_at: {how[:16]!r} is none of {', '.join(_COMPARED)}.")
        moment = filters.moment("password_expires_at", text)
        conditions.append(_COMPARED[how](User.password_expires_at, moment))
    return and_(*conditions)


_USERS = declared(
    "users",
    User,
    {
        "name": User.name,
        "domain_id": User.domain_id,
        "enabled": User.enabled,
        "id": User.id,
    },
    UserRow,
    special={"password_expires_at": lambda _call, values: expiring(values)},
    reach=in_domain(User.domain_id),
)


def index(call: Call[IdentityDeps]) -> Listed[Extended[UserView]]:
    call.enforce(**{"target.domain_id": call.caller.domain_id})
    now = clock.utcnow()
    return listing.index(call, _USERS, lambda call, row: view_of(call, row, now))


def show(call: Call[IdentityDeps], user_id: str) -> Extended[UserView]:
    return view_of(call, find(call, user_id))


def update(call: Call[IdentityDeps], body: Extended[UserChange], user_id: str) -> Extended[UserView]:
    fields = body.fields
    with call.database.read() as tx:
        call.tx = tx
        check_reach(call, find(call, user_id))
    password = fields.password if fields.password is not UNSET else None
    if password is not None:
        compliance.check_strength(call.deps.options, password)
    hashed = call.deps.passwords.hash(password) if password is not None else None

    def write(tx: Tx) -> Extended[UserView]:
        call.tx = tx
        row = find(call, user_id)
        check_reach(call, row)
        _apply(call, row, fields, hashed)
        row.extra = extra_of(body.extra, _NEVER_KEPT, row.extra)
        return view_of(call, row)

    return call.database.write(write)


def _apply(call: Call[IdentityDeps], row: User, wanted: UserChange, hashed: str | None) -> None:
    events = call.deps.tokens.revocations
    if wanted.domain_id is not UNSET and wanted.domain_id != row.domain_id:
        raise BadRequest("The domain_id of a user may not be changed.")
    if wanted.name is not UNSET and wanted.name != row.name:
        others = (User.domain_id == row.domain_id, User.id != row.id)
        if call.tx.scalar(select(User.id).where(*others, User.is_named(wanted.name))):
            raise taken("user", wanted.name)
        row.name = wanted.name
    for name in ("description", "email", "default_project_id"):
        if (value := getattr(wanted, name)) is not UNSET:
            setattr(row, name, value)
    row.options = options_of(row.options, wanted.options)
    if wanted.password is not UNSET:
        store_password(call.tx, call.deps, row, hashed, self_set=False)
    if wanted.enabled is not UNSET:
        if wanted.enabled:
            row.failed_count, row.failed_at, row.last_active_at = 0, None, clock.utcnow()
        was, row.enabled = row.enabled, wanted.enabled
        if was and not row.enabled:
            events.add(call.tx, revocations.USER, row.id)
    events.add(call.tx, revocations.STALE_USER, row.id)


def delete(call: Call[IdentityDeps], user_id: str) -> None:
    row = find(call, user_id)
    check_reach(call, row)
    call.deps.tokens.revocations.add(call.tx, revocations.USER, row.id)
    mine = (Assignment.actor_kind == "user", Assignment.actor_id == row.id)
    call.tx.execute(delete_from(Assignment).where(*mine))
    call.tx.execute(delete_from(User).where(User.id == row.id))
    call.deps.events.emit(call.tx, UserDeleted(row.id, row.domain_id))


def list_projects(call: Call[IdentityDeps], user_id: str) -> Listed[Extended[ProjectView]]:
    find(call, user_id)
    return whole(call, [project_view(call, row) for row in projects_of(call.tx, user_id)])


_ALL = "/v3/users"
_ONE = _ALL + "/{user_id}"
ROUTES = (
    Route("GET", _ALL, index, "identity:list_users", target="handler", envelope="users", query=query(_USERS)),
    Route(
        "POST",
        _ALL,
        create,
        "identity:create_user",
        201,
        body=Extended[NewUser],
        envelope="user",
        target="handler",
        transaction="none",
    ),
    Route("GET", _ONE, show, "identity:get_user", target="handler", envelope="user"),
    Route(
        "PATCH",
        _ONE,
        update,
        "identity:update_user",
        body=Extended[UserChange],
        envelope="user",
        target="handler",
        transaction="none",
    ),
    Route("DELETE", _ONE, delete, "identity:delete_user", 204, target="handler"),
    Route(
        "POST",
        _ONE + "/password",
        change_own_password,
        PUBLIC,
        204,
        body=OwnPassword,
        envelope="user",
        transaction="none",
        runs=Runs.LOGIN,
        also=(401,),
    ),
    Route(
        "GET",
        _ONE + "/projects",
        list_projects,
        "identity:list_user_projects",
        target="handler",
        envelope="projects",
    ),
)
