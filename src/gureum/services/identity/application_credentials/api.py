"""Routes of application credentials. Source: identity API reference, "Application credentials"."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct
from sqlalchemy import select

from gureum.foundation import clock, ids
from gureum.foundation.db.engine import Tx
from gureum.foundation.errors import BadRequest, Conflict, Forbidden
from gureum.foundation.http import filters
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route
from gureum.foundation.http.views import Extended, Listed
from gureum.foundation.policy import Rule
from gureum.services.identity import listing
from gureum.services.identity.application_credentials.access_rules import RuleRef, stored, views_of
from gureum.services.identity.application_credentials.model import ApplicationCredential
from gureum.services.identity.application_credentials.views import CredentialRow, CredentialView, GivenRole
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.fields import ADMIN_OR_SYSTEM_READER, PERSONAL, Description, LongName
from gureum.services.identity.finding import existing
from gureum.services.identity.listing import declared, query, self_link
from gureum.services.identity.roles.model import GLOBAL, Role
from gureum.services.identity.tokens import revocations
from gureum.services.identity.tokens.facts import CredentialFacts

OWN = "user_id:%(target.user.id)s"
RULES = (
    Rule(
        "identity:get_application_credential",
        f"{ADMIN_OR_SYSTEM_READER} or {OWN}",
        "Show an application credential",
        scopes=PERSONAL,
    ),
    Rule(
        "identity:list_application_credentials",
        f"{ADMIN_OR_SYSTEM_READER} or {OWN}",
        "List application credentials",
        scopes=PERSONAL,
    ),
    Rule("identity:create_application_credential", OWN, "Create an application credential"),
    Rule(
        "identity:delete_application_credential",
        f"rule:admin_required or {OWN}",
        "Delete an application credential",
        scopes=PERSONAL,
    ),
)


class RoleRef(Struct, forbid_unknown_fields=True):
    """A role by its id or by its name."""

    id: Annotated[str, Meta(max_length=64)] | None = None
    name: Annotated[str, Meta(max_length=255)] | None = None


class NewCredential(Struct):
    name: LongName
    secret: Annotated[str, Meta(min_length=1, max_length=4096)] | None = None
    description: Description = None
    expires_at: str | None = None
    roles: list[RoleRef] | None = None
    unrestricted: bool | None = None
    access_rules: Annotated[list[RuleRef], Meta(max_length=64)] | None = None


def _view(call: Call[IdentityDeps], row: ApplicationCredential | CredentialRow) -> CredentialView:
    roles = call.tx.scalars(select(Role).where(Role.id.in_(row.role_ids)).order_by(Role.name)).all()
    view = CredentialView(
        row.id,
        row.name,
        row.description,
        row.project_id,
        row.user_id,
        row.unrestricted,
        clock.iso_micro(row.expires_at, ""),
        [GivenRole(role.id, role.name, role.domain_id) for role in roles],
        self_link(call, "users", f"{row.user_id}/application_credentials/{row.id}"),
    )
    if row.access_rule_ids:
        view.access_rules = views_of(call.tx, row.access_rule_ids)
    return view


def _check_delegation(call: Call[IdentityDeps]) -> CredentialFacts | None:
    """A delegated token makes and deletes credentials only when its owner said `unrestricted`. Its own credential."""
    caller = call.caller
    if not caller.is_delegated:
        return None
    credential = call.deps.tokens.facts.credential(caller.application_credential_id or "")
    if credential is None or not credential.unrestricted:
        raise Forbidden("An application credential may not manage application credentials unless it is unrestricted.")
    return credential


def _end(text: str | None, own: CredentialFacts | None) -> datetime | None:
    """When a new credential ends: not after the one that makes it. Raises BadRequest, Forbidden."""
    expires = None if text is None else filters.moment("expires_at", text)
    if expires is not None and expires <= clock.utcnow():
        raise BadRequest("expires_at lies in the past.")
    if own is None or own.expires_at is None:
        return expires
    latest = clock.from_seconds(own.expires_at)
    if expires is not None and expires > latest:
        raise Forbidden(f"An application credential makes none that outlives it: it ends at {clock.iso(latest)}.")
    return expires or latest


def create(call: Call[IdentityDeps], body: Extended[NewCredential], user_id: str) -> CredentialView:
    call.enforce(**{"target.user.id": user_id})
    own = _check_delegation(call)
    new = body.fields
    if call.caller.project_id is None:
        raise BadRequest("An application credential needs a project-scoped token.")
    expires = _end(new.expires_at, own)
    secret = new.secret or secrets.token_urlsafe(64)
    passwords = call.deps.passwords
    hashed = passwords.hash(new.secret) if new.secret else passwords.hash_made_secret(secret)

    def write(tx: Tx) -> CredentialView:
        call.tx = tx
        mine = (ApplicationCredential.user_id == user_id, ApplicationCredential.name == new.name)
        if tx.scalar(select(ApplicationCredential.id).where(*mine)):
            raise Conflict(f"Conflict occurred attempting to store application_credential - Duplicate name {new.name}.")
        row = ApplicationCredential(
            id=ids.new_hex(),
            name=new.name,
            user_id=user_id,
            project_id=call.caller.project_id or "",
            secret_hash=hashed,
            description=new.description,
            role_ids=_roles(call, new.roles),
            unrestricted=bool(new.unrestricted),
            access_rule_ids=stored(tx, call.caller, user_id, new.access_rules or []),
            expires_at=expires,
        )
        tx.add(row)
        view = _view(call, row)
        view.secret = secret
        return view

    return call.database.write(write)


def _roles(call: Call[IdentityDeps], wanted: list[RoleRef] | None) -> list[str]:
    """The roles to grant: some of those that the token carries, all when none is named."""
    carried = select(Role).where(Role.scope == GLOBAL, Role.name.in_(call.caller.roles))
    held = {row.id: row for row in call.tx.scalars(carried)}
    if not wanted:
        return sorted(held)
    chosen = []
    for ref in wanted:
        if (ref.id is None) == (ref.name is None):
            raise BadRequest("A role is named by its id or by its name.")
        found = [row.id for row in held.values() if ref.id == row.id or (ref.id is None and ref.name == row.name)]
        if not found:
            raise BadRequest(f"Role {ref.id or ref.name} is not one of the token's roles.")
        chosen += found
    return sorted(set(chosen))


_CREDENTIALS = declared(
    "application_credentials", ApplicationCredential, {"name": ApplicationCredential.name}, CredentialRow
)


def index(call: Call[IdentityDeps], user_id: str) -> Listed[CredentialView]:
    call.enforce(**{"target.user.id": user_id})
    return listing.index(call, _CREDENTIALS, _view, ApplicationCredential.user_id == user_id)


def _find(call: Call[IdentityDeps], user_id: str, credential_id: str) -> ApplicationCredential:
    """The credential, if the rule allows it both for the user of the path and for the credential's owner."""
    call.enforce(**{"target.user.id": user_id})
    row = existing(call.tx.get(ApplicationCredential, credential_id), "Application Credential", credential_id)
    call.enforce(**{"target.user.id": row.user_id})
    return row


def show(call: Call[IdentityDeps], user_id: str, credential_id: str) -> CredentialView:
    return _view(call, _find(call, user_id, credential_id))


def delete(call: Call[IdentityDeps], user_id: str, credential_id: str) -> None:
    row = _find(call, user_id, credential_id)
    _check_delegation(call)
    call.tx.delete(row)
    call.deps.tokens.revocations.add(call.tx, revocations.CREDENTIAL, row.id)


_ALL = "/v3/users/{user_id}/application_credentials"
_ONE = _ALL + "/{credential_id}"
_NAME = "application_credential"
ROUTES = (
    Route(
        "GET",
        _ALL,
        index,
        "identity:list_application_credentials",
        envelope="application_credentials",
        target="handler",
        query=query(_CREDENTIALS),
    ),
    Route(
        "POST",
        _ALL,
        create,
        "identity:create_application_credential",
        201,
        body=Extended[NewCredential],
        envelope=_NAME,
        target="handler",
        transaction="none",
    ),
    Route("GET", _ONE, show, "identity:get_application_credential", envelope=_NAME, target="handler"),
    Route("DELETE", _ONE, delete, "identity:delete_application_credential", 204, target="handler"),
)
