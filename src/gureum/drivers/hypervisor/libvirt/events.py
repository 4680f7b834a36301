"""From libvirt's lifecycle events to `on_change(server_id)`, for power that changed by itself.

A change that the driver itself made is not reported: the driver says beforehand what it expects, and an event
that brings just that is dropped. Whatever is in doubt is reported, since a report only makes the agent look.
Callbacks run in one thread of this object, never in libvirt's event loop, which they could not call back into.
Invariant: when the connection was lost, every machine whose power is not the expected one is reported once it is
back, so that a change in between is not missed. Next: `driver.py`.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import libvirt

from gureum.drivers.hypervisor.interface import HypervisorError, MachineState, Power

_log = logging.getLogger(__name__)

_loop_guard = threading.Lock()
_loop_running = False

_RECONNECT_WAIT_S = (0.2, 0.5, 1.0, 2.0, 5.0)

# libvirt answers before it has found all its guests again, and announces none that it finds dead by then.
_SECOND_LOOK_S = 3.0

# In the queue beside server ids: the connection was lost or opened anew, look at every machine.
_LOOK_AGAIN = ""


def start_event_loop() -> None:
    """Run libvirt's event loop in one daemon thread of this process; needed before a connection is opened."""
    global _loop_running  # noqa: PLW0603 - libvirt has one event loop for a process, so we have one flag
    with _loop_guard:
        if _loop_running:
            return
        libvirt.virEventRegisterDefaultImpl()
        # The default handler prints to standard error what the exceptions say as well.
        libvirt.registerErrorHandler(lambda *_: None, None)
        threading.Thread(target=_run_loop, name="libvirt-events", daemon=True).start()
        _loop_running = True


def _run_loop() -> None:
    while True:
        try:
            libvirt.virEventRunDefaultImpl()
        except libvirt.libvirtError:
            _log.exception("libvirt's event loop failed once; it goes on")


def power_after(event: int, detail: int) -> Power | None:
    """The power that a lifecycle event leads to; None for events that do not change it.

    Source: virDomainEventType and its details in libvirt's domain reference.
    """
    if event in (libvirt.VIR_DOMAIN_EVENT_STARTED, libvirt.VIR_DOMAIN_EVENT_RESUMED):
        return "running"
    if event in (libvirt.VIR_DOMAIN_EVENT_SUSPENDED, libvirt.VIR_DOMAIN_EVENT_PMSUSPENDED):
        return "paused"
    if event == libvirt.VIR_DOMAIN_EVENT_CRASHED:
        return "crashed"
    if event == libvirt.VIR_DOMAIN_EVENT_STOPPED:
        broken = (libvirt.VIR_DOMAIN_EVENT_STOPPED_CRASHED, libvirt.VIR_DOMAIN_EVENT_STOPPED_FAILED)
        return "crashed" if detail in broken else "stopped"
    return None


class PowerEvents:
    """Watchers of one driver. `look` reads all machines (and so reconnects); `is_ours` says whose a domain is."""

    def __init__(self, look: Callable[[], Mapping[str, MachineState]], is_ours: Callable[[str], bool]) -> None:
        self._look = look
        self._is_ours = is_ours
        self._guard = threading.Lock()
        self._expected: dict[str, Power] = {}
        self._watchers: dict[int, Callable[[str], None]] = {}
        self._keys = itertools.count()
        self._events: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._registered = False
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    def expect(self, server_id: str, power: Power) -> None:
        """What the driver is about to do to a machine."""
        with self._guard:
            self._expected[server_id] = power

    def forget(self, server_id: str) -> None:
        """Nothing is known of the machine any more."""
        with self._guard:
            self._expected.pop(server_id, None)

    def subscribe(self, on_change: Callable[[str], None]) -> Callable[[], None]:
        """Add a watcher; the answer ends it."""
        with self._guard:
            key = next(self._keys)
            self._watchers[key] = on_change
            if self._thread is None:
                self._thread = threading.Thread(target=self._deliver, name="hypervisor-watch", daemon=True)
                self._thread.start()

        def stop() -> None:
            with self._guard:
                self._watchers.pop(key, None)

        return stop

    def register(self, connection: Any) -> None:
        """Listen on a newly opened connection; from the second on, look for what was missed."""
        connection.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._on_lifecycle, None)
        connection.registerCloseCallback(self._on_close, None)
        if self._registered:
            self._put(_LOOK_AGAIN)
        self._registered = True

    def unregister(self, connection: Any) -> None:
        """Let go of a connection before it is closed, so that it can be freed."""
        with contextlib.suppress(libvirt.libvirtError):
            connection.unregisterCloseCallback()

    def look_when_back(self) -> None:
        """Try to reach libvirt until it answers, then report every machine that is not as expected."""
        self._put(_LOOK_AGAIN)

    def close(self) -> None:
        """End delivery and its thread."""
        self._closed.set()
        self._events.put(_LOOK_AGAIN)
        with self._guard:
            self._watchers.clear()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _on_lifecycle(self, _connection: Any, domain: Any, event: int, detail: int, _opaque: object) -> None:
        power = power_after(event, detail)
        # Judged on arrival: by the time of delivery the driver may expect something else already.
        if power is not None and self._is_news(domain.UUIDString(), power, event):
            self._put(domain.UUIDString())

    def _on_close(self, _connection: Any, _reason: int, _opaque: object) -> None:
        self._put(_LOOK_AGAIN)

    def _put(self, event: str) -> None:
        # Without a watcher nobody empties the queue.
        if self._watchers:
            self._events.put(event)

    def _deliver(self) -> None:
        second_look: float | None = None
        while not self._closed.is_set():
            try:
                left_s = None if second_look is None else max(0.0, second_look - time.monotonic())
                event = self._events.get(timeout=left_s)
            except queue.Empty:
                second_look = None
                self._look_again()
                continue
            if self._closed.is_set():
                return
            if event == _LOOK_AGAIN:
                self._look_again()
                second_look = time.monotonic() + _SECOND_LOOK_S
            elif self._is_ours_safely(event):
                self._tell(event)

    def _is_news(self, server_id: str, power: Power, event: int) -> bool:
        with self._guard:
            expected = self._expected.get(server_id)
            # Starting paused is announced as a start and then a suspension.
            if power == expected or (event == libvirt.VIR_DOMAIN_EVENT_STARTED and expected == "paused"):
                return False
            # From here on it is unknown what the machine does; the next event is news again.
            self._expected.pop(server_id, None)
            return True

    def _is_ours_safely(self, server_id: str) -> bool:
        with contextlib.suppress(HypervisorError):
            return self._is_ours(server_id)
        return False

    def _look_again(self) -> None:
        attempt = 0
        while not self._closed.wait(_RECONNECT_WAIT_S[min(attempt, len(_RECONNECT_WAIT_S) - 1)]):
            attempt += 1
            try:
                machines = self._look()
            except HypervisorError as error:
                _log.warning("the hypervisor's service does not answer: %s", error)
                continue
            with self._guard:
                changed = {
                    server_id: machine.power
                    for server_id, machine in machines.items()
                    if machine.power != self._expected.get(server_id)
                }
                self._expected.update(changed)
            for server_id in changed:
                self._tell(server_id)
            return

    def _tell(self, server_id: str) -> None:
        with self._guard:
            watchers = list(self._watchers.values())
        for watcher in watchers:
            try:
                watcher(server_id)
            except Exception:
                _log.exception("a watcher failed for server %s", server_id)
