"""Time-based pass codes: six digits of HMAC-SHA-1 over half minutes. Source: RFC 6238, RFC 4226.

The secrets are credentials of the type totp, base32 texts. The invariant: a pass code lets its user in once, and one
that was refused because the account is locked or disabled is not used up.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import struct

from sqlalchemy import or_, select, update

from gureum.foundation import clock
from gureum.foundation.db.engine import Database, Tx
from gureum.services.identity.credentials.model import Credential
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.users.sign_in import SignedIn, Which, account, concluded, may_sign_in

STEP_S = 30
DIGITS = 6
EARLIER_STEPS = 1
"""How many steps ago a pass code may have been read off: clocks differ, and people type."""


def code(secret: bytes, counter: int) -> str:
    """The pass code of a time step (RFC 4226, section 5.3)."""
    digest = hmac.digest(secret, struct.pack(">Q", counter), "sha1")
    offset = digest[-1] & 0x0F
    number = struct.unpack(">I", digest[offset : offset + 4])[0] & 0x7FFF_FFFF
    return f"{number % 10**DIGITS:0{DIGITS}d}"


def secret_of(text: str) -> bytes | None:
    """The key of a base32 text, padded or not; None when it is none."""
    compact = text.strip().replace(" ", "").rstrip("=").upper()
    try:
        return base64.b32decode(compact + "=" * (-len(compact) % 8)) or None
    except (binascii.Error, ValueError):
        return None


def step_of(secret: bytes, passcode: str, now: float) -> int | None:
    """The time step whose code this is, of those that still count."""
    present = int(now) // STEP_S
    for counter in range(present - EARLIER_STEPS, present + 1):
        if hmac.compare_digest(code(secret, counter).encode(), passcode.encode()):
            return counter
    return None


def by_passcode(database: Database, deps: IdentityDeps, which: Which, passcode: str) -> SignedIn:
    """Like `sign_in`, with a pass code. Raises Unauthorized."""
    row = account(database, which)
    with database.read() as tx:
        mine = (Credential.user_id == (row.id if row else ""), Credential.type == "totp")
        stored = tx.execute(select(Credential.id, Credential.sealed).where(*mine)).all()
    open_to_it, fits = row is not None and may_sign_in(deps.options, row), False
    for credential_id, sealed in stored:
        secret = secret_of(deps.secrets.open_text(sealed))
        step = step_of(secret, passcode, clock.now()) if secret else None
        if step is None or not open_to_it:
            continue
        if database.write(lambda tx, id_=credential_id, n=step: _use(tx, id_, n)):  # type: ignore[misc]
            fits = True
            break
    return concluded(database, deps, row, fits=fits)


def _use(tx: Tx, credential_id: str, step: int) -> bool:
    """Whether the step is newer than the last one that let somebody in; from now on it is the last one."""
    unused = or_(Credential.used_counter.is_(None), Credential.used_counter < step)
    done = tx.execute(update(Credential).where(Credential.id == credential_id, unused).values(used_counter=step))
    return bool(done.rowcount)  # type: ignore[attr-defined]  # an UPDATE's result counts its rows
