"""One daemon's life in the supervisor: wait for what it needs, adopt it or start it, watch it, start it again.

Each keeper is a thread of the supervisor; the blocking reads like the story it is. During the first start a failure is
the whole lab's; after that a daemon that dies is started again, later each time, and `status.json` says so.
Every wait ends at once when the lab stops. Standard library only.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from gureum.lab.daemon import Daemon, Plan
from gureum.lab.process import Process, clean_environment, end, identify, read_pid_file, start_detached, write_pid_file
from gureum.lab.state import StateFolder

_LONGEST_BACKOFF_S = 30.0
_HEALTHY_S = 60.0  # who was ready for this long dies for the first time again
_POLL_S = 0.02
_END_S = 5.0


class Stopping(Exception):
    """The lab stops: every keeper leaves its daemon as it is and ends."""


class StartFailed(Exception):
    """The daemon cannot be started; the text is one sentence for the user."""


@dataclass(slots=True)
class Condition:
    """What `status` shows of one daemon."""

    state: str = "waiting"
    pid: int = 0
    restarts: int = 0
    problem: str = ""
    since: float = 0.0
    took_s: float = 0.0
    adopted: bool = False


@dataclass(slots=True)
class Running:
    """What all keepers of a supervisor share. `changed` and `failed` wake the supervisor's own thread."""

    state: StateFolder
    plan: Plan
    changed: Callable[[], None]
    failed: Callable[[str], None]
    tell: Callable[[str, str], None]  # (level, text) into the supervisor's log
    conditions: dict[str, Condition]
    ready: dict[str, threading.Event]
    stop: int = field(default_factory=lambda: os.eventfd(0, os.EFD_CLOEXEC))
    namespaces: dict[str, dict[str, int]] = field(default_factory=dict)  # holder -> kind -> descriptor
    complete: bool = False

    def pause(self, seconds: float, *descriptors: int) -> bool:
        """Wait for a descriptor or the time; whether a descriptor was readable. Raise Stopping when the lab stops."""
        poll = select.poll()
        for descriptor in (self.stop, *descriptors):
            poll.register(descriptor, select.POLLIN)
        found = [descriptor for descriptor, _ in poll.poll(seconds * 1000)]
        if self.stop in found:
            raise Stopping
        return bool(found)

    def halt(self) -> None:
        os.eventfd_write(self.stop, 1)

    def enter(self, name: str) -> tuple[str, ...]:
        """The command prefix that enters a namespace set through descriptors that this process holds open."""
        if not name:
            return ()
        held = self.namespaces[name].items()
        return ("nsenter", *(f"--{kind}=/proc/{os.getpid()}/fd/{descriptor}" for kind, descriptor in held), "--")

    def network_namespace(self, name: str) -> str:
        """The kernel's name of a held network namespace."""
        return str(Path(f"/proc/self/fd/{self.namespaces[name]['net']}").readlink())

    def fill(self, text: str) -> str:
        """Replace `{pid:NAME}`."""
        for name, condition in self.conditions.items():
            text = text.replace(f"{{pid:{name}}}", str(condition.pid))
        return text


class Keeper:
    """Keeps one daemon. `run` is the thread's body."""

    def __init__(self, daemon: Daemon, running: Running) -> None:
        self._daemon = daemon
        self._lab = running
        self._condition = running.conditions[daemon.name]
        self._child: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        try:
            for name in self._daemon.depends:
                while not self._lab.ready[name].wait(_POLL_S):
                    self._lab.pause(0)
            self._lab.pause(0)
            backoff = 0.0
            while True:
                backoff = self._one_life(backoff)
        except Stopping:
            return
        except Exception as error:  # a keeper's own mistake must not leave the lab half-started
            self._lab.failed(f"{self._daemon.title}: {error!r}")

    def _one_life(self, backoff: float) -> float:
        """From start to death. Return how long to wait before the next life."""
        begun, ready, process = time.monotonic(), None, None
        try:
            process = self._adopt() or self._start()
            self._show("starting", process)
            self._finish(process)
        except (StartFailed, OSError, subprocess.SubprocessError) as error:
            if process is not None and not self._condition.adopted:
                end([process], signal.SIGKILL, _END_S)  # the next life has a process of its own
                self._exit_code(process)
            self._refuse(error)
        else:
            ready = time.monotonic()
            self._condition.took_s = ready - begun
            self._show("running", process)
            if self._condition.restarts:
                again = f"runs again after {self._condition.took_s:.1f} s, pid {process.pid}"
                self._lab.tell("INFO", f"{self._daemon.name}: {again}")
            self._lab.ready[self._daemon.name].set()
            self._watch(process)
        died = time.monotonic()
        healthy = ready is not None and died - ready > _HEALTHY_S
        backoff = 0.2 if healthy or not backoff else min(backoff * 2, _LONGEST_BACKOFF_S)
        self._condition.restarts += 1
        self._condition.adopted = False
        self._show("restarting")
        again = f"start {self._condition.restarts + 1} in {backoff:g} s"
        self._lab.tell("WARNING", f"{self._daemon.name}: {self._condition.problem} after {died - begun:.1f} s; {again}")
        self._lab.pause(backoff)
        return backoff

    def _adopt(self) -> Process | None:
        """The process that an earlier supervisor left, if it is the same one and in the right namespaces."""
        process = read_pid_file(self._lab.state.pid_file(self._daemon.name))
        if not process or self._condition.restarts:
            return None
        inside = self._daemon.inside
        misplaced = inside and process.namespace("net") != self._lab.network_namespace(inside)
        if process.digest != self._daemon.digest() or misplaced:
            process.send(9)
            process.wait(5.0)
            return None
        self._condition.adopted = True
        return process

    def _start(self) -> Process:
        daemon, lab = self._daemon, self._lab
        self._show("starting")
        if daemon.before:
            self._script(daemon.before, daemon.inside)
        argv = [lab.fill(word) for word in daemon.argv]
        if daemon.name in lab.namespaces:  # the holder died, its namespaces did not
            argv = ["sleep", "infinity"]
        entered = daemon.name if daemon.name in lab.namespaces else daemon.inside
        environment = clean_environment(daemon.environment)
        log = lab.state.log(daemon.name)
        try:
            self._child = start_detached([*lab.enter(entered), *argv], environment, log)
        except FileNotFoundError as error:
            raise StartFailed(f"the program {error.filename} is missing") from error
        process = identify(self._child.pid, daemon.digest())
        if process is None:
            raise StartFailed(self._last_words())
        write_pid_file(lab.state.pid_file(daemon.name), process)
        return process

    def _finish(self, process: Process) -> None:
        """Wait until it is ready and run what follows."""
        deadline = time.monotonic() + self._daemon.ready.timeout_s
        while not self._is_ready(process):
            if not process.alive():
                raise StartFailed(self._last_words())
            if time.monotonic() > deadline:
                raise StartFailed(f"it was not ready within {self._daemon.ready.timeout_s:.0f} s; {self._last_words()}")
            self._lab.pause(_POLL_S)
        if self._daemon.holds:
            self._hold(process)
        if self._daemon.outside:
            self._script(self._daemon.outside, "")
        if self._daemon.after:
            self._script(self._daemon.after, self._daemon.name if self._daemon.holds else self._daemon.inside)

    def _hold(self, process: Process) -> None:
        """Keep the namespaces open, so that they live on when their holder is killed."""
        if self._daemon.name in self._lab.namespaces:
            return
        opened = {}
        for kind in ("net", "mnt", "uts"):
            path = Path(f"/proc/{process.pid}/ns/{kind}")
            if path.readlink() != Path(f"/proc/self/ns/{kind}").readlink():
                opened["mount" if kind == "mnt" else kind] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        if "mount" in opened:  # setns(2) goes to the namespace's own root, which is not ours inside a chroot
            root = os.open(f"/proc/{process.pid}/root", os.O_RDONLY | os.O_CLOEXEC)
            opened |= {"root": root, "wd": root}
        self._lab.namespaces[self._daemon.name] = opened

    def _is_ready(self, process: Process) -> bool:
        ready = self._daemon.ready
        if self._daemon.holds:
            try:
                return Path(f"/proc/{process.pid}/comm").read_text() == "sleep\n"
            except OSError:
                return False
        if ready.kind == "file":
            return Path(ready.target).exists()
        if ready.kind == "socket":
            return accepts(Path(ready.target))
        if ready.kind == "command":
            return self._command(ready.target, self._daemon.inside).returncode == 0
        return True

    def _watch(self, process: Process) -> None:
        try:
            descriptor = os.pidfd_open(process.pid)
        except ProcessLookupError:
            descriptor = -1
        try:
            if descriptor >= 0 and process.alive():
                while not self._lab.pause(3600, descriptor):
                    pass
        finally:
            if descriptor >= 0:
                os.close(descriptor)
        self._condition.problem = "it ended" + _how(self._exit_code(process))

    def _exit_code(self, process: Process) -> int | None:
        """Of a dead process; None for one that an earlier supervisor started."""
        child, self._child = self._child, None
        return child.wait() if child and child.pid == process.pid else None

    def _refuse(self, error: Exception) -> None:
        self._condition.problem = str(error)
        if not self._lab.complete:
            self._show("failed")
            self._lab.failed(f"{self._daemon.title} did not start: {error}")
            self._lab.pause(3600)

    def _script(self, text: str, inside: str) -> None:
        done = self._command(text, inside)
        if done.returncode:
            words = done.stderr.decode(errors="replace").strip().splitlines()
            raise StartFailed(words[-1] if words else f"its script ended with {done.returncode}")

    def _command(self, text: str, inside: str) -> subprocess.CompletedProcess[bytes]:
        argv = [*self._lab.enter(inside), "sh", "-ec", self._lab.fill(text)]
        environment = clean_environment(self._daemon.environment)
        return subprocess.run(
            argv, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60, cwd="/"
        )

    def _last_words(self) -> str:
        """The end of its log: the best account of a death at hand."""
        log = self._lab.state.log(self._daemon.name)
        with log.open("rb") as lines:
            lines.seek(max(0, log.stat().st_size - 2000))
            words = lines.read().decode(errors="replace").strip().splitlines()
        return (words[-1][:300] if words else "it ended without a word") + f" (see {log})"

    def _show(self, state: str, process: Process | None = None) -> None:
        self._condition.state = state
        self._condition.pid = process.pid if process else 0
        self._condition.since = time.time()
        self._lab.changed()


def accepts(socket_file: Path) -> bool:
    """Whether a unix socket answers. The path may be longer than a socket address: its folder is opened first."""
    try:
        folder = os.open(socket_file.parent, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(1.0)
            client.connect(f"/proc/self/fd/{folder}/{socket_file.name}")
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(folder)


def _how(code: int | None) -> str:
    if code is None:
        return ""
    return f" by signal {-code}" if code < 0 else f" with status {code}"
