"""Tokens made and checked: from a payload to its `Caller` and its JSON, in memory where it can be.

Invariant: a token allows what its user may do now. A payload says who and where; names, enabled flags and
roles come from `facts.py`, and an event of `revocations.py` drops what was concluded from older ones.
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass

import msgspec

from gureum.foundation import clock
from gureum.foundation.cache import Cache
from gureum.foundation.caller import AccessRule, Caller
from gureum.foundation.db.engine import Database
from gureum.foundation.errors import Unauthorized
from gureum.services.identity.config import IdentityConfig
from gureum.services.identity.tokens import revocations
from gureum.services.identity.tokens.facts import CredentialFacts, Facts, RoleFacts, ScopeFacts, TrustFacts, UserFacts
from gureum.services.identity.tokens.fernet import TokenKeys, TokenPayload
from gureum.services.identity.tokens.revocations import Revocations
from gureum.services.identity.tokens.views import (
    AccessTokenUse,
    BriefAccessRule,
    EncodedToken,
    Named,
    NamedInDomain,
    TokenCredential,
    TokenDocument,
    TokenTrust,
    TokenUser,
    TokenView,
    TrustSide,
    WholeSystem,
)

CACHED_TOKENS = 4_096
"""Of some 2 KiB each. An evicted one is evaluated again from facts in memory, in 0.1 ms."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A token found valid: its caller, and its body, encoded. Tokens share their `catalog`; None has none.

    `users` are all whose change makes it stale: its user, and both sides of its trust.
    """

    payload: TokenPayload
    users: tuple[str, ...]
    caller: Caller
    body_without_catalog: EncodedToken
    catalog: bytes | None

    @property
    def body(self) -> EncodedToken:
        if self.catalog is None:
            return self.body_without_catalog
        return b"".join((self.body_without_catalog[:-2], b',"catalog":', self.catalog, b"}}"))


class Tokens:
    """One per process; thread safe."""

    def __init__(
        self, database: Database, keys: TokenKeys, lifetime_s: float, options: IdentityConfig | None = None
    ) -> None:
        self.facts = Facts(database, options or IdentityConfig())
        self.revocations = Revocations(database, lifetime_s)
        self.revocations.listen(self._event)
        self.lifetime_s = lifetime_s
        self._keys = keys
        self._checked: Cache[str, Checked] = Cache(CACHED_TOKENS)

    def _event(self, kind: str, value: str) -> None:
        """Drop what the event makes stale: everything concluded about one user, or everything."""
        if kind == revocations.STALE_LIMITS:
            return
        self.facts.forget()
        if kind in (revocations.AUDIT, revocations.CHAIN, revocations.USER, revocations.STALE_USER):
            self._checked.clear(lambda checked: value in checked.users or value in checked.payload.audit_ids)
        else:
            self._checked.clear()

    def remembered(self, token: str) -> Checked | None:
        """A cached token that is still good. Raises Unauthorized when it has expired."""
        found = self._checked.get(token)
        if found is not None and found.payload.expires_at <= clock.now():
            self._checked.drop(token)
            raise Unauthorized
        return found

    def check(self, token: str, *, allow_expired: bool = False) -> Checked:
        """What a token allows now, read from the database when it is not cached. Raises Unauthorized."""
        found = self._checked.get(token)
        if found is not None and found.payload.expires_at > clock.now():
            return found
        payload = self._keys.open(token)
        end = payload.expires_at + (revocations.EXPIRED_WINDOW_S if allow_expired else 0.0)
        generation = self._checked.generation
        if end <= clock.now() or self.revocations.revokes(payload):
            raise Unauthorized
        self._check_trust_sides(payload)
        return self._conclude(token, payload, generation)

    def issue(self, payload: TokenPayload) -> tuple[str, Checked]:
        """Seal a payload. Raises Unauthorized when its user has no role in its scope."""
        token = self._keys.seal(payload)
        return token, self._conclude(token, payload, self._checked.generation)

    def _conclude(self, token: str, payload: TokenPayload, generation: int) -> Checked:
        """What a token allows; cached only when no event came since `generation` was read.

        What was read before an event may be what the event made stale.
        """
        checked = self._evaluate(token, payload)
        self._checked.put(token, checked, generation)
        return checked

    def _check_trust_sides(self, payload: TokenPayload) -> None:
        """What ends the tokens of a trustor or a trustee ends those of the trust."""
        trust = self.facts.trust(payload.trust_id) if payload.trust_id else None
        for user_id in (trust.trustor_id, trust.trustee_id) if trust else ():
            if self.revocations.revokes_user(user_id, payload.issued_at):
                raise Unauthorized

    # -- evaluation --------------------------------------------------------------------------------------

    def _evaluate(self, token: str, payload: TokenPayload) -> Checked:
        user = self.facts.user(payload.user_id)
        if user is None or not user.enabled:
            raise Unauthorized(internal="the user is unknown or disabled")
        scope = self._scope(payload)
        trust = self._trust(payload)
        roles = self._roles(payload, trust)
        scoped = payload.project_id or payload.domain_id or payload.system
        if scoped and not roles:
            raise Unauthorized(internal="the user has no role in the scope")
        credential_id = payload.application_credential_id
        credential = self.facts.credential(credential_id) if credential_id else None
        caller = _caller(token, payload, user, (scope, roles), credential.access_rules if credential else None)
        view = self._view(payload, user, scope, roles)
        users: tuple[str, ...] = (user.id,)
        if trust is not None:
            view.trust = _trust_view(trust)
            users = (trust.trustor_id, trust.trustee_id)
        bare = msgspec.json.encode(TokenDocument(view))
        catalog = self.facts.catalog(payload.project_id, payload.user_id) if scoped else None
        return Checked(payload, users, caller, bare, catalog)

    def _scope(self, payload: TokenPayload) -> ScopeFacts | None:
        scope_id = payload.project_id or payload.domain_id
        if scope_id is None:
            return None
        scope = self.facts.scope(scope_id)
        if scope is None or not scope.enabled:
            raise Unauthorized(internal="the scope is unknown or disabled")
        return scope

    def _trust(self, payload: TokenPayload) -> TrustFacts | None:
        if payload.trust_id is None:
            return None
        trust = self.facts.trust(payload.trust_id)
        over = trust is not None and trust.expires_at is not None and trust.expires_at <= clock.now()
        if trust is None or over or not self.trust_holds(trust):
            raise Unauthorized(internal="the trust is gone, over, or gives what its trustor no longer has")
        return trust

    def trust_holds(self, trust: TrustFacts) -> bool:
        """Whether both sides may act and the trustor still has every role that the trust gives."""
        sides = (self.facts.user(trust.trustor_id), self.facts.user(trust.trustee_id))
        if any(side is None or not side.enabled for side in sides):
            return False
        if trust.project_id is None:
            return True
        held = {role.id for role in self.facts.roles(trust.trustor_id, "project", trust.project_id)}
        return held.issuperset(trust.role_ids)

    def _roles(self, payload: TokenPayload, trust: TrustFacts | None) -> tuple[RoleFacts, ...]:
        if trust is not None:
            if trust.project_id is None:
                return ()
            held = self.facts.roles(trust.trustor_id, "project", trust.project_id)
            return self._only(held, trust.role_ids)
        if payload.project_id:
            held = self.facts.roles(payload.user_id, "project", payload.project_id)
        elif payload.domain_id:
            held = self.facts.roles(payload.user_id, "domain", payload.domain_id)
        elif payload.system:
            held = self.facts.roles(payload.user_id, "system", "all")
        else:
            return ()
        if payload.access_token_id is not None:
            access = self.facts.access_token(payload.access_token_id)
            if access is None or access.expires_at <= clock.now():
                raise Unauthorized(internal="the OAuth access token is gone")
            return self._only(held, access.role_ids)
        if payload.application_credential_id is None:
            return held
        credential = self.facts.credential(payload.application_credential_id)
        if credential is None or (credential.expires_at is not None and credential.expires_at <= clock.now()):
            raise Unauthorized(internal="the application credential is gone")
        return self._only(held, credential.role_ids)

    def _only(self, held: tuple[RoleFacts, ...], given: tuple[str, ...]) -> tuple[RoleFacts, ...]:
        """Of the roles held, those that are given or that what is given implies."""
        granted = {role.id for role in self.facts.expanded(given)}
        return tuple(role for role in held if role.id in granted)

    def _view(
        self, payload: TokenPayload, user: UserFacts, scope: ScopeFacts | None, roles: tuple[RoleFacts, ...]
    ) -> TokenView:
        view = TokenView(
            payload.methods,
            TokenUser(
                Named(user.domain_id, user.domain_name),
                user.id,
                user.name,
                clock.iso_micro(user.password_expires_at, ""),
            ),
            payload.audit_ids,
            clock.iso_micro(clock.from_seconds(payload.expires_at)),
            clock.iso_micro(clock.from_seconds(payload.issued_at)),
        )
        if payload.project_id and scope:
            view.project = NamedInDomain(Named(scope.domain_id, scope.domain_name), scope.id, scope.name)
            view.is_domain = scope.is_domain
        elif payload.domain_id and scope:
            view.domain = Named(scope.id, scope.name)
        elif payload.system:
            view.system = WholeSystem(all=True)
        if roles:
            view.roles = [Named(role.id, role.name) for role in roles]
        if payload.application_credential_id and (
            credential := self.facts.credential(payload.application_credential_id)
        ):
            view.application_credential = _credential_view(credential)
        if payload.access_token_id and (access := self.facts.access_token(payload.access_token_id)):
            view.access_token = AccessTokenUse(access.id, access.consumer_id)
        return view


def _credential_view(credential: CredentialFacts) -> TokenCredential:
    view = TokenCredential(credential.id, credential.name, not credential.unrestricted)
    if credential.access_rules is not None:
        view.access_rules = [
            BriefAccessRule(id_, rule.path, rule.method, rule.service)
            for id_, rule in zip(credential.access_rule_ids, credential.access_rules, strict=True)
        ]
    return view


def _trust_view(trust: TrustFacts) -> TokenTrust:
    view = TokenTrust(trust.id, trust.impersonation, TrustSide(trust.trustee_id), TrustSide(trust.trustor_id))
    if trust.redelegated_trust_id is not None:
        view.redelegated_trust_id = trust.redelegated_trust_id
        view.redelegation_count = trust.redelegation_count
    return view


def _caller(
    token: str,
    payload: TokenPayload,
    user: UserFacts,
    reach: tuple[ScopeFacts | None, tuple[RoleFacts, ...]],
    access_rules: tuple[AccessRule, ...] | None,
) -> Caller:
    scope, roles = reach
    project = scope if payload.project_id else None
    domain = scope if payload.domain_id else None
    return Caller(
        user_id=user.id,
        user_name=user.name,
        user_domain_id=user.domain_id,
        user_domain_name=user.domain_name,
        project_id=project.id if project else None,
        project_name=project.name if project else None,
        project_domain_id=project.domain_id if project else None,
        project_domain_name=project.domain_name if project else None,
        domain_id=domain.id if domain else None,
        domain_name=domain.name if domain else None,
        system=payload.system,
        roles=tuple(role.name for role in roles),
        methods=payload.methods,
        audit_ids=payload.audit_ids,
        issued_at=payload.issued_at,
        expires_at=payload.expires_at,
        application_credential_id=payload.application_credential_id,
        access_rules=access_rules,
        trust_id=payload.trust_id,
        access_token_id=payload.access_token_id,
        token_id=token,
    )


def new_audit_id() -> str:
    """22 characters of URL-safe base64 over 16 random bytes."""
    return base64.urlsafe_b64encode(os.urandom(16)).rstrip(b"=").decode()
