"""Receipts of multi-factor authentication: a first factor was right, the rest may follow within minutes.

Source: identity API reference, "Multi-factor authentication and auth receipts". A receipt opens nothing by itself.
"""

from __future__ import annotations

from gureum.foundation import clock
from gureum.foundation.errors import Unauthorized
from gureum.services.identity.tokens.fernet import ReceiptPayload, TokenKeys


class Receipts:
    def __init__(self, keys: TokenKeys, lifetime_s: float) -> None:
        self._keys = keys
        self._lifetime_s = lifetime_s

    def issue(self, user_id: str, methods: tuple[str, ...]) -> tuple[str, ReceiptPayload]:
        """The sealed text, and what it says."""
        now = clock.now()
        payload = ReceiptPayload(user_id, methods, now, now + self._lifetime_s)
        return self._keys.seal(payload), payload

    def open(self, text: str) -> ReceiptPayload:
        """Raises Unauthorized for what is no receipt, or too old."""
        payload = self._keys.open_as(ReceiptPayload, text)
        if payload.expires_at <= clock.now():
            raise Unauthorized(internal="the receipt has expired")
        return payload
