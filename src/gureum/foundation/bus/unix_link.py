"""A connection on which both ends may call each other: the half that hub and peer share.

Invariant: every call sent over a link ends when the link does, at once, as a `Failure`. Next: `unix_socket.py`.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import msgspec

from gureum.foundation.bus.envelope import (
    Answer,
    Call,
    Failure,
    Notice,
    Outcome,
    Refusal,
    Register,
    Unregister,
    decode,
    encode,
    with_id,
)
from gureum.foundation.bus.routes import Reply, Routes
from gureum.foundation.bus.socket_loop import Connection, FrameError

_log = logging.getLogger(__name__)

REGISTER_WITHIN_S = 2.0
_SWEEP_FROM = 1024
"""So many calls may await their answers before those whose callers have given up are forgotten."""


class Link:
    """A `Target` for calls to the other end, a `Listener` for notices to it, and the `Receiver` of its frames."""

    def __init__(self, connection: Connection, routes: Routes) -> None:
        self._connection = connection
        self._routes = routes
        self._ids = itertools.count(1)
        self._pending: dict[int, tuple[Reply, float]] = {}
        self._sweep_at = _SWEEP_FROM

    def deliver(self, call: Call, reply: Reply) -> None:
        """Send a call to the other end under an id of this link's own."""
        call_id = self._expect(reply, call.timeout_s)
        sent = Call(call_id, call.name, call.method, call.payload, call.timeout_s, call.request_id)
        if not self._connection.send(encode(sent)):
            self._fail(call_id, f"{call.name}: its process is gone or does not read")

    def register(self, names: tuple[str, ...], topics: tuple[str, ...], reply: Reply) -> None:
        """Tell the hub what this end serves and wants."""
        call_id = self._expect(reply, REGISTER_WITHIN_S)
        self._tell(Register(call_id, names, topics))

    def unregister(self, names: tuple[str, ...], topics: tuple[str, ...], reply: Reply) -> None:
        """Take names and topics back. The end of the link does the same."""
        call_id = self._expect(reply, REGISTER_WITHIN_S)
        self._tell(Unregister(call_id, names, topics))

    def notify(self, notice: Notice) -> None:
        """Send a notice; it is lost when the other end is too far behind."""
        self._connection.send(encode(notice))

    def received(self, body: bytes) -> None:
        """Take one frame."""
        try:
            frame = decode(body)
        except msgspec.MsgspecError as error:
            raise FrameError(f"not a frame: {error}") from error
        if isinstance(frame, Call):
            self._routes.route(frame, partial(self._answer, frame.id))
        elif isinstance(frame, Answer | Refusal | Failure):
            entry = self._pending.pop(frame.id, None)
            if entry is not None:
                entry[0](frame)
        elif isinstance(frame, Notice):
            self._routes.notify(frame, sender=self)
        else:
            self.registered(frame)

    def registered(self, frame: Register | Unregister) -> None:
        """Take what only a hub understands."""
        raise FrameError(f"a {type(frame).__name__} frame where no hub is")

    def lost(self) -> None:
        """End every call that waits for the other end."""
        for call_id in list(self._pending):
            self._fail(call_id, "the connection broke before the answer came")

    def abandon(self) -> None:
        """Break the link."""
        self._connection.abandon()

    def _answer(self, call_id: int, outcome: Outcome) -> None:
        frame = outcome if outcome.id == call_id else with_id(outcome, call_id)
        self._connection.send(encode(frame))

    def _tell(self, frame: Register | Unregister) -> None:
        if not self._connection.send(encode(frame)):
            self._fail(frame.id, "the hub is gone or does not read")

    def _expect(self, reply: Reply, timeout_s: float) -> int:
        call_id = next(self._ids)
        now = time.monotonic()
        if len(self._pending) >= self._sweep_at:
            for old, (_, deadline) in list(self._pending.items()):
                if deadline < now:
                    self._pending.pop(old, None)
            self._sweep_at = max(_SWEEP_FROM, 2 * len(self._pending))
        self._pending[call_id] = (reply, now + timeout_s + 1.0)
        return call_id

    def _fail(self, call_id: int, text: str) -> None:
        entry = self._pending.pop(call_id, None)
        if entry is not None:
            entry[0](Failure(call_id, "error", text))


@contextlib.contextmanager
def short_address(path: Path) -> Iterator[str]:
    """Yield an address of the socket that fits into the 107 bytes of sockaddr_un, however deep its folder is."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
