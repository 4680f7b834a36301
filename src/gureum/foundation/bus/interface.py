"""The bus: calls to named hosts, and notifications on named topics. It carries no truth.

A call either returns the callee's answer or raises; a notification may be lost, repeated or late. Whoever
depends on one has a row in the database and a deadline. Payloads are bytes that the two ends agree on; the
bus reads only the envelope. Every transport passes `tests/contracts/test_bus.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

Handler = Callable[[str, bytes], bytes]
"""(method, payload) -> answer. Raises `Refused` to send a typed refusal back."""

Subscriber = Callable[[bytes], None]


class BusError(Exception):
    """The call got no answer: nobody serves the name, the transport is down, or time ran out."""


class NobodyServes(BusError):
    """No process serves this name now."""


class CallTimeout(BusError):
    """No answer within the time; the callee may or may not have acted."""


class Refused(Exception):
    """The callee answered with a refusal. `code` is for programs, `text` for operators, `detail` is payload."""

    def __init__(self, code: str, text: str = "", detail: bytes = b"") -> None:
        super().__init__(text or code)
        self.code = code
        self.text = text or code
        self.detail = detail


class Bus(Protocol):
    """All methods are safe to call from several threads. Callbacks run on the bus's own worker threads."""

    def call(self, name: str, method: str, payload: bytes, *, timeout_s: float, request_id: str = "") -> bytes: ...

    def serve(self, name: str, handler: Handler, *, threads: int = 4) -> Callable[[], None]:
        """Answer calls to `name` until the returned function is called. The bus re-registers after reconnects.

        While a handler runs, `gureum.foundation.log.request_id` holds the caller's request id.
        """
        ...

    def publish(self, topic: str, payload: bytes) -> None:
        """Tell every current subscriber of `topic`, in all processes; never raises, never blocks for long."""
        ...

    def subscribe(self, topic: str, subscriber: Subscriber) -> Callable[[], None]: ...

    def connected(self) -> bool: ...

    def close(self) -> None: ...
