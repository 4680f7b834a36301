"""A user shows a secret: the same work and the same answer for an unknown, a locked and a wrong one.

Passwords, pass codes and application credentials' chosen secrets count towards one lock-out. Not here: what the rules
are (`compliance.py`). The invariant: a failure is counted before the answer leaves, and failures are forgotten only
when a token was granted (`tokens/granting.py`): one right factor gives no new guesses at the other.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from msgspec import structs
from sqlalchemy import ColumnElement, bindparam, delete, insert, select, update

from gureum.foundation import clock
from gureum.foundation.db.engine import Database, Tx
from gureum.foundation.db.prepared import Prepared, as_tuple, columns_of
from gureum.foundation.errors import Unauthorized
from gureum.services.identity.config import IdentityConfig
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.ec2.model import UsedSignature
from gureum.services.identity.users import compliance
from gureum.services.identity.users.compliance import Account, Standing, standing_of
from gureum.services.identity.users.model import User

_FAILURES: Prepared[tuple[int, datetime | None]] = Prepared(
    select(User.failed_count, User.failed_at).where(User.id == bindparam("user")), make=as_tuple
)

Which = Callable[[Tx], ColumnElement[bool]]
"""From the transaction that reads the user to the condition that picks it."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    user_id: str
    standing: Standing
    password_hash: str | None


def sign_in(database: Database, deps: IdentityDeps, which: Which, password: str) -> SignedIn:
    """The user that `which` names, if the password is its own. Raises Unauthorized.

    An expired password is for the caller to refuse: it still proves who asks for a new one.
    """
    row = account(database, which)
    fits = deps.passwords.fits(password, row.password_hash if row else None)
    return concluded(database, deps, row, fits=fits)


def account(database: Database, which: Which) -> Account | None:
    """What a sign-in needs of a user, or None."""
    with database.read() as tx:
        row = tx.execute(select(*columns_of(User, Account)).where(which(tx))).one_or_none()
    return None if row is None else Account(*row)


def may_sign_in(rules: IdentityConfig, row: Account) -> bool:
    """Whether a right secret would let the account in now: it is neither locked out nor disabled."""
    user, now = standing_of(row), clock.utcnow()
    return not compliance.is_locked(rules, user, now) and compliance.is_enabled(rules, user, now)


def concluded(database: Database, deps: IdentityDeps, row: Account | None, *, fits: bool) -> SignedIn:
    """The outcome of any secret that was shown: a failure is counted and refused. Raises Unauthorized."""
    rules = deps.options
    if row is None:
        raise uncounted(database, rules, "the user is unknown")
    user = standing_of(row)
    if not may_sign_in(rules, row):
        raise uncounted(database, rules, f"user {row.id} is locked out or disabled")
    if not fits:
        if rules.lockout_failure_attempts:
            database.write(lambda tx: _count_failure(tx, deps, row.id))
        raise Unauthorized
    if rules.lockout_failure_attempts and _was_locked_meanwhile(database, rules, row.id, user):
        raise Unauthorized(internal=f"user {row.id} was locked out by attempts at the same time")
    return SignedIn(row.id, user, row.password_hash)


def uncounted(database: Database, rules: IdentityConfig, internal: str) -> Unauthorized:
    """A refusal that counts nothing, after a commit like the one that a counted failure takes.

    Whether a user exists or is locked out would show in the time of the answer otherwise.
    """
    if rules.lockout_failure_attempts:
        database.write(_write_and_take_back)
    return Unauthorized(internal=internal)


def _write_and_take_back(tx: Tx) -> None:
    digest = secrets.token_hex(32)
    tx.execute(insert(UsedSignature).values(digest=digest, expires_at=clock.utcnow()))
    tx.execute(delete(UsedSignature).where(UsedSignature.digest == digest))


def _was_locked_meanwhile(database: Database, rules: IdentityConfig, user_id: str, user: Standing) -> bool:
    """Whether guesses that ran beside this one have locked the user out since its row was read."""
    with database.read() as tx:
        counted = _FAILURES.first(tx, user=user_id)
    if counted is None:
        return True
    now_standing = structs.replace(user, failed_count=counted[0], failed_at=counted[1])
    return compliance.is_locked(rules, now_standing, clock.utcnow())


def _count_failure(tx: Tx, deps: IdentityDeps, user_id: str) -> None:
    row = tx.get(User, user_id)
    if row is None:
        return
    now = clock.utcnow()
    over = row.failed_at is not None and compliance.lockout_is_over(deps.options, row.failed_at, now)
    row.failed_count = 1 if over else row.failed_count + 1
    row.failed_at = now


def note_success(database: Database, rules: IdentityConfig, user_id: str, user: Standing) -> None:
    """Forget failures and note activity, when there is anything to write."""
    now = clock.utcnow()
    stale = user.last_active_at is None or user.last_active_at.date() != now.date()
    if not user.failed_count and not (rules.disable_user_account_days_inactive and stale):
        return
    fresh = {"failed_count": 0, "failed_at": None, "last_active_at": now}
    database.write(lambda tx: tx.execute(update(User).where(User.id == user_id).values(**fresh)))
