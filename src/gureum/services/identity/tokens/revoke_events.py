"""GET /v3/OS-REVOKE/events: what was revoked, for services that check tokens themselves.

Source: identity API reference, OS-REVOKE.
"""

from __future__ import annotations

from msgspec import UNSET, UnsetType
from sqlalchemy import select

from gureum.foundation import clock
from gureum.foundation.http import filters
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route
from gureum.foundation.http.views import Listed, View
from gureum.foundation.policy import Rule
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.fields import CLOUD
from gureum.services.identity.listing import whole
from gureum.services.identity.tokens import revocations
from gureum.services.identity.tokens.revocations import Revocation

RULES = (Rule("identity:list_revoke_events", "rule:admin_required or role:service", "List revocation events", CLOUD),)
_NAMES = {
    revocations.AUDIT: "audit_id",
    revocations.CHAIN: "audit_chain_id",
    revocations.USER: "user_id",
    revocations.PROJECT: "project_id",
    revocations.DOMAIN: "domain_id",
}
"""Kinds of revocations as events name them; the others only say that what was remembered is stale."""


class RevocationEvent(View):
    """One of the ids says what was revoked, of tokens that were made before a moment."""

    issued_before: str
    audit_id: str | UnsetType = UNSET
    audit_chain_id: str | UnsetType = UNSET
    user_id: str | UnsetType = UNSET
    project_id: str | UnsetType = UNSET
    domain_id: str | UnsetType = UNSET


def index(call: Call[IdentityDeps]) -> Listed[RevocationEvent]:
    statement = select(Revocation).where(Revocation.kind.in_(_NAMES)).order_by(Revocation.id)
    if (since := call.param("since")) is not None:
        statement = statement.where(Revocation.created_at >= filters.moment("since", since))
    events = [
        RevocationEvent(clock.iso_micro(clock.from_seconds(row.before)), **{_NAMES[row.kind]: row.value})
        for row in call.tx.scalars(statement)
    ]
    return whole(call, events)


_AT = "/v3/OS-REVOKE/events"
ROUTES = (Route("GET", _AT, index, "identity:list_revoke_events", envelope="events", query=("since",)),)
