"""The durable task of a server: place, claim, boot, wire, run, rest; change and rest again; destroy.

    place -> boot -> wire -> rest <-> change
       \\________\\_______\\-> failed -> give_back -> place again, or rest in ERROR
    anything -> destroy -> clear_host -> release -> (gone)

`boot` has the host define the machine and hold it paused with its interfaces plugged; `wire` waits until the
virtual network says that its ports are up, then lets the guest run. The invariant: a claim, ports and a host's
machine exist only while the row points at them, and the step that removes the pointer removed them before.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
from cryptography.fernet import InvalidToken
from sqlalchemy import bindparam, select, update

from gureum.agents.hypervisor.protocol import ImageSource, ServerObserved, ServerSpec
from gureum.foundation import clock
from gureum.foundation.db.engine import Database, Tx
from gureum.foundation.db.prepared import Prepared, columns_of, table_of, update_of
from gureum.foundation.events.outbox import Events
from gureum.foundation.fleet.failure import AgentFailure
from gureum.foundation.fleet.silence import Cause, Silence
from gureum.foundation.shapes import converted
from gureum.foundation.tasks.lifecycle import (
    Done,
    Goto,
    Lifecycle,
    Outcome,
    PermanentFailureError,
    Problem,
    Run,
    Sleep,
    Wait,
)
from gureum.foundation.tasks.steps import step, steps_of, transactional
from gureum.services.compute.events import ServerDeleted, ServerStarted, ServerStopped
from gureum.services.compute.hosts.states import HostStates
from gureum.services.compute.servers.choosing import choice_of
from gureum.services.compute.servers.groups import wish_of
from gureum.services.compute.servers.model import (
    IMAGE_ACTIONS,
    IMAGE_STATES,
    NO_STATE,
    POWER_STATES,
    TASK_KIND,
    Server,
    ServerAction,
    WantedServer,
)
from gureum.services.compute.servers.rules import resources_of, traits_of
from gureum.services.compute.servers.spec import spec_of
from gureum.services.image.facade import ImageFacade
from gureum.services.network.facade import NetworkFacade
from gureum.services.placement.facade import PlacementFacade, Wanted

log = logging.getLogger("gureum.servers")

HOSTS_TO_TRY = 3
AT_REST = "nothing: the server is at rest"


@dataclass(frozen=True)
class ServerLifecycle:
    """The steps as methods over their dependencies; `lifecycle()` is what the engine runs."""

    database: Database
    hosts: HostStates
    placement: PlacementFacade
    network: NetworkFacade
    image: ImageFacade
    port_up_timeout_s: float = 120.0
    host_timeout_s: float = 300.0
    open_text: Callable[[str], str] = str
    """Opens what `operations.kept_password` sealed."""
    events: Events = field(default_factory=Events)

    def lifecycle(self) -> Lifecycle:
        return Lifecycle(TASK_KIND, steps_of(self), failed=self.failed)

    # -- creation ----------------------------------------------------------------------------------------

    @transactional
    def place(self, run: Run, tx: Tx) -> Outcome:
        """Choose a host, claim its resources and bind the ports to it, in one transaction."""
        server = _read(tx, run.resource_id)
        resources = resources_of(server.flavor, server.image)
        required, forbidden = traits_of(server.flavor.get("extra_specs", {}))
        wish = wish_of(tx, server, frozenset(run.data.get("tried", [])))
        choice = choice_of(tx, self.placement, self.hosts, Wanted(resources, required, forbidden), wish)
        if choice.host is None and self.hosts.awaits_hosts(self.hosts.facts(tx)):
            return Sleep(0.3, "the hosts to report to a control plane that just started")
        if choice.host is None:
            text = "; ".join(filter(None, [choice.internal_reason(), run.data.get("last_build")]))
            public = run.data.get("public") or choice.public_reason()
            run.gives_up(Problem(run.step, text, public, final=True))
            return Goto(self.failed)
        amounts = {choice.host.provider_id: resources}
        if not self.placement.claim(tx, server.id, server.project_id, server.user_id, amounts):
            return Sleep(0.05, f"another claim took host {choice.host.name}")
        _PLACED.run(tx, of=server.id, host=choice.host.name, task_state="spawning")
        self.network.bind(tx, server.id, choice.host.name)
        return Goto(self.boot)

    @step
    def boot(self, run: Run) -> Outcome:
        """The host prepares disks and holds the machine paused, its interfaces plugged."""
        server, spec, missing = self._spec(run)
        if spec.nics:
            spec = msgspec.structs.replace(spec, power="paused")
        answer = self._ensure(run, server, spec)
        if not isinstance(answer, ServerObserved):
            return answer
        if not spec.nics:
            return self._at_rest(lambda tx: self._built(tx, run, server, answer))
        # A port that came up since the ports were read has signalled the task, and that wait ends at once.
        return self._wait_for(missing) if missing else Goto(self.wire)

    def _wait_for(self, ports: list[str]) -> Wait:
        reason = f"the virtual network to bring up ports {', '.join(ports)}"
        return Wait(reason, self.port_up_timeout_s, self.failed, step=self.wire)

    @step
    def wire(self, run: Run) -> Outcome:
        """Hold the guest until each of its ports is up, so that its first packets are not lost; then let it run."""
        server, spec, missing = self._spec(run)
        # With ports missing, something else woke the task: the host may have lost the machine that it held.
        answer = self._ensure(run, server, msgspec.structs.replace(spec, power="paused") if missing else spec)
        if not isinstance(answer, ServerObserved):
            return answer
        if missing:
            return self._wait_for(missing)
        return self._at_rest(lambda tx: self._built(tx, run, server, answer))

    def _at_rest(self, commit: Callable[[Tx], None]) -> Wait:
        """Come to rest; what was wanted meanwhile has signalled the task, and `rest` looks at it."""
        return Wait(AT_REST, step=self.rest, commit=commit)

    def _built(self, tx: Tx, run: Run, server: WantedServer, observed: ServerObserved) -> None:
        now = clock.utcnow()
        state = "active" if observed.power != "stopped" else "stopped"
        fixed = {"vm_state": state, "task_state": None, "fault": None, "launched_at": now, "updated_at": now}
        fixed["sealed_password"] = None  # it is on the config drive now
        if not _BUILT.run(tx, of=server.id, **_done(server, observed), **fixed):
            raise _gone(server.id)
        self.events.emit(tx, (ServerStarted if state == "active" else ServerStopped).of(server))
        run.data.clear()
        _finish_action(tx, server.id)

    # -- at rest -----------------------------------------------------------------------------------------

    @transactional
    def rest(self, _run: Run, tx: Tx) -> Outcome:
        """Nothing to do until the row wants something that the host has not reported done."""
        server = _get(tx, _run.resource_id)
        if server.vm_state == "error" and server.done_boot == server.boot:
            return Wait("a person: the server is in ERROR")
        wanted = (server.boot, server.disk, server.spec)
        if server.host and wanted != (server.done_boot, server.done_disk, server.done_spec):
            return Goto(self.change)
        return Wait(AT_REST)

    @step
    def change(self, run: Run) -> Outcome:
        """Have the host make the row's wish true: power, a new boot, a new disk, new documents, other interfaces."""
        server, spec, _ = self._spec(run)
        answer = self._ensure(run, server, spec)
        if not isinstance(answer, ServerObserved):
            return answer
        if answer.boot < spec.boot or answer.power != spec.power:
            # The guest was asked politely and has its time; asking again joins the shutdown under way.
            return Sleep(1.0, "the guest to shut down", spec.grace_s + 60.0, self.failed)
        return self._at_rest(lambda tx: self._changed(tx, run, server, answer))

    def _changed(self, tx: Tx, run: Run, asked: WantedServer, observed: ServerObserved) -> None:
        server = _get(tx, asked.id)
        for name, value in _done(asked, observed).items():
            setattr(server, name, value)
        server.updated_at = clock.utcnow()
        if server.task_state is not None or server.vm_state != "error":
            states = {"running": "active", "paused": "paused", "stopped": "stopped"}
            before, server.vm_state = server.vm_state, states.get(observed.power, server.vm_state)
            if server.vm_state != before and server.vm_state in _POWER_EVENTS:
                self.events.emit(tx, _POWER_EVENTS[server.vm_state].of(server))
        run.data.pop("source", None)
        if server.disk == server.done_disk:
            server.sealed_password = None
        if (server.boot, server.disk) == (server.done_boot, server.done_disk):
            if server.task_state not in IMAGE_STATES:
                server.task_state = None
            server.fault = None
            _finish_action(tx, server.id)

    # -- failure -----------------------------------------------------------------------------------------

    @transactional
    def failed(self, run: Run, tx: Tx) -> Outcome:
        """Name the cause on the server. A build that failed on a host gives everything back first."""
        server = _get(tx, run.resource_id)
        problem = run.problem
        what = "be built" if server.launched_at is None else "do what was asked of it"
        public = problem.public or f"The server could not {what}. An operator finds the cause in its action."
        server.fault = {
            "code": 500,
            "created": clock.iso(clock.utcnow()),
            "message": public[:255],
            "details": f"{problem.step}: {problem.text}",
        }
        building = server.launched_at is None or server.disk != server.done_disk
        if building and server.launched_at is None and not problem.final:
            return Goto(self.give_back)
        server.vm_state, server.task_state, server.sealed_password = "error", None, None
        server.boot = server.done_boot = max(server.boot, server.done_boot)
        server.disk, server.done_spec = server.done_disk, server.spec
        _finish_action(tx, server.id, public, problem.text)
        return Goto(self.rest)

    @step
    def give_back(self, run: Run) -> Outcome:
        """Clear the host of a failed build and release its claim; then try another host, or rest in ERROR."""
        with self.database.read() as tx:
            server = _read(tx, run.resource_id)
        tried = [*run.data.get("tried", []), server.host or ""]
        if (answer := self._remove(run, server)) is not None:
            return answer
        lost = not self.hosts.agents.answers(server.host or "")
        again = len(tried) < HOSTS_TO_TRY and (run.problem.step != self.wire.name or lost)
        run.data["tried"] = tried
        run.data["public"] = run.problem.public
        run.data["last_build"] = f"on {server.host}: {run.problem.text}"

        def commit(tx: Tx) -> None:
            row = _get(tx, run.resource_id)
            self.placement.release(tx, row.id)
            self.network.bind(tx, row.id, None)
            row.host = None
            row.task_state = "scheduling" if again else None
            if not again:
                row.vm_state, row.sealed_password = "error", None
                row.boot = row.done_boot = max(row.boot, 1)
                row.done_spec = row.spec
                fault = row.fault
                _finish_action(tx, row.id, fault["message"] if fault else "", fault["details"] if fault else "")

        return Goto(self.place if again else self.rest, commit)

    # -- the end -----------------------------------------------------------------------------------------

    @transactional(ending=True)
    def destroy(self, run: Run, tx: Tx) -> Outcome:
        server = _read(tx, run.resource_id)
        if server.task_state != "deleting":
            _DELETING.run(tx, of=server.id, task_state="deleting")
        return Goto(self.clear_host if server.host else self.release)

    @step(ending=True)
    def clear_host(self, run: Run) -> Outcome:
        """The host confirms that nothing of the server is left.

        A host that is down is not waited for: the rows go, and when it returns its heartbeat shows a server that no
        row places there, which is then removed (`hosts/drift.py`).
        """
        with self.database.read() as tx:
            server = _read(tx, run.resource_id)
        return self._remove(run, server) or Goto(self.release)

    @transactional(ending=True)
    def release(self, run: Run, tx: Tx) -> Outcome:
        """Everything that the server held goes in the transaction that makes it deleted."""
        server_id = run.resource_id
        if self.events.hears(ServerDeleted):
            self.events.emit(tx, ServerDeleted.of(_read(tx, server_id)))
        self.placement.release(tx, server_id)
        self.network.release(tx, server_id)
        state = {"vm_state": "deleted", "task_state": None, "power_state": NO_STATE}
        times = dict.fromkeys(("deleted_at", "terminated_at", "updated_at"), clock.utcnow())
        secrets = dict.fromkeys(("user_data", "key_data", "sealed_password"))
        if not _RELEASED.run(tx, of=server_id, seed="", files=[], **state, **times, **secrets):
            raise _gone(server_id)
        _finish_action(tx, server_id)
        return Done()

    # -- the host ----------------------------------------------------------------------------------------

    def _spec(self, run: Run) -> tuple[WantedServer, ServerSpec, list[str]]:
        """The server as it is, as its host is to make it, and its ports that are not up yet."""
        with self.database.read() as tx:
            server = _read(tx, run.resource_id)
            wiring = self.network.wiring(tx, run.resource_id)
            image_id = None if server.disk == server.done_disk else server.image_id
            image = None if image_id is None else self._source(tx, run, image_id)
        password = self._password(server) if image_id is not None and server.config_drive else ""
        return server, spec_of(server, wiring, image, password), wiring.down

    def _password(self, server: WantedServer) -> str:
        """For the config drive that is made with the disk."""
        try:
            return self.open_text(server.sealed_password) if server.sealed_password else ""
        except InvalidToken:
            log.warning("server %s: the key that sealed its password is gone: its config drive has none", server.id)
            return ""

    def _source(self, tx: Tx, run: Run, image_id: str) -> ImageSource | None:
        """Where the host takes the disk's content from; for `wire`, what `boot` found a moment ago."""
        if run.step == self.wire.name and (known := run.data.get("source")) is not None:
            return converted(known, ImageSource)
        source = self.image.source(tx, image_id)
        run.data["source"] = msgspec.to_builtins(source)
        return source

    def _ensure(self, run: Run, server: WantedServer, spec: ServerSpec) -> ServerObserved | Outcome:
        """What the host made true, or how to wait for it. Raises PermanentFailureError when it never will."""
        assert server.host is not None
        try:
            answer = self.hosts.agents.ask(server.host, lambda agent: agent.ensure_server(spec), run)
        except AgentFailure as failure:
            if failure.retry:
                raise
            raise PermanentFailureError(str(failure), public=failure.public) from failure
        if not isinstance(answer, Silence):
            return answer
        if answer.cause is Cause.DOWN and server.launched_at is None:  # another host builds it
            raise PermanentFailureError(f"host {server.host} went down")
        if server.task_state is None:  # new documents for the guest may wait for ever
            return answer.wait(run)
        return answer.wait(run, self.host_timeout_s, self.failed)

    def _remove(self, run: Run, server: WantedServer) -> Outcome | None:
        """None when nothing is left on the host, or when the host is down: it is cleared when it returns."""
        if server.host is None:
            return None
        answer = self.hosts.agents.ask(server.host, lambda agent: agent.remove_server(server.id), run)
        return answer.wait(run) if answer is not None and answer.cause is not Cause.DOWN else None


_POWER_EVENTS = {"active": ServerStarted, "stopped": ServerStopped}
_ONE = select(Server).where(Server.id == bindparam("server_id"))
_READ = Prepared(select(*columns_of(Server, WantedServer)).where(Server.id == bindparam("server_id")), WantedServer)
_PLACED = update_of(Server, "host", "task_state")
_DONE = ("power_state", "done_boot", "done_disk", "done_spec")
_BUILT = update_of(Server, *_DONE, "vm_state", "task_state", "fault", "launched_at", "updated_at", "sealed_password")
_DELETING = update_of(Server, "task_state")
_RELEASED = update_of(
    Server,
    *("vm_state", "task_state", "power_state"),
    *("deleted_at", "terminated_at", "updated_at"),
    *("user_data", "key_data", "sealed_password", "seed", "files"),
)


def _get(tx: Tx, server_id: str) -> Server:
    """The row, to be changed."""
    server = tx.scalar(_ONE, {"server_id": server_id})
    if server is None:
        raise _gone(server_id)
    return server


def _read(tx: Tx, server_id: str) -> WantedServer:
    """What the task reads of the row."""
    server = _READ.first(tx, server_id=server_id)
    if server is None:
        raise _gone(server_id)
    return server


def _gone(server_id: str) -> PermanentFailureError:
    return PermanentFailureError(f"server {server_id} has no row")


def _done(asked: WantedServer, observed: ServerObserved) -> dict[str, int]:
    """The columns that note what the host reported for the wish that it was asked."""
    done = (POWER_STATES[observed.power], asked.boot, asked.disk, asked.spec)
    return dict(zip(_DONE, done, strict=True))


def _finish_action(tx: Tx, server_id: str, message: str | None = None, details: str = "") -> None:
    _FINISH.run(tx, of=server_id, now=clock.utcnow(), said=message, more=details or None)


_FINISH = Prepared(
    update(table_of(ServerAction))
    .where(
        ServerAction.server_id == bindparam("of"),
        ServerAction.finished_at.is_(None),
        ServerAction.action.notin_(IMAGE_ACTIONS),  # `snapshot_lifecycle.py` ends those
    )
    .values(
        finished_at=bindparam("now"), updated_at=bindparam("now"), message=bindparam("said"), details=bindparam("more")
    )
)
