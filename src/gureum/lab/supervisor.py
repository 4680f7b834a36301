"""The process that `gureum up` leaves: starts a lab in order, keeps it, stops it in order when told to.

SIGTERM asks guests to shut down first, SIGINT cuts their power.

It holds no truth: killed with -9, everything else goes on, and the next one adopts what runs by the pid files. It
imports the standard library only, to stay small, and writes `run/status.json` for whoever asks.

Run as `python -S -m gureum.lab.supervisor STATE_FOLDER`, which returns at once. Read `keeper.py` for one daemon's life.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path

from gureum.lab.daemon import in_order, read_plan
from gureum.lab.keeper import Condition, Keeper, Running
from gureum.lab.process import Process, identify, write_pid_file
from gureum.lab.state import StateFolder, write_private
from gureum.lab.stopping import GUESTS_ASKED_S, stop_lab

_STATUS_INTERVAL_S = 0.05


class Supervisor:
    """Owns the keepers and the status file. `serve` returns the exit code."""

    def __init__(self, state: StateFolder) -> None:
        self._state = state
        self._plan = read_plan(state.plan)
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._asked_to_stop = False
        self._guests_s = GUESTS_ASKED_S
        self._problem = ""
        self._phase = "starting"
        self._begun = time.time()
        list(in_order(self._plan.daemons))
        names = [daemon.name for daemon in self._plan.daemons]
        self._running = Running(
            state=state,
            plan=self._plan,
            changed=self._nudge,
            failed=self._fail,
            tell=say,
            conditions={name: Condition() for name in names},
            ready={name: threading.Event() for name in names},
        )

    def serve(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        keepers = [Keeper(daemon, self._running) for daemon in self._plan.daemons]
        threads = [threading.Thread(target=keeper.run, daemon=True) for keeper in keepers]
        for thread in threads:
            thread.start()
        self._attend()
        return self._end(threads)

    def _attend(self) -> None:
        """Write the status as it changes until the lab is to stop."""
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        while not self._asked_to_stop and not self._problem:
            if self._phase == "starting" and all(event.is_set() for event in self._running.ready.values()):
                self._phase = "running"
                self._running.complete = True
                adopted = sum(condition.adopted for condition in self._running.conditions.values())
                more = f", {adopted} of them ran already" if adopted else ""
                say("INFO", f"all {len(self._plan.daemons)} daemons run{more}")
            self._write_status()
            poll.poll()
            time.sleep(_STATUS_INTERVAL_S if self._phase == "running" else _STATUS_INTERVAL_S / 5)
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self._wake)

    def _end(self, threads: list[threading.Thread]) -> int:
        failed = bool(self._problem)
        self._phase = "stopping"
        self._write_status()
        say("ERROR" if failed else "INFO", f"stopping: {self._problem or 'asked to'}")
        self._running.halt()
        for thread in threads:
            thread.join(timeout=70)
        only = None
        if failed:
            adopted = {name for name, condition in self._running.conditions.items() if condition.adopted}
            only = None if not adopted else {daemon.name for daemon in self._plan.daemons} - adopted
        stop_lab(self._state, self._plan, only, guests_s=self._guests_s)
        for condition in self._running.conditions.values():
            condition.state, condition.pid = (
                ("stopped", 0) if not condition.adopted or not failed else ("running", condition.pid)
            )
        self._phase = "failed" if failed else "stopped"
        self._write_status()
        return 1 if failed else 0

    def _nudge(self) -> None:
        os.eventfd_write(self._wake, 1)

    def _fail(self, problem: str) -> None:
        say("ERROR", problem)
        if not self._problem:
            self._problem = problem
        self._nudge()

    def _on_signal(self, number: int, _frame: object) -> None:
        self._asked_to_stop = True
        self._guests_s = 0.0 if number == signal.SIGINT else GUESTS_ASKED_S
        self._nudge()

    def _write_status(self) -> None:
        daemons = {
            daemon.name: {"title": daemon.title, **asdict(self._running.conditions[daemon.name])}
            for daemon in self._plan.daemons
        }
        status = {
            "phase": self._phase, "supervisor": os.getpid(), "since": self._begun, "problem": self._problem,
            "daemons": daemons,
        }  # fmt: skip
        try:
            write_private(self._state.status, json.dumps(status))
        except OSError as error:  # a full disk stops no daemon
            say("ERROR", f"status cannot be written: {error}")


def say(level: str, text: str) -> None:
    """One line in the format of `foundation/log.py`, which is too large to import here."""
    now = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
    sys.stderr.write(f"{stamp}.{int(now % 1 * 1000):03d}Z {level} supervisor gureum.lab - - - {text}\n")
    sys.stderr.flush()


def main(folder: str) -> int:
    state = StateFolder(Path(folder))
    lock = os.open(state.run / "supervisor.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("ERROR", "another supervisor keeps this lab")
        return 2
    os.umask(0o077)
    if child := os.fork():  # the caller goes on when the pid file is there; it is never the supervisor's parent
        write_pid_file(state.pid_file("supervisor"), identify(child) or Process(child, 0))
        os._exit(0)
    threading.stack_size(256 * 1024)
    code = Supervisor(state).serve()
    state.pid_file("supervisor").unlink(missing_ok=True)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
