"""One connection to libvirt's service, opened again by itself when the service was restarted.

It knows no machines. Every piece of work handed to `call` must be safe to repeat, because one that met a broken
connection is repeated once on a new one. Errors leave as HypervisorError or MachineNotFound, never as libvirt's own.
Threads may share it. Next: `events.py` for the event loop, `driver.py` for the work.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import libvirt

from gureum.drivers.hypervisor.interface import HypervisorError, MachineNotFound
from gureum.drivers.hypervisor.libvirt.events import PowerEvents, start_event_loop

Answer = TypeVar("Answer")

# A service that is stopped, not ended, never closes its socket: without keep-alive a call would wait for ever.
_KEEPALIVE_INTERVAL_S = 5
_KEEPALIVE_COUNT = 4


class Connection:
    """Lazy and shared; the first `call` opens it."""

    def __init__(self, uri: str, events: PowerEvents) -> None:
        self._uri = uri
        self._events = events
        self._guard = threading.Lock()
        self._open: Any = None

    def call(self, work: Callable[[Any], Answer]) -> Answer:
        """Give `work` the virConnect and return its answer; work on a connection that broke is repeated once."""
        connection = self._get()
        try:
            return work(connection)
        except libvirt.libvirtError as error:
            if _is_alive(connection):
                raise _translated(error) from error
        self._drop(connection)
        try:
            return work(self._get())
        except libvirt.libvirtError as error:
            raise _translated(error) from error

    def close(self) -> None:
        """Let go of the connection; a later call opens another."""
        with self._guard:
            connection, self._open = self._open, None
        if connection is not None:
            self._let_go(connection)

    def _get(self) -> Any:
        with self._guard:
            if self._open is not None and not _is_alive(self._open):
                self._let_go(self._open)
                self._open = None
            if self._open is None:
                self._open = self._connect()
            return self._open

    def _connect(self) -> Any:
        start_event_loop()
        try:
            connection = libvirt.open(self._uri)
            connection.setKeepAlive(_KEEPALIVE_INTERVAL_S, _KEEPALIVE_COUNT)
            self._events.register(connection)
        except libvirt.libvirtError as error:
            raise HypervisorError(f"libvirt does not answer at {self._uri}: {error}") from error
        return connection

    def _drop(self, connection: Any) -> None:
        with self._guard:
            if self._open is not connection:
                return
            self._open = None
        self._let_go(connection)

    def _let_go(self, connection: Any) -> None:
        self._events.unregister(connection)
        with contextlib.suppress(libvirt.libvirtError):
            connection.close()


def _is_alive(connection: Any) -> bool:
    try:
        return bool(connection.isAlive())
    except libvirt.libvirtError:
        return False


def _translated(error: Any) -> HypervisorError:
    if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
        return MachineNotFound(str(error))
    return HypervisorError(str(error))
