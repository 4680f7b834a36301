"""What a token may reach: from a proof and the scope that was asked for to a payload."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import select, update

from gureum.foundation import clock
from gureum.foundation.db.engine import Database, Tx
from gureum.foundation.errors import BadRequest, Forbidden, Unauthorized
from gureum.foundation.http.call import Call
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.tokens.bodies import ProjectRef, Scope
from gureum.services.identity.tokens.facts import Facts
from gureum.services.identity.tokens.fernet import TokenPayload
from gureum.services.identity.tokens.issuing import new_audit_id
from gureum.services.identity.tokens.methods import Proof, domain_id_of
from gureum.services.identity.trusts.model import Trust, chain_of


class Target(Struct, frozen=True):
    """A scope by the ids that a payload has."""

    project_id: str | None = None
    domain_id: str | None = None
    system: bool = False


def scoped(call: Call[IdentityDeps], proof: Proof, scope: Scope | str | None) -> TokenPayload:
    """Raises Unauthorized for a scope that is not there or not the proof's, Forbidden for somebody else's trust."""
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
        access_token_id=proof.access_token_id,
    )
    if proof.delegated:
        if scope is not None and not _is_own(call, scope, proof):
            raise Unauthorized(internal="a delegated proof stays in its project")
        return replace(unscoped, project_id=proof.project_id)
    if scope == "unscoped":
        return unscoped
    if isinstance(scope, str):
        raise BadRequest("scope must be an object or 'unscoped'.")
    if scope is None:
        return replace(unscoped, project_id=_default_project(call, proof))
    if scope.trust is not None:
        _exactly_one(scope)
        return _trusted(call, unscoped, scope.trust.id)
    target = _target(call, scope)
    return replace(unscoped, project_id=target.project_id, domain_id=target.domain_id, system=target.system)


def _is_own(call: Call[IdentityDeps], scope: Scope | str, proof: Proof) -> bool:
    if isinstance(scope, str) or scope.trust is not None:
        return False
    return _target(call, scope) == Target(project_id=proof.project_id)


def _default_project(call: Call[IdentityDeps], proof: Proof) -> str | None:
    """The user's default project when it may be used, else no scope. A token without a scope stays without one."""
    facts = call.deps.tokens.facts
    user = facts.user(proof.user_id)
    if user is None or not user.default_project_id or "token" in proof.methods:
        return None
    scope = facts.scope(user.default_project_id)
    if scope is None or not scope.enabled or not facts.roles(user.id, "project", scope.id):
        return None
    return scope.id


def _exactly_one(scope: Scope) -> None:
    if sum(part is not None for part in (scope.project, scope.domain, scope.system, scope.trust)) != 1:
        raise BadRequest("scope must name exactly one of project, domain, system and OS-TRUST:trust.")


def _target(call: Call[IdentityDeps], scope: Scope) -> Target:
    _exactly_one(scope)
    if scope.system is not None:
        if not scope.system.all:
            raise BadRequest("The system scope must be {'all': true}.")
        return Target(system=True)
    facts = call.deps.tokens.facts
    if scope.domain is not None:
        target = Target(domain_id=domain_id_of(facts, scope.domain))
    else:
        assert scope.project is not None
        target = Target(project_id=_project_id(facts, scope.project))
    target_id = target.domain_id or target.project_id
    known = facts.scope(target_id) if target_id is not None else None
    if known is None or (target.domain_id is not None and not known.is_domain):
        raise Unauthorized(internal="the scope does not exist")
    return target


def _project_id(facts: Facts, project: ProjectRef) -> str | None:
    if project.id is not None:
        return project.id
    if project.name is None or project.domain is None:
        raise BadRequest("Expecting a project id, or a name with a domain.")
    domain_id = domain_id_of(facts, project.domain)
    return facts.project_named(domain_id, project.name) if domain_id is not None else None


# -- trusts ----------------------------------------------------------------------------------------------


def _trusted(call: Call[IdentityDeps], unscoped: TokenPayload, trust_id: str) -> TokenPayload:
    """The payload of a trust's token: the trustor's when the trust impersonates, never beyond the trust's end."""
    with call.database.read() as tx:
        trust = tx.get(Trust, trust_id)
        if trust is None or any(link.is_over() for link in chain_of(tx, trust)):
            raise Unauthorized(internal="the trust is unknown or over")
    if trust.trustee_id != unscoped.user_id:
        raise Forbidden("User is not a trustee.")
    facts = call.deps.tokens.facts.trust(trust.id)
    if facts is None or not call.deps.tokens.trust_holds(facts):
        raise Forbidden("The trustor may no longer delegate what the trust gives.")
    ends = (
        unscoped.expires_at if trust.expires_at is None else min(unscoped.expires_at, clock.seconds(trust.expires_at))
    )
    return replace(
        unscoped,
        user_id=trust.trustor_id if trust.impersonation else trust.trustee_id,
        project_id=trust.project_id,
        expires_at=ends,
        trust_id=trust.id,
    )


def count_use(database: Database, trust_id: str) -> None:
    """Take one use of a trust that has a number of them. Raises Unauthorized when none is left."""
    with database.read() as tx:
        if tx.scalar(select(Trust.remaining_uses).where(Trust.id == trust_id)) is None:
            return

    def take(tx: Tx) -> None:
        left = (Trust.id == trust_id, Trust.remaining_uses > 0)
        taken = tx.execute(update(Trust).where(*left).values(remaining_uses=Trust.remaining_uses - 1))
        if not taken.rowcount:  # type: ignore[attr-defined]  # an UPDATE's result counts its rows
            raise Unauthorized(internal="the trust has no uses left")

    database.write(take)
