"""Password hashes: argon2id, bcrypt or PBKDF2 for new ones as `[auth] hash` says; each kind is read whatever it says.

The stored text names its kind and its cost, so both may be changed while old hashes are there, and users may come from
elsewhere with theirs. Checking takes the same time whether the user exists or not: an unknown user is checked against
a hash that no password fits. Sources: RFC 9106 (argon2id), RFC 8018 (PBKDF2, here with HMAC-SHA-512 in the form
`$pbkdf2-sha512$ROUNDS$SALT$HASH`, base64 with `.` for `+` and no padding).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import secrets
import threading

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from gureum.foundation.errors import BadRequest
from gureum.services.identity.config import AuthConfig

_SECRET_MARK = "sha256:"  # noqa: S105 a format's name
_PBKDF2_MARK = "$pbkdf2-sha512$"
_PBKDF2_MOST_ROUNDS = 10_000_000
_BCRYPT_MOST_BYTES = 72
USUAL_COST = {"argon2id": 2, "bcrypt": 12, "pbkdf2": 210_000}
"""Passes of argon2id over its memory, the exponent of bcrypt's rounds, rounds of PBKDF2."""


class Passwords:
    """As many hashes at once as there are processors: more would take their memory and be no sooner done."""

    def __init__(self, config: AuthConfig) -> None:
        self._kind = config.hash
        self._cost = config.hash_time_cost or USUAL_COST[config.hash]
        self._argon2 = PasswordHasher(
            time_cost=self._cost if config.hash == "argon2id" else USUAL_COST["argon2id"],
            memory_cost=config.hash_memory_kib,
            parallelism=1,
            type=Type.ID,
        )
        self._nobody = ""
        self._turns = threading.BoundedSemaphore(os.cpu_count() or 1)

    def hash(self, password: str) -> str:
        """A new hash. Raises BadRequest for a password that the chosen hash cannot hold whole."""
        with self._turns:
            return self._made(password)

    def _made(self, password: str) -> str:
        if self._kind == "bcrypt":
            import bcrypt

            raw = password.encode()
            if len(raw) > _BCRYPT_MOST_BYTES:
                raise BadRequest(f"The password is longer than {_BCRYPT_MOST_BYTES} bytes.")
            return bcrypt.hashpw(raw, bcrypt.gensalt(min(max(self._cost, 4), 31))).decode()
        if self._kind == "pbkdf2":
            salt = os.urandom(16)
            return f"{_PBKDF2_MARK}{self._cost}${_text(salt)}${_text(_pbkdf2(password, salt, self._cost))}"
        return self._argon2.hash(password)

    def fits(self, password: str, stored: str | None) -> bool:
        """Whether the password is the one of the stored hash; as slow for a missing hash as for a wrong one."""
        if not stored:
            self._nobody = self._nobody or self.hash(secrets.token_hex())
            stored = self._nobody
            self._fits(password, stored)
            return False
        return self._fits(password, stored)

    def _fits(self, password: str, stored: str) -> bool:
        with self._turns:
            return self._checked(password, stored)

    def _checked(self, password: str, stored: str) -> bool:
        if stored.startswith("$2"):
            import bcrypt

            # Elsewhere longer passwords were cut here when they were set.
            return bcrypt.checkpw(password.encode()[:_BCRYPT_MOST_BYTES], stored.encode())
        if stored.startswith(_PBKDF2_MARK):
            return _fits_pbkdf2(password, stored)
        try:
            return self._argon2.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False

    def hash_made_secret(self, secret: str) -> str:
        """For secrets of 256 random bits that the cloud made: no guessing to slow down."""
        return _SECRET_MARK + hashlib.sha256(secret.encode()).hexdigest()

    def is_made_secret(self, stored: str) -> bool:
        """Whether this is such a secret's hash: checking one takes no time."""
        return stored.startswith(_SECRET_MARK)

    def secret_fits(self, secret: str, stored: str) -> bool:
        if self.is_made_secret(stored):
            return hmac.compare_digest(self.hash_made_secret(secret), stored)
        return self.fits(secret, stored)


def _pbkdf2(password: str, salt: bytes, rounds: int) -> bytes:
    return hashlib.pbkdf2_hmac("sha512", password.encode(), salt, rounds)


def _fits_pbkdf2(password: str, stored: str) -> bool:
    try:
        rounds, salt, expected = stored.removeprefix(_PBKDF2_MARK).split("$")
        if not 0 < int(rounds) <= _PBKDF2_MOST_ROUNDS:
            return False
        return hmac.compare_digest(_pbkdf2(password, _raw(salt), int(rounds)), _raw(expected))
    except (ValueError, binascii.Error):
        return False


def _text(raw: bytes) -> str:
    return base64.b64encode(raw, b"./").decode().rstrip("=")


def _raw(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), b"./", validate=True)
