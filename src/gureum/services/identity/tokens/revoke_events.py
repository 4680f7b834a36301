"""GET /v3/OS-REVOKE/events: what was revoked, for services that check tokens themselves.

Source: identity API reference, OS-REVOKE.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from gureum.foundation import clock
from gureum.foundation.http import filters
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route
from gureum.foundation.policy import Rule
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.fields import CLOUD
from gureum.services.identity.listing import collection
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


def index(call: Call[IdentityDeps]) -> dict[str, Any]:
    statement = select(Revocation).where(Revocation.kind.in_(_NAMES)).order_by(Revocation.id)
    if (since := call.param("since")) is not None:
        statement = statement.where(Revocation.created_at >= filters.moment("since", since))
    events = [
        {_NAMES[row.kind]: row.value, "issued_before": clock.iso_micro(clock.from_seconds(row.before))}
        for row in call.tx.scalars(statement)
    ]
    return collection(call, "events", events)


ROUTES = (Route("GET", "/v3/OS-REVOKE/events", index, "identity:list_revoke_events", query=("since",)),)
