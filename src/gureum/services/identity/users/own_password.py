"""POST /v3/users/{id}/password: the original password proves who asks, no token is needed.

Source: identity API reference, "Users", change password. Age, history and locks hold here and not for administrators.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct
from sqlalchemy import delete, select

from gureum.foundation import clock
from gureum.foundation.db.engine import Tx
from gureum.foundation.errors import BadRequest, Unauthorized
from gureum.foundation.http.call import Call
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.tokens import revocations
from gureum.services.identity.users import compliance
from gureum.services.identity.users.model import PastPassword, User
from gureum.services.identity.users.sign_in import sign_in


class OwnPassword(Struct, forbid_unknown_fields=True):
    original_password: Annotated[str, Meta(max_length=4096)]
    password: Annotated[str, Meta(min_length=1, max_length=4096)]


def change_own_password(call: Call[IdentityDeps], body: OwnPassword, user_id: str) -> None:
    """Raises Unauthorized like a sign-in, BadRequest for a password that the rules refuse."""
    deps, new = call.deps, body.password
    proven = sign_in(call.database, deps, lambda _tx: User.id == user_id, body.original_password)
    compliance.check_own_change(deps.options, proven.standing, clock.utcnow())
    compliance.check_strength(deps.options, new)
    _check_history(call, user_id, new)
    hashed = deps.passwords.hash(new)

    def write(tx: Tx) -> None:
        user = tx.get(User, user_id)
        if user is None or user.password_hash != proven.password_hash:
            raise Unauthorized(internal=f"the password of user {user_id} was changed meanwhile")
        store_password(tx, deps, user, hashed, self_set=True)

    call.database.write(write)


def _check_history(call: Call[IdentityDeps], user_id: str, new: str) -> None:
    count = call.deps.options.unique_last_password_count
    if not count:
        return
    with call.database.read() as tx:
        present = tx.scalar(select(User.password_hash).where(User.id == user_id))
        past = select(PastPassword.password_hash).where(PastPassword.user_id == user_id)
        hashes = [present, *tx.scalars(past.order_by(PastPassword.id.desc()).limit(count - 1))]
    if any(stored and call.deps.passwords.fits(new, stored) for stored in hashes):
        raise BadRequest(
            f"Changed password cannot be identical to the last {count} passwords, the present one among them."
        )


def store_password(tx: Tx, deps: IdentityDeps, user: User, hashed: str | None, *, self_set: bool) -> None:
    """Put a password hash in place: history kept as the rules ask, tokens ended."""
    now, count = clock.utcnow(), deps.options.unique_last_password_count
    if count > 1 and user.password_hash:
        tx.add(PastPassword(user_id=user.id, password_hash=user.password_hash))
        tx.flush()
        mine = PastPassword.user_id == user.id
        kept = select(PastPassword.id).where(mine).order_by(PastPassword.id.desc()).limit(count - 1)
        tx.execute(delete(PastPassword).where(mine, PastPassword.id.not_in(kept)))
    user.password_hash, user.password_set_at, user.password_self_set = hashed, now, self_set
    user.password_expires_at = compliance.expiry(deps.options, user.options, now, self_set=self_set) if hashed else None
    if not self_set:  # a user's own change proves one factor: the count of failed attempts stays
        user.failed_count, user.failed_at = 0, None
    deps.tokens.revocations.add(tx, revocations.USER, user.id)
