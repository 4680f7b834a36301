"""What clients are shown of a user, beside the properties that its client chose."""

from __future__ import annotations

from datetime import datetime

from msgspec import UNSET, Struct, UnsetType

from gureum.foundation import clock
from gureum.foundation.http.call import Call
from gureum.foundation.http.views import Extended, JsonValue, View
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.listing import SelfLink, self_link
from gureum.services.identity.users.compliance import Standing, is_enabled
from gureum.services.identity.users.model import User

ShownOptions = dict[str, bool | list[list[str]]]


class UserRow(Struct, frozen=True, gc=False):
    """What lists read of a user."""

    id: str
    name: str
    domain_id: str
    enabled: bool
    password_expires_at: datetime | None
    options: ShownOptions
    description: str | None
    email: str | None
    default_project_id: str | None
    last_active_at: datetime | None
    created_at: datetime
    extra: dict[str, JsonValue]


class UserView(View):
    id: str
    name: str
    domain_id: str
    enabled: bool
    password_expires_at: str | None
    options: ShownOptions
    links: SelfLink
    description: str | UnsetType = UNSET
    email: str | UnsetType = UNSET
    default_project_id: str | UnsetType = UNSET


def view_of(call: Call[IdentityDeps], row: User | UserRow, now: datetime | None = None) -> Extended[UserView]:
    """A user as lists and its own page show it. A list asks for the time once."""
    standing = Standing(row.enabled, row.options, row.created_at, last_active_at=row.last_active_at)
    view = UserView(
        row.id,
        row.name,
        row.domain_id,
        is_enabled(call.deps.options, standing, now or clock.utcnow()),
        clock.iso_micro(row.password_expires_at, ""),
        row.options,
        self_link(call, "users", row.id),
        _set(row.description),
        _set(row.email),
        _set(row.default_project_id),
    )
    return Extended(view, row.extra)


def _set(text: str | None) -> str | UnsetType:
    """The text, or UNSET: a user's page leaves out what the user does not have."""
    return UNSET if text is None else text
