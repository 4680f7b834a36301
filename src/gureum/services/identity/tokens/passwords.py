"""Password hashes: argon2id for ours, bcrypt read for users that came from elsewhere.

Checking takes the same time whether the user exists or not: an unknown user is checked against a hash that no
password fits.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import threading

from argon2 import PasswordHasher, Type
from argon2.exceptions import VerificationError

from gureum.foundation.config import AuthConfig

_SECRET_MARK = "sha256:"  # noqa: S105 a format's name


class Passwords:
    """As many hashes at once as there are processors: more would take their memory and be no sooner done."""

    def __init__(self, config: AuthConfig) -> None:
        self._hasher = PasswordHasher(
            time_cost=config.hash_time_cost, memory_cost=config.hash_memory_kib, parallelism=1, type=Type.ID
        )
        self._nobody = ""
        self._turns = threading.BoundedSemaphore(os.cpu_count() or 1)

    def hash(self, password: str) -> str:
        with self._turns:
            return self._hasher.hash(password)

    def fits(self, password: str, stored: str | None) -> bool:
        """Whether the password is the one of the stored hash; as slow for a missing hash as for a wrong one."""
        if not stored:
            self._nobody = self._nobody or self.hash(secrets.token_hex())
            stored = self._nobody
            self._fits(password, stored)
            return False
        return self._fits(password, stored)

    def _fits(self, password: str, stored: str) -> bool:
        if stored.startswith("$2"):
            import bcrypt

            return bcrypt.checkpw(password.encode()[:72], stored.encode())
        try:
            with self._turns:
                return self._hasher.verify(stored, password)
        except VerificationError:
            return False

    def hash_made_secret(self, secret: str) -> str:
        """For secrets of 256 random bits that the cloud made: no guessing to slow down."""
        return _SECRET_MARK + hashlib.sha256(secret.encode()).hexdigest()

    def secret_fits(self, secret: str, stored: str) -> bool:
        if stored.startswith(_SECRET_MARK):
            return hmac.compare_digest(self.hash_made_secret(secret), stored)
        return self.fits(secret, stored)
