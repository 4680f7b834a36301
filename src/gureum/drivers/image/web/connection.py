"""A connection to an address that was checked, on which no wait for data is longer than a second without a look around.

Not here: which addresses are allowed (`guard.py`) and what is asked (`fetch.py`).
Invariant: every byte that comes, of the head or of the data, counts for the minimum rate.
"""

from __future__ import annotations

import http.client
import io
import select
import socket
import ssl
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

from gureum.drivers.image.interface import Look
from gureum.drivers.image.pace import MinimumRate, Pace
from gureum.drivers.image.web.guard import Target

_CONNECT_S = 10.0
_MOST_TRIED = 4
"""Addresses of one name that are tried: whoever owns the name says how many it has, and all may be silent."""
_LOOK_S = 1.0
_BUFFER_BYTES = 64 << 10


@dataclass(frozen=True)
class Waiting:
    """How the other side is waited for: `idle_s` in silence, at a minimum rate, looking around with `look`."""

    idle_s: float
    minimum_rate: MinimumRate
    look: Look


class PinnedConnection(http.client.HTTPConnection):
    """Goes to one of the `checked` addresses; the target's name serves the Host header and the certificate."""

    def __init__(self, target: Target, checked: list[str], waiting: Waiting) -> None:
        super().__init__(target.host, target.port, timeout=waiting.idle_s)
        if target.scheme == "https":
            self.default_port = 443
        self._target = target
        self._checked = checked[:_MOST_TRIED]
        self._look = waiting.look
        self.response_class = partial(_Answer, waiting=waiting)  # type: ignore[assignment]  # it is called alone

    def connect(self) -> None:
        self.sock = self._reach()
        self.sock.settimeout(self.timeout)
        if self._target.scheme == "https":
            context = ssl.create_default_context()
            self.sock = context.wrap_socket(self.sock, server_hostname=self._target.host)

    def _reach(self) -> socket.socket:
        problem: OSError = OSError("no address")
        for address in self._checked:
            self._look()
            try:
                return socket.create_connection((address, self._target.port), timeout=_CONNECT_S)
            except OSError as error:
                problem = error
        raise problem


class _Answer(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *words: Any, waiting: Waiting, **options: Any) -> None:
        super().__init__(sock, *words, **options)
        self.fp = io.BufferedReader(_Reading(self.fp.detach(), sock, waiting), _BUFFER_BYTES)


class _Reading(io.RawIOBase):
    """The socket's bytes."""

    def __init__(self, inner: io.RawIOBase, sock: socket.socket, waiting: Waiting) -> None:
        self._inner, self._sock, self._waiting = inner, sock, waiting
        self._pace = Pace(waiting.minimum_rate)
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Raises TimeoutError after silence, TooSlow, and what `look` raises."""
        silent_s = 0.0
        while not self._is_ready():
            began = time.monotonic()
            self._poll.poll(_LOOK_S * 1000)
            waited_s = time.monotonic() - began
            silent_s += waited_s
            self._pace.waited(waited_s, 0)
            if silent_s >= self._waiting.idle_s:
                raise TimeoutError(f"nothing came for {self._waiting.idle_s:.0f} s")
        began = time.monotonic()
        count = self._inner.readinto(buffer)
        self._pace.waited(time.monotonic() - began, count or 0)
        return count

    def _is_ready(self) -> bool:
        self._waiting.look()
        if isinstance(self._sock, ssl.SSLSocket) and self._sock.pending():
            return True
        return bool(self._poll.poll(0))

    def close(self) -> None:
        self._inner.close()
        super().close()
