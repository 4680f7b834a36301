"""Routes of trusts. Source: identity API reference, OS-TRUST.

A trust is made by its trustor alone. A delegated token makes one only by passing its own trust on, or, for an
application credential, when it is unrestricted: and then for its own project and roles at most.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from gureum.foundation import clock, ids
from gureum.foundation.errors import BadRequest, Forbidden, NotFound
from gureum.foundation.http import filters
from gureum.foundation.http.call import Call
from gureum.foundation.http.collections import Condition
from gureum.foundation.http.routes import Route
from gureum.foundation.http.views import Extended, Listed
from gureum.foundation.policy import Rule
from gureum.services.identity import listing
from gureum.services.identity.assignments.model import ancestors, direct_roles, with_implied
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.fields import ADMIN_OR_SYSTEM_READER, PERSONAL
from gureum.services.identity.finding import existing, existing_project
from gureum.services.identity.listing import declared, query, whole
from gureum.services.identity.roles.model import GLOBAL, Role
from gureum.services.identity.tokens import revocations
from gureum.services.identity.trusts.bodies import NewTrust
from gureum.services.identity.trusts.model import Trust, chain_of
from gureum.services.identity.trusts.rules import Parent, Wanted, terms
from gureum.services.identity.trusts.views import (
    TrustRole,
    TrustRow,
    TrustView,
    WholeTrust,
    role_view,
    view_of,
    whole_view,
)
from gureum.services.identity.users.model import User

_TRUSTOR = " or user_id:%(target.trust.trustor_user_id)s"
_TRUSTEE = " or user_id:%(target.trust.trustee_user_id)s"
_SEES = ADMIN_OR_SYSTEM_READER + _TRUSTOR + _TRUSTEE
RULES = (
    Rule("identity:create_trust", "user_id:%(target.trust.trustor_user_id)s", "Create a trust", scopes=PERSONAL),
    Rule("identity:list_trusts", ADMIN_OR_SYSTEM_READER, "List all trusts", scopes=PERSONAL),
    Rule(
        "identity:list_trusts_for_trustor",
        ADMIN_OR_SYSTEM_READER + _TRUSTOR,
        "List the trusts that a user gave",
        scopes=PERSONAL,
    ),
    Rule(
        "identity:list_trusts_for_trustee",
        ADMIN_OR_SYSTEM_READER + _TRUSTEE,
        "List the trusts given to a user",
        scopes=PERSONAL,
    ),
    Rule("identity:get_trust", _SEES, "Show a trust", scopes=PERSONAL),
    Rule("identity:list_roles_for_trust", _SEES, "List the roles of a trust", scopes=PERSONAL),
    Rule("identity:get_role_for_trust", _SEES, "Show a role of a trust", scopes=PERSONAL),
    Rule("identity:delete_trust", "rule:admin_required" + _TRUSTOR, "Delete a trust", scopes=PERSONAL),
)


def _roles_of(call: Call[IdentityDeps], row: Trust) -> list[Role]:
    return list(call.tx.scalars(select(Role).where(Role.id.in_(row.role_ids)).order_by(Role.name)))


def create(call: Call[IdentityDeps], body: Extended[NewTrust]) -> WholeTrust:
    new = body.fields
    call.enforce(**{"target.trust.trustor_user_id": new.trustor_user_id})
    parent = _parent(call, new)
    role_ids = _roles(call, new)
    _check_sides(call, new, role_ids)
    request = Wanted(
        new.impersonation,
        frozenset(role_ids),
        _end(new),
        new.remaining_uses,
        new.allow_redelegation,
        new.redelegation_count,
    )
    chain = [_terms_of(link) for link in chain_of(call.tx, parent)] if parent else []
    agreed = terms(request, chain, deepest=call.deps.options.trust_depth)
    row = Trust(
        id=ids.new_hex(),
        trustor_id=new.trustor_user_id,
        trustee_id=new.trustee_user_id,
        project_id=new.project_id,
        impersonation=new.impersonation,
        role_ids=role_ids,
        expires_at=agreed.expires_at,
        remaining_uses=new.remaining_uses,
        redelegation_count=agreed.redelegation_count,
        redelegated_trust_id=parent.id if parent else None,
    )
    call.tx.add(row)
    return whole_view(call, row, _roles_of(call, row))


def _terms_of(row: Trust) -> Parent:
    return Parent(row.impersonation, frozenset(row.role_ids), row.expires_at, row.redelegation_count)


def _end(new: NewTrust) -> datetime | None:
    if new.expires_at is None:
        return None
    end = filters.moment("expires_at", new.expires_at)
    if end <= clock.utcnow():
        raise BadRequest("expires_at lies in the past.")
    return end


def _parent(call: Call[IdentityDeps], new: NewTrust) -> Trust | None:
    """The trust that the caller's token stands for: only that one can be passed on. Raises Forbidden."""
    caller = call.caller
    if caller.trust_id is None:
        _refuse_bound(call)
        if new.redelegated_trust_id is not None:
            raise Forbidden("A trust is redelegated with a token of that trust.")
        if caller.is_delegated and new.project_id != caller.project_id:
            raise Forbidden("A delegated token delegates its own project alone.")
        return None
    parent = call.tx.get(Trust, caller.trust_id)
    if parent is None or new.redelegated_trust_id not in (None, parent.id):
        raise Forbidden("A trust is redelegated with a token of that trust.")
    if new.project_id != parent.project_id:
        raise Forbidden("A redelegated trust is for the same project.")
    return parent


def _refuse_bound(call: Call[IdentityDeps]) -> None:
    """A delegated token handles trusts only as an application credential whose owner said `unrestricted`."""
    caller = call.caller
    if not caller.is_delegated:
        return
    credential = call.deps.tokens.facts.credential(caller.application_credential_id or "")
    if credential is None or not credential.unrestricted or credential.access_rules is not None:
        raise Forbidden("A delegated token may not manage trusts.")


def _roles(call: Call[IdentityDeps], new: NewTrust) -> list[str]:
    """The ids of the roles to lend. Raises Forbidden for none with a project, NotFound for what is no role."""
    if new.project_id is not None and not new.roles:
        raise Forbidden("At least one role should be specified.")
    if new.project_id is None and new.roles:
        raise BadRequest("A trust with roles needs a project_id.")
    found = set()
    for ref in new.roles:
        named = Role.id == ref.id if ref.id is not None else Role.is_named(ref.name or "")
        role_id = call.tx.scalar(select(Role.id).where(Role.scope == GLOBAL, named))
        if role_id is None:
            raise NotFound(f"Could not find role: {ref.id or ref.name}.")
        found.add(role_id)
    return sorted(found)


def _check_sides(call: Call[IdentityDeps], new: NewTrust, role_ids: list[str]) -> None:
    """The trustee and the project exist, and the trustor has what it lends."""
    tx = call.tx
    existing(tx.get(User, new.trustee_user_id), "user", new.trustee_user_id)
    if new.project_id is None:
        return
    existing_project(tx, new.project_id)
    above = ancestors(tx, new.project_id)
    held = with_implied(tx, direct_roles(tx, new.trustor_user_id, "project", new.project_id, above))
    if call.caller.is_delegated:
        carried = tx.scalars(select(Role.id).where(Role.scope == GLOBAL, Role.name.in_(call.caller.roles)))
        held &= set(carried)
    if not held.issuperset(role_ids):
        raise Forbidden("The trustor does not have all the roles that the trust would give.")


_TRUSTS = declared(
    "trusts",
    Trust,
    {"trustor_user_id": Trust.trustor_id, "trustee_user_id": Trust.trustee_id},
    TrustRow,
)


def index(call: Call[IdentityDeps]) -> Listed[TrustView]:
    for side in ("trustor", "trustee"):
        for user_id in call.params(f"{side}_user_id"):  # each of them: the list holds the trusts of all
            call.enforce(f"identity:list_trusts_for_{side}", **{f"target.trust.{side}_user_id": user_id})
    if not call.enforced:
        call.enforce()
    return listing.index(call, _TRUSTS, view_of, *_reach(call))


def _reach(call: Call[IdentityDeps]) -> list[Condition]:
    """A token of a trust sees that trust alone; other callers what the rules say."""
    return [] if call.caller.trust_id is None else [Trust.id == call.caller.trust_id]


def _find(call: Call[IdentityDeps], trust_id: str) -> Trust:
    row = existing(call.tx.scalar(select(Trust).where(Trust.id == trust_id, *_reach(call))), "trust", trust_id)
    sides = {"target.trust.trustor_user_id": row.trustor_id, "target.trust.trustee_user_id": row.trustee_id}
    call.enforce(**sides)
    return row


def show(call: Call[IdentityDeps], trust_id: str) -> WholeTrust:
    row = _find(call, trust_id)
    return whole_view(call, row, _roles_of(call, row))


def delete(call: Call[IdentityDeps], trust_id: str) -> None:
    _refuse_bound(call)
    row = _find(call, trust_id)
    call.tx.delete(row)
    # What was passed on goes with it, and its tokens are of other users.
    stale = (revocations.STALE_ALL, row.id) if row.redelegation_count else (revocations.STALE_USER, row.trustor_id)
    call.deps.tokens.revocations.add(call.tx, *stale)


def list_roles(call: Call[IdentityDeps], trust_id: str) -> Listed[TrustRole]:
    row = _find(call, trust_id)
    return whole(call, [role_view(call, role) for role in _roles_of(call, row)])


def show_role(call: Call[IdentityDeps], trust_id: str, role_id: str) -> TrustRole:
    for role in _roles_of(call, _find(call, trust_id)):
        if role.id == role_id:
            return role_view(call, role)
    raise NotFound(f"Could not find role: {role_id}.")


_ALL = "/v3/OS-TRUST/trusts"
_ONE = _ALL + "/{trust_id}"
_ROLES = _ONE + "/roles"
ROUTES = (
    Route("GET", _ALL, index, "identity:list_trusts", envelope="trusts", target="handler", query=query(_TRUSTS)),
    Route(
        "POST",
        _ALL,
        create,
        "identity:create_trust",
        201,
        body=Extended[NewTrust],
        envelope="trust",
        target="handler",
    ),
    Route("GET", _ONE, show, "identity:get_trust", envelope="trust", target="handler"),
    Route("DELETE", _ONE, delete, "identity:delete_trust", 204, target="handler"),
    Route("GET", _ROLES, list_roles, "identity:list_roles_for_trust", envelope="roles", target="handler"),
    Route("GET", _ROLES + "/{role_id}", show_role, "identity:get_role_for_trust", envelope="role", target="handler"),
)
