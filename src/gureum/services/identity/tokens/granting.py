"""The one way to a token: from a proof, by whatever method, to a sealed token.

The invariant: every way in (`/v3/auth/tokens`, OAuth 2.0, EC2, S3) is asked the same questions here. The user and
the domain are enabled, the methods satisfy the user's own rules, the scope is the proof's to ask for, and the failed
attempts are forgotten only once all of this holds. Read next: `methods.py` (who is proven), `scopes.py` (what for).
"""

from __future__ import annotations

from gureum.foundation.errors import Unauthorized
from gureum.foundation.http.call import Call
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.tokens.bodies import Scope
from gureum.services.identity.tokens.facts import UserFacts
from gureum.services.identity.tokens.issuing import Checked
from gureum.services.identity.tokens.methods import Proof
from gureum.services.identity.tokens.scopes import count_use, scoped
from gureum.services.identity.users import multi_factor
from gureum.services.identity.users.sign_in import note_success


class MethodsMissingError(Unauthorized):
    """What was proven is right, but the user's own rules ask for more methods."""

    def __init__(self, user: UserFacts, methods: tuple[str, ...]) -> None:
        super().__init__(internal=f"user {user.id} must show more than {', '.join(methods)}")
        self.user = user
        self.methods = methods


def grant_token(call: Call[IdentityDeps], proof: Proof, scope: Scope | str | None) -> tuple[str, Checked]:
    """A new token and its worth. Raises Unauthorized, of which MethodsMissingError asks for a further method."""
    tokens = call.deps.tokens
    user = tokens.facts.user(proof.user_id)
    if user is None or not user.enabled:
        raise Unauthorized(internal="the user is unknown or disabled")
    if not multi_factor.is_enough(user.options, proof.methods):
        raise MethodsMissingError(user, proof.methods)
    payload = scoped(call, proof, scope)
    if payload.trust_id is not None:
        count_use(call.database, payload.trust_id)
    granted = tokens.issue(payload)
    if proof.standing is not None:
        note_success(call.database, call.deps.options, proof.user_id, proof.standing)
    return granted
