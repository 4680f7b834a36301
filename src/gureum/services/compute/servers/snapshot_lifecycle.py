"""The durable task of an image that is made of a server's disk: copy on the host, take in, clear the host.

    begin -> copy -> upload -> clear -> (gone)
       \\______\\_______\\-> failed -^

It runs beside the server's own task, under the image's id, and asks the host for a copy only: the server's row shows it
in `task_state`, which bars other verbs but a hard reboot and the deletion. Either spoils the copy, and the task makes
another or ends. The invariant: whatever ends it, the server is at rest again, the image is active or deleted, and the
action says which.
Read next: `agents/hypervisor/protocol.py` for the copy, `services/image/data/snapshot.py` for the image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import msgspec
from sqlalchemy import update

from gureum.agents.hypervisor.protocol import HypervisorAgent
from gureum.foundation import clock
from gureum.foundation.db.engine import Database, Tx
from gureum.foundation.fleet.failure import AgentFailure
from gureum.foundation.fleet.silence import Silence
from gureum.foundation.http.views import JsonValue
from gureum.foundation.shapes import converted
from gureum.foundation.tasks.lifecycle import Done, Goto, Lifecycle, Outcome, PermanentFailureError, Run, Sleep
from gureum.foundation.tasks.steps import step, steps_of, transactional
from gureum.services.compute.hosts.states import HostStates
from gureum.services.compute.servers.model import IMAGE_STATES, Server, ServerAction
from gureum.services.image.facade import Claim, ImageFacade, Received

T = TypeVar("T")

KIND = "server-image"
COPY_WITHIN_S = 6 * 3600.0
CLEAR_WITHIN_S = 3600.0
"""After that, what a host that does not answer holds is its own to sweep."""

_UNEXPLAINED = "The image of the server could not be made. An operator finds the cause in the server's action."
_, COPYING, COPIED, UPLOADING = IMAGE_STATES


class Job(msgspec.Struct, frozen=True):
    """What the task carries: the server, and the action that is to be ended."""

    server_id: str
    action: str
    request_id: str
    backup_type: str = ""
    rotation: int = -1

    def data(self) -> dict[str, JsonValue]:
        fields: dict[str, JsonValue] = msgspec.to_builtins(self)
        return fields


@dataclass(frozen=True)
class SnapshotLifecycle:
    """The steps as methods over their dependencies. `host_timeout_s` is how long a silent host is waited for."""

    database: Database
    hosts: HostStates
    image: ImageFacade
    host_timeout_s: float = 300.0

    def lifecycle(self) -> Lifecycle:
        return Lifecycle(KIND, steps_of(self), failed=self.failed)

    @transactional
    def begin(self, run: Run, tx: Tx) -> Outcome:
        server = _living(tx, _job(run))
        run.data["host"], run.data["owner"] = server.host, server.project_id
        _show(tx, server.id, COPYING)
        return Goto(self.copy)

    @step
    def copy(self, run: Run) -> Outcome:
        """The host has a whole copy of the disk, as it was at one moment."""
        job = _job(run)
        with self.database.read() as tx:
            _living(tx, job)
        try:
            answer = self._ask(run, lambda agent: agent.copy_disk(job.server_id, run.resource_id))
        except AgentFailure as failure:
            raise _given_up(failure) from failure
        if isinstance(answer, Silence):
            return self._wait_for(run, answer)
        if not answer.whole:
            return Sleep(0.5, f"host {run.data['host']} to copy the server's disk", COPY_WITHIN_S, self.failed)
        run.data["size"] = answer.size_bytes
        return Goto(self.upload, commit=lambda tx: _show(tx, job.server_id, COPIED))

    @step(transfer=True)
    def upload(self, run: Run) -> Outcome:
        """The copy's bytes are the image's."""
        job = _job(run)
        if (silence := self.hosts.agents.silence(run.data["host"])) is not None:
            return self._wait_for(run, silence)

        def claimed(tx: Tx) -> Claim:
            _living(tx, job)
            _show(tx, job.server_id, UPLOADING)
            return self.image.claim_snapshot(tx, run.resource_id)

        claim = self.database.write(claimed)
        received = self.image.receive_snapshot(claim, self._pieces(run, job))
        return Goto(self.clear, commit=lambda tx: self._finish(tx, run.resource_id, job, received))

    def _pieces(self, run: Run, job: Job) -> Iterator[bytes]:
        """The copy from its begin to its end, a few MiB at a time."""
        offset = 0
        while offset < run.data["size"]:
            try:
                piece = self._ask(run, partial(_read, job.server_id, run.resource_id, offset))
            except AgentFailure as failure:
                raise _given_up(failure) from failure
            if isinstance(piece, Silence):
                raise TimeoutError(f"waiting for {piece.awaited}")
            if not piece:
                raise PermanentFailureError(f"the copy ends after {offset} of {run.data['size']} bytes")
            offset += len(piece)
            yield piece

    def _finish(self, tx: Tx, image_id: str, job: Job, received: Received) -> None:
        kept = self.image.finish_snapshot(tx, image_id, received)
        message = None if kept else "The image was deleted while its data was made."
        if not kept:
            self.image.drop_snapshot(tx, image_id)
        elif job.rotation >= 0:
            mine = {"instance_uuid": job.server_id, "image_type": "backup", "backup_type": job.backup_type}
            self.image.rotate_backups(tx, image_id, mine, job.rotation)
        _end(tx, job, message)

    @transactional(ending=True)
    def failed(self, run: Run, tx: Tx) -> Outcome:
        """The image is gone, the server as before, and the action says why."""
        self.image.drop_snapshot(tx, run.resource_id)
        problem = run.problem
        _end(tx, _job(run), problem.public or _UNEXPLAINED, f"{problem.step}: {problem.text}")
        return Goto(self.clear)

    @step(ending=True)
    def clear(self, run: Run) -> Outcome:
        """Nothing of the copy is left on the host."""
        job, host = _job(run), run.data.get("host")
        if not host:
            return Done()
        since = run.data.setdefault("clearing_since", run.now)
        try:
            answer = self._ask(run, lambda agent: agent.drop_copy(job.server_id, run.resource_id))
        except AgentFailure as error:
            reason = f"host {host} to drop its copy ({error})"
        else:
            if answer is None:
                return Done()
            reason = answer.awaited
        return Done() if run.now - since > CLEAR_WITHIN_S else Sleep(5.0, reason)

    # -- the host ----------------------------------------------------------------------------------------

    def _ask(self, run: Run, call: Callable[[HypervisorAgent], T]) -> T | Silence:
        return self.hosts.agents.ask(run.data["host"], call, run)

    def _wait_for(self, run: Run, silence: Silence) -> Outcome:
        return silence.wait(run, self.host_timeout_s, self.failed, public="The server's host does not answer.")


def _read(server_id: str, copy_id: str, offset: int, agent: HypervisorAgent) -> bytes:
    return agent.read_copy(server_id, copy_id, offset)


def _job(run: Run) -> Job:
    return converted({name: run.data[name] for name in Job.__struct_fields__ if name in run.data}, Job)


def _given_up(failure: AgentFailure) -> Exception:
    """Return a retryable failure unchanged, any other as PermanentFailureError."""
    return failure if failure.retry else PermanentFailureError(str(failure), public=failure.public)


def _living(tx: Tx, job: Job) -> Server:
    """The server. Raises PermanentFailureError when it goes away."""
    server = tx.get(Server, job.server_id)
    if server is None or server.deleted_at is not None or server.task_state == "deleting":
        text = "The server was deleted while an image was made of it."
        raise PermanentFailureError(f"server {job.server_id} goes away", public=text)
    return server


def _show(tx: Tx, server_id: str, task_state: str | None) -> None:
    """Set the server's task state, unless another operation has set its own meanwhile."""
    mine = (Server.id == server_id, Server.task_state.in_(IMAGE_STATES))
    tx.execute(update(Server).where(*mine).values(task_state=task_state, updated_at=clock.utcnow()))


def _end(tx: Tx, job: Job, message: str | None, details: str = "") -> None:
    """Clear the server's task state and note how the action ended."""
    _show(tx, job.server_id, None)
    now = clock.utcnow()
    mine = (
        ServerAction.server_id == job.server_id,
        ServerAction.action == job.action,
        ServerAction.request_id == job.request_id,
        ServerAction.finished_at.is_(None),
    )
    values = {"finished_at": now, "updated_at": now, "message": message, "details": details or None}
    tx.execute(update(ServerAction).where(*mine).values(**values))
