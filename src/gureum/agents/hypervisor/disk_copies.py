"""Copies of servers' root disks, each made once by a thread of its own, then read in pieces and dropped.

While a machine is on the engine copies; while it is off qemu-img reads the files, and gives way as soon as the machine
is to be started, rebuilt or removed: `hold_off`. Nothing is kept in memory that a new agent needs: it finds the file,
the engine's copy under way, or begins anew.
Invariant: a copy under its own name is whole and never changes. A half-made one ends in `.part`.
Read next: `disks.py`, `gureum.drivers.hypervisor.interface.DiskCopier`.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from gureum.agents.hypervisor.disks import COPY_PREFIX, DiskFolder, failure_of
from gureum.agents.hypervisor.files import is_safe_name, move_into_place, part_of
from gureum.agents.hypervisor.protocol import COPY_PIECE_BYTES, DiskCopy
from gureum.agents.hypervisor.tools import Limits, RunningTool, ToolFailed
from gureum.drivers.hypervisor.interface import DiskCopier, HypervisorError, MachineIsOff, MachineNotFound
from gureum.foundation import log
from gureum.foundation.fleet.failure import AgentFailure

_log = logging.getLogger("gureum.agents.hypervisor.copies")

_POLL_S = 0.2
_STOP_S = 10.0
_LIMITS = Limits(cpu_s=7200)


@dataclass(eq=False)
class _Work:
    """A copy under way; `tool` while qemu-img makes it."""

    server_id: str
    copy_id: str
    stopping: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    failure: Exception | None = None
    tool: RunningTool | None = None


class DiskCopies:
    """Safe to use from several threads. `busy` says whether a server is being changed at this moment."""

    def __init__(self, driver: DiskCopier, disks: DiskFolder, busy: Callable[[str], bool]) -> None:
        self._driver = driver
        self._disks = disks
        self._busy = busy
        self._lock = threading.Lock()
        self._works: dict[tuple[str, str], _Work] = {}

    def make(self, server_id: str, copy_id: str, wait_s: float) -> DiskCopy:
        """As the protocol's `copy_disk`; waits `wait_s` at most. Raises AgentFailure."""
        self._require_names(server_id, copy_id)
        path = self._disks.of(server_id).copy(copy_id)
        with self._lock:
            work = self._works.get((server_id, copy_id))
            if work is None and not path.exists():
                work = self._works[server_id, copy_id] = _Work(server_id, copy_id)
                thread = threading.Thread(target=self._run, args=(work, log.request_id.get()), daemon=True)
                thread.name = f"copy-{copy_id[:8]}"
                thread.start()
        if work is not None:
            if not work.ended.wait(wait_s):
                return DiskCopy(whole=False)
            if work.failure is not None:
                raise work.failure
        try:
            return DiskCopy(whole=True, size_bytes=path.stat().st_size)
        except FileNotFoundError as error:
            raise AgentFailure(f"the copy {copy_id} of server {server_id} went away") from error

    def read(self, server_id: str, copy_id: str, offset: int) -> bytes:
        """As the protocol's `read_copy`. Raises AgentFailure."""
        self._require_names(server_id, copy_id)
        try:
            descriptor = os.open(self._disks.of(server_id).copy(copy_id), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise AgentFailure(f"server {server_id} has no copy {copy_id} here", retry=False) from error
        except OSError as error:
            raise failure_of(error) from error
        try:
            return os.pread(descriptor, COPY_PIECE_BYTES, max(offset, 0))
        finally:
            os.close(descriptor)

    def drop(self, server_id: str, copy_id: str) -> None:
        """As the protocol's `drop_copy`. Raises AgentFailure."""
        if not (is_safe_name(server_id) and is_safe_name(copy_id)):
            return
        with self._lock:
            work = self._works.get((server_id, copy_id))
        if work is not None:
            self._end(work)
        path = self._disks.of(server_id).copy(copy_id)
        try:
            self._driver.abort_copy(server_id, str(part_of(path)))
            part_of(path).unlink(missing_ok=True)
            path.unlink(missing_ok=True)
        except HypervisorError as error:
            raise AgentFailure(f"hypervisor: {error}") from error
        except OSError as error:
            raise failure_of(error) from error

    def hold_off(self, server_id: str) -> None:
        """Return once nothing here reads the server's files. While the server's lane is at work nothing begins to."""
        with self._lock:
            reading = [work for work in self._works.values() if work.server_id == server_id and work.tool is not None]
        for work in reading:
            self._end(work)

    def sweep(self, unused_s: float) -> None:
        """Remove whole copies that nobody dropped for so long: whoever wanted them is gone."""
        for server_id in self._disks.ids():
            for path in self._disks.of(server_id).folder.glob(COPY_PREFIX + "*"):
                copy_id = path.name.removeprefix(COPY_PREFIX)
                if (server_id, copy_id) in self._works or time.time() - path.stat().st_mtime < unused_s:
                    continue
                _log.warning("the copy %s of server %s was left behind: it is removed", copy_id, server_id)
                path.unlink(missing_ok=True)

    def stop(self) -> None:
        """End the threads; what the engine copies goes on."""
        with self._lock:
            works = list(self._works.values())
        for work in works:
            self._end(work)

    def _end(self, work: _Work) -> None:
        with self._lock:
            work.stopping.set()
            if work.tool is not None:
                work.tool.kill()
        if not work.ended.wait(_STOP_S):
            raise AgentFailure(f"the copy {work.copy_id} of server {work.server_id} does not end")

    def _run(self, work: _Work, request_id: str) -> None:
        log.request_id.set(request_id)
        began = time.monotonic()
        try:
            self._copy(work)
            _log.info("server %s: disk copied %s", work.server_id, log.took(time.monotonic() - began))
        except AgentFailure as failure:
            work.failure = failure
        except HypervisorError as error:
            work.failure = AgentFailure(f"hypervisor: {error}")
        except (OSError, ToolFailed) as error:
            work.failure = failure_of(error)
        except Exception as error:
            _log.exception("the copy %s of server %s", work.copy_id, work.server_id)
            work.failure = AgentFailure(f"{type(error).__name__}: {error}")
        finally:
            with self._lock:
                self._works.pop((work.server_id, work.copy_id), None)
            work.ended.set()

    def _copy(self, work: _Work) -> None:
        disks = self._disks.of(work.server_id)
        path = disks.copy(work.copy_id)
        part = part_of(path)
        if not disks.root.exists():
            raise AgentFailure(f"server {work.server_id} has no root disk here", retry=False)
        try:
            while not self._driver.copy_disk(work.server_id, str(disks.root), str(part)):
                if work.stopping.wait(_POLL_S):
                    raise AgentFailure(f"the copy {work.copy_id} of server {work.server_id} was ended")
        except (MachineIsOff, MachineNotFound):
            self._convert(work, str(disks.root), str(part))
        move_into_place(part, path)

    def _convert(self, work: _Work, source: str, target: str) -> None:
        with self._lock:
            if work.stopping.is_set() or self._busy(work.server_id):
                raise AgentFailure(f"server {work.server_id} is being changed")
            command = ["qemu-img", "convert", "-f", "qcow2", "-O", "qcow2", source, target]
            work.tool = RunningTool(command, _LIMITS)
        work.tool.wait()

    def _require_names(self, server_id: str, copy_id: str) -> None:
        if not (is_safe_name(server_id) and is_safe_name(copy_id)):
            raise AgentFailure(f"{server_id!r} or {copy_id!r} is no id", retry=False)
