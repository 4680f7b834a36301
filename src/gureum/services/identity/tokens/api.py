"""Routes of authentication. Source: identity API reference, "Authentication and token management"."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct
from msgspec.structs import replace
from sqlalchemy import select

from gureum.foundation import clock
from gureum.foundation.caller import Caller
from gureum.foundation.db.engine import Tx
from gureum.foundation.errors import BadRequest, Forbidden, NotFound, Unauthorized
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import PUBLIC, Reply, Route
from gureum.foundation.policy import Rule
from gureum.services.identity.application_credentials.model import ApplicationCredential
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.projects.model import ROOT, Project
from gureum.services.identity.tokens import revocations
from gureum.services.identity.tokens.fernet import TokenPayload
from gureum.services.identity.tokens.issuing import Checked, new_audit_id
from gureum.services.identity.users.model import User

Text = Annotated[str, Meta(max_length=255)]
Secret = Annotated[str, Meta(max_length=4096)]


class DomainRef(Struct):
    id: Text | None = None
    name: Text | None = None


class UserRef(Struct):
    id: Text | None = None
    name: Text | None = None
    domain: DomainRef | None = None
    password: Secret | None = None


class PasswordMethod(Struct):
    user: UserRef


class TokenMethod(Struct):
    id: Secret


class CredentialMethod(Struct):
    secret: Secret
    id: Text | None = None
    name: Text | None = None
    user: UserRef | None = None


class Identity(Struct):
    methods: Annotated[list[Text], Meta(min_length=1, max_length=8)]
    password: PasswordMethod | None = None
    token: TokenMethod | None = None
    application_credential: CredentialMethod | None = None


class ProjectRef(Struct):
    id: Text | None = None
    name: Text | None = None
    domain: DomainRef | None = None


class SystemRef(Struct):
    all: bool = False


class Scope(Struct):
    project: ProjectRef | None = None
    domain: DomainRef | None = None
    system: SystemRef | None = None


class Auth(Struct):
    identity: Identity
    scope: Scope | str | None = None


class AuthBody(Struct):
    auth: Auth


RULES = (
    Rule(
        "identity:validate_token",
        "rule:admin or (role:reader and system_scope:all) or role:service or user_id:%(target.token.user_id)s",
    ),  # fmt: skip
    Rule("identity:revoke_token", "rule:admin or user_id:%(target.token.user_id)s"),
    Rule("identity:get_auth_catalog", "@"),
    Rule("identity:get_auth_projects", "@"),
    Rule("identity:get_auth_domains", "@"),
    Rule("identity:get_auth_system", "@"),
)


def authenticate(call: Call[IdentityDeps], body: AuthBody) -> Reply:
    """POST /v3/auth/tokens. Hashing happens outside of any transaction; reads are short ones of their own."""
    auth = body.auth
    proof = _proven(call, auth.identity)
    payload = _scoped(call, proof, auth.scope)
    token, checked = call.deps.tokens.issue(payload)
    content = checked.body_without_catalog if call.param("nocatalog") is not None else checked.body
    return Reply(content, status=201, headers={"X-Subject-Token": token})


class Proof(Struct):
    """Who was proven, by which methods, and what earlier tokens pass on."""

    user_id: str
    methods: tuple[str, ...]
    expires_at: float
    chain: str | None = None
    credential_id: str | None = None
    project_id: str | None = None
    delegated: bool = False


def _proven(call: Call[IdentityDeps], identity: Identity) -> Proof:
    proofs = []
    for method in dict.fromkeys(identity.methods):
        if method == "password" and identity.password:
            proofs.append(_by_password(call, identity.password.user))
        elif method == "token" and identity.token:
            proofs.append(_by_token(call, identity.token.id))
        elif method == "application_credential" and identity.application_credential:
            proofs.append(_by_credential(call, identity.application_credential))
        elif method in ("password", "token", "application_credential"):
            raise BadRequest(f"Expecting to find {method} in identity. The server could not comply with the request.")
        else:
            raise Unauthorized(internal=f"authentication method {method[:64]} is not offered")
    if len({proof.user_id for proof in proofs}) != 1:
        raise Unauthorized(internal="the methods prove different users")
    first = proofs[0]
    methods = tuple(dict.fromkeys(name for proof in proofs for name in proof.methods))
    chain = next((proof.chain for proof in proofs if proof.chain), None)
    credential = next((proof.credential_id for proof in proofs if proof.credential_id), None)
    return Proof(
        first.user_id,
        methods,
        min(proof.expires_at for proof in proofs),
        chain,
        credential,
        next((proof.project_id for proof in proofs if proof.delegated), None),
        any(proof.delegated for proof in proofs),
    )


def _by_password(call: Call[IdentityDeps], user: UserRef) -> Proof:
    if user.password is None or (user.id is None and (user.name is None or user.domain is None)):
        raise BadRequest("Expecting a user id, or a name with a domain, and a password.")
    with call.database.read() as tx:
        row = tx.execute(_user_query(tx, user)).one_or_none()
    fits = call.deps.passwords.fits(user.password, row.password_hash if row else None)
    if row is None or not fits or not row.enabled:
        raise Unauthorized
    if row.password_expires_at is not None and row.password_expires_at <= clock.utcnow():
        raise Unauthorized("The password is expired and needs to be changed for user: " + row.id)
    return Proof(row.id, ("password",), clock.now() + call.deps.tokens.lifetime_s)


def _user_query(tx: Tx, user: UserRef) -> Any:
    columns = select(User.id, User.password_hash, User.enabled, User.password_expires_at)
    if user.id is not None:
        return columns.where(User.id == user.id)
    return columns.where(User.name == user.name, User.domain_id == _domain_id(tx, user.domain))


def _domain_id(tx: Tx, domain: DomainRef | None) -> str | None:
    if domain is None or domain.id is not None:
        return domain.id if domain else None
    return tx.scalar(select(Project.id).where(Project.domain_id == ROOT, Project.name == domain.name))


def _by_token(call: Call[IdentityDeps], token: str) -> Proof:
    checked = call.deps.tokens.check(token)
    payload = checked.payload
    return Proof(
        payload.user_id,
        (*payload.methods, "token") if "token" not in payload.methods else payload.methods,
        payload.expires_at,
        payload.audit_ids[-1],
        payload.application_credential_id,
        payload.project_id,
        delegated=checked.caller.is_delegated,
    )


def _by_credential(call: Call[IdentityDeps], given: CredentialMethod) -> Proof:
    tokens = call.deps.tokens
    credential_id = given.id
    if credential_id is None:
        if given.name is None or given.user is None:
            raise BadRequest("Expecting an application credential id, or a name with a user.")
        with call.database.read() as tx:
            row = tx.execute(_user_query(tx, given.user)).one_or_none()
            mine = (ApplicationCredential.user_id == (row.id if row else ""), ApplicationCredential.name == given.name)
            credential_id = tx.scalar(select(ApplicationCredential.id).where(*mine))
    found = tokens.facts.credential(credential_id) if credential_id else None
    if found is None or not call.deps.passwords.secret_fits(given.secret, found.secret_hash):
        raise Unauthorized
    expires = clock.now() + tokens.lifetime_s
    if found.expires_at is not None:
        expires = min(expires, found.expires_at)
    return Proof(found.user_id, ("application_credential",), expires, None, found.id, found.project_id, delegated=True)


def _scoped(call: Call[IdentityDeps], proof: Proof, scope: Scope | str | None) -> TokenPayload:
    now = clock.now()
    if proof.expires_at <= now:
        raise Unauthorized
    new_id = new_audit_id()
    unscoped = TokenPayload(
        user_id=proof.user_id,
        methods=proof.methods,
        issued_at=now,
        expires_at=proof.expires_at,
        audit_ids=(new_id, proof.chain) if proof.chain else (new_id,),
        application_credential_id=proof.credential_id,
    )
    if proof.delegated:
        if scope is not None and not _is_own(call, scope, proof):
            raise Unauthorized(internal="an application credential stays in its project")
        return replace(unscoped, project_id=proof.project_id)
    if scope == "unscoped":
        return unscoped
    if isinstance(scope, str):
        raise BadRequest("scope must be an object or 'unscoped'.")
    if scope is None:
        return replace(unscoped, project_id=_default_project(call, proof))
    return replace(unscoped, **_target(call, scope))


def _is_own(call: Call[IdentityDeps], scope: Scope | str, proof: Proof) -> bool:
    if isinstance(scope, str):
        return False
    target = _target(call, scope)
    return target == {"project_id": proof.project_id}


def _default_project(call: Call[IdentityDeps], proof: Proof) -> str | None:
    """The user's default project when it may be used, else no scope. A token keeps its own scope's absence."""
    facts = call.deps.tokens.facts
    user = facts.user(proof.user_id)
    if user is None or not user.default_project_id or "token" in proof.methods:
        return None
    scope = facts.scope(user.default_project_id)
    if scope is None or not scope.enabled or not facts.roles(user.id, "project", scope.id):
        return None
    return scope.id


def _target(call: Call[IdentityDeps], scope: Scope) -> dict[str, Any]:
    given = [part for part in (scope.project, scope.domain, scope.system) if part is not None]
    if len(given) != 1:
        raise BadRequest("scope must name exactly one of project, domain and system.")
    if scope.system is not None:
        if not scope.system.all:
            raise BadRequest("The system scope must be {'all': true}.")
        return {"system": True}
    with call.database.read() as tx:
        if scope.domain is not None:
            found = _domain_id(tx, scope.domain)
            kind = "domain_id"
        else:
            assert scope.project is not None
            found, kind = _project_id(tx, scope.project), "project_id"
    if found is None:
        raise Unauthorized(internal="the scope does not exist")
    facts = call.deps.tokens.facts.scope(found)
    if facts is None or (kind == "domain_id" and not facts.is_domain):
        raise Unauthorized(internal="the scope does not exist")
    return {kind: found}


def _project_id(tx: Tx, project: ProjectRef) -> str | None:
    if project.id is not None:
        return project.id
    if project.name is None or project.domain is None:
        raise BadRequest("Expecting a project id, or a name with a domain.")
    domain_id = _domain_id(tx, project.domain)
    return tx.scalar(select(Project.id).where(Project.domain_id == domain_id, Project.name == project.name))


# -- validation ------------------------------------------------------------------------------------------


def validate_fast(call: Call[IdentityDeps]) -> Reply | None:
    """On the loop, when both tokens are remembered."""
    subject = call.headers.get("x-subject-token", "")
    if not subject or call.param("allow_expired") is not None:
        return None
    try:
        checked = call.deps.tokens.remembered(subject)
    except Unauthorized:
        checked = None
    return None if checked is None else _validated(call, checked, subject)


def validate(call: Call[IdentityDeps]) -> Reply:
    subject = call.headers.get("x-subject-token", "")
    if not subject:
        raise BadRequest("Expecting to find X-Subject-Token in the headers.")
    expired = call.param("allow_expired")
    try:
        checked = call.deps.tokens.check(
            subject, allow_expired=expired is not None and expired.lower() in ("1", "true")
        )
    except Unauthorized as error:
        call.enforced = True
        raise NotFound("Could not find token.") from error
    return _validated(call, checked, subject)


def _validated(call: Call[IdentityDeps], checked: Checked, subject: str) -> Reply:
    call.enforce("identity:validate_token", **{"target.token.user_id": checked.payload.user_id})
    content = checked.body_without_catalog if call.param("nocatalog") is not None else checked.body
    return Reply(content, headers={"X-Subject-Token": subject})


def revoke(call: Call[IdentityDeps]) -> None:
    subject = call.headers.get("x-subject-token", "")
    if not subject:
        raise BadRequest("Expecting to find X-Subject-Token in the headers.")
    try:
        checked = call.deps.tokens.check(subject)
    except Unauthorized as error:
        call.enforced = True
        raise NotFound("Could not find token.") from error
    call.enforce(**{"target.token.user_id": checked.payload.user_id})
    call.deps.tokens.revocations.add(call.tx, revocations.AUDIT, checked.payload.audit_ids[0])


def caller_may_delegate(caller: Caller, unrestricted: bool) -> None:
    """A delegated token neither makes nor edits credentials, unless its owner allowed that when making it."""
    if caller.is_delegated and not unrestricted:
        raise Forbidden("A delegated token may not manage credentials.")


_AT = "/v3/auth/tokens"
ROUTES = (
    Route("POST", _AT, authenticate, PUBLIC, 201, body=AuthBody, transaction="none"),
    Route("GET", _AT, validate, "identity:validate_token", target="handler", transaction="none", fast=validate_fast),
    Route("DELETE", _AT, revoke, "identity:revoke_token", 204, target="handler"),
)
