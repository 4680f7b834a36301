"""Faults on demand for simulated hosts: the next call on a host fails, is late, or hangs until it is let go.

It changes nothing by itself: a simulated agent asks before each call. A plan may be changed while calls run.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import dataclass
from typing import Literal

from gureum.foundation.fleet.failure import AgentFailure

Call = Literal[
    "ensure_server", "remove_server", "observe", "console_log", "guest_password", "copy_disk", "read_copy", "drop_copy"
]

_HANG_LIMIT_S = 600.0


@dataclass(frozen=True, slots=True)
class Fault:
    """`kind` "fail" raises AgentFailure with these texts; "delay" waits `seconds`; "hang" waits for `release`."""

    kind: Literal["fail", "delay", "hang"]
    call: Call = "ensure_server"
    times: int = 1
    text: str = "simulated fault"
    public: str = ""
    retry: bool = True
    seconds: float = 0.0


class FaultPlan:
    """What goes wrong next, by host. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: defaultdict[tuple[str, Call], list[Fault]] = defaultdict(list)
        self._released = threading.Event()

    def add(self, host: str, fault: Fault) -> None:
        """Let the host's next `times` such calls meet the fault."""
        with self._lock:
            self._released.clear()
            self._faults[host, fault.call] += [fault] * fault.times

    def clear(self) -> None:
        """Forget every fault that was not met yet, and release those who hang."""
        with self._lock:
            self._faults.clear()
        self.release()

    def release(self) -> None:
        """Let every call that hangs go on."""
        self._released.set()

    def meet(self, host: str, call: Call) -> None:
        """Suffer the host's next fault, if there is one. Raises AgentFailure."""
        if not self._faults:
            return
        with self._lock:
            waiting = self._faults.get((host, call))
            if not waiting:
                return
            fault = waiting.pop(0)
            if not waiting:
                del self._faults[host, call]
        if fault.kind == "fail":
            raise AgentFailure(fault.text, public=fault.public, retry=fault.retry)
        if fault.kind == "delay":
            threading.Event().wait(fault.seconds)
        else:
            self._released.wait(_HANG_LIMIT_S)
