"""POST /servers/{id}/action: one table of actions, each with its rule, its body and its range of microversions.

Source: compute API reference, "Servers - run an action", "Servers - run an administrative action".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from msgspec import UNSET, UnsetType, structs

from gureum.foundation import clock
from gureum.foundation.db.engine import Tx
from gureum.foundation.errors import BadRequest, Conflict, NotFound, Unavailable
from gureum.foundation.fleet.failure import AgentFailure
from gureum.foundation.fleet.silence import Silence
from gureum.foundation.http import filters
from gureum.foundation.http.body import converted
from gureum.foundation.http.call import Call
from gureum.foundation.http.microversions import Version
from gureum.foundation.http.routes import Reply, Route
from gureum.foundation.http.versioned import type_at, upgraded
from gureum.foundation.http.views import JsonValue, View
from gureum.foundation.policy import Rule
from gureum.services.compute.deps import ComputeDeps
from gureum.services.compute.quotas import file_amounts
from gureum.services.compute.servers import bodies, operations, reach, snapshots, versions, views
from gureum.services.compute.servers.model import TASK_KIND, Server
from gureum.services.compute.servers.not_offered import NOT_OFFERED, Absent, refuse
from gureum.services.compute.servers.not_offered import RULES as RULES_OF_NOT_OFFERED
from gureum.services.compute.servers.snapshots import CreatedImage
from gureum.services.compute.servers.views import RebuiltServer, ShortRebuiltServer

MEMBER = "rule:project_member_or_admin"
ADMIN = "rule:admin"
_UNLOCK_OVERRIDE = "os_compute_api:os-lock-server:unlock:unlock_override"


class ConsoleLog(View):
    output: str


class RebuildAnswer(View):
    server: RebuiltServer


class ShortRebuildAnswer(View):
    """Before 2.75."""

    server: ShortRebuiltServer


Answer = CreatedImage | RebuildAnswer | ShortRebuildAnswer | ConsoleLog
Payload = TypeVar("Payload")


@dataclass(frozen=True, slots=True)
class Action(Generic[Payload]):
    """`run(call, server, payload)` inside a write transaction.

    `body` is the newest type of the payload, which is looked at from microversion `reads_since` on; without one the
    payload is None. `upgrade` is that of `Route`.
    """

    rule: str
    run: Callable[[Call[ComputeDeps], Server, Payload], Reply[Answer] | None]
    body: Any = None
    until: Version | None = None
    reads_since: Version = (2, 1)
    upgrade: Callable[[Payload, Version], Payload] | None = None

    def payload(self, sent: JsonValue, name: str, version: Version) -> Payload | None:
        """What was sent, as the newest type. Raises BadRequest."""
        if self.body is None or version < self.reads_since:
            return None
        payload: Payload = upgraded(converted(sent, type_at(self.body, version), name), self.body)
        return payload if self.upgrade is None else self.upgrade(payload, version)


def _stop(call: Call[ComputeDeps], server: Server, _payload: None) -> None:
    operations.stop(call.deps, call.tx, call.caller, server)


def _start(call: Call[ComputeDeps], server: Server, _payload: None) -> None:
    operations.start(call.deps, call.tx, call.caller, server)


def _reboot(call: Call[ComputeDeps], server: Server, payload: bodies.Reboot) -> None:
    operations.reboot(call.deps, call.tx, call.caller, server, hard=payload.type.upper() == "HARD")


def _pause(call: Call[ComputeDeps], server: Server, _payload: None) -> None:
    operations.pause(call.deps, call.tx, call.caller, server)


def _unpause(call: Call[ComputeDeps], server: Server, _payload: None) -> None:
    operations.unpause(call.deps, call.tx, call.caller, server)


def _lock(call: Call[ComputeDeps], server: Server, payload: bodies.Lock | None) -> None:
    reason = payload.locked_reason if payload else UNSET
    operations.lock(call.tx, server, call.caller, None if reason is UNSET else reason)


def _unlock(call: Call[ComputeDeps], server: Server, _payload: None) -> None:
    if server.locked and server.locked_by != operations.locker(server, call.caller):
        call.enforce(_UNLOCK_OVERRIDE, **call.own_target())
    operations.unlock(call.tx, server, call.caller)


def _delete(call: Call[ComputeDeps], server: Server, _payload: None) -> None:
    operations.delete(call.deps, call.tx, call.caller, server)


def _user_data(payload: bodies.Rebuild) -> str | None | UnsetType:
    given = payload.user_data
    return UNSET if isinstance(given, UnsetType) else operations.checked_user_data(given)


def _files(call: Call[ComputeDeps], payload: bodies.Rebuild) -> list[dict[str, str]] | UnsetType:
    if isinstance(payload.personality, UnsetType):
        return UNSET
    files = operations.checked_files(payload.personality)
    project_id, user_id = call.caller.project_id or "", call.caller.user_id
    call.deps.quotas.require(call.tx, project_id, file_amounts(files), user_id=user_id)
    return files


def _rebuild(
    call: Call[ComputeDeps], server: Server, payload: bodies.Rebuild
) -> Reply[RebuildAnswer | ShortRebuildAnswer]:
    operations.refuse_what_is_not_offered(payload.trusted_image_certificates)
    files = _files(call, payload)
    password = operations.new_password() if payload.adminPass is UNSET else payload.adminPass

    def change(row: Server) -> None:
        for attribute, value in (
            ("name", payload.name),
            ("meta", payload.metadata),
            ("description", payload.description),
            ("disk_config", payload.disk_config),
            ("access_ip_v4", payload.accessIPv4),
            ("access_ip_v6", payload.accessIPv6),
            ("user_data", _user_data(payload)),
            ("hostname", payload.hostname or UNSET),
            ("files", files),
        ):
            if value is not UNSET:
                setattr(row, attribute, value)
        row.sealed_password = operations.kept_password(call.deps, password, config_drive=row.config_drive)
        if payload.key_name is not UNSET:
            key = operations.own_keypair(call.tx, call.caller, payload.key_name)
            row.key_name, row.key_data = (key.name, key.public_key) if key else (None, None)

    image_id = payload.imageRef.rsplit("/", 1)[-1]
    free = call.allows(operations.ZERO_DISK, **call.own_target())
    operations.rebuild(
        call.deps, call.tx, call.caller, server, operations.RebuildRequest(image_id, change, may_lack_disk=free)
    )
    call.tx.flush()
    return _rebuilt(call, server, password)


def _rebuilt(call: Call[ComputeDeps], server: Server, password: str) -> Reply[RebuildAnswer | ShortRebuildAnswer]:
    shown = structs.asdict(views.detail(call, server.id)) | {"user_data": UNSET}
    view = RebuiltServer(**shown, password=password, new_user_data=server.user_data)
    headers = {"Location": view.links[0].href}
    shown_now = versions.rebuilt(view, call.version)
    if isinstance(shown_now, RebuiltServer):
        return Reply(RebuildAnswer(shown_now), headers=headers)
    return Reply(ShortRebuildAnswer(shown_now), headers=headers)


def _reset_state(call: Call[ComputeDeps], server: Server, payload: bodies.ResetState) -> None:
    """What the operator says the state is; the next look at the host corrects it."""
    server.vm_state, server.task_state = payload.state, None
    if payload.state == "active":
        server.fault, server.done_spec = None, 0
        call.deps.tasks.signal(call.tx, TASK_KIND, [server.id])
    server.updated_at = clock.utcnow()
    operations.record_done(call.tx, call.caller, server, "resetState")


def _add_group(call: Call[ComputeDeps], server: Server, payload: bodies.SecurityGroupAction) -> None:
    call.deps.network.security_groups.add_to_server(call.tx, server.id, payload.name)


def _remove_group(call: Call[ComputeDeps], server: Server, payload: bodies.SecurityGroupAction) -> None:
    call.deps.network.security_groups.remove_from_server(call.tx, call.caller, server.id, payload.name)


def _add_fixed_ip(call: Call[ComputeDeps], server: Server, payload: bodies.AddFixedIp) -> None:
    operations.check_unlocked(server, call.caller)
    call.deps.network.add_fixed_ip(call.tx, server.id, payload.networkId)
    operations.refresh(call.deps, call.tx, server)


def _remove_fixed_ip(call: Call[ComputeDeps], server: Server, payload: bodies.RemoveFixedIp) -> None:
    operations.check_unlocked(server, call.caller)
    call.deps.network.remove_fixed_ip(call.tx, server.id, payload.address)
    operations.refresh(call.deps, call.tx, server)


def _inject_network_info(call: Call[ComputeDeps], server: Server, _payload: None) -> None:
    operations.refresh(call.deps, call.tx, server)


_P = "os_compute_api:"
_MULTINIC_LAST: Version = (2, 43)
ACTIONS: dict[str, Action[Any]] = {
    "os-stop": Action(_P + "servers:stop", _stop),
    "os-start": Action(_P + "servers:start", _start),
    "reboot": Action(_P + "servers:reboot", _reboot, bodies.Reboot),
    "rebuild": Action(_P + "servers:rebuild", _rebuild, bodies.Rebuild, upgrade=bodies.check_rebuilt_hostname),
    "pause": Action(_P + "os-pause-server:pause", _pause),
    "unpause": Action(_P + "os-pause-server:unpause", _unpause),
    "lock": Action(_P + "os-lock-server:lock", _lock, bodies.Lock | None, reads_since=(2, 73)),
    "unlock": Action(_P + "os-lock-server:unlock", _unlock),
    "forceDelete": Action(_P + "os-deferred-delete:force", _delete),
    "os-resetState": Action(_P + "os-admin-actions:reset_state", _reset_state, bodies.ResetState),
    "injectNetworkInfo": Action(_P + "os-admin-actions:inject_network_info", _inject_network_info),
    "addFixedIp": Action(_P + "os-multinic:add", _add_fixed_ip, bodies.AddFixedIp, until=_MULTINIC_LAST),
    "removeFixedIp": Action(_P + "os-multinic:remove", _remove_fixed_ip, bodies.RemoveFixedIp, until=_MULTINIC_LAST),
    "createImage": Action(_P + "servers:create_image", snapshots.create_image, bodies.CreateImage),
    "createBackup": Action(_P + "os-create-backup", snapshots.create_backup, bodies.CreateBackup),
    "addSecurityGroup": Action(_P + "os-security-groups:add", _add_group, bodies.SecurityGroupAction),
    "removeSecurityGroup": Action(_P + "os-security-groups:remove", _remove_group, bodies.SecurityGroupAction),
}
_CONSOLE = _P + "os-console-output"
_ACTION = _P + "servers:action"

RULES = (
    Rule(_ACTION, "@", "Post an action", unbounded="each action has a rule of its own"),
    Rule(_CONSOLE, MEMBER, "Read a server's console log"),
    Rule(_UNLOCK_OVERRIDE, ADMIN, "Unlock a server that an administrator locked"),
    *(
        Rule(name, ADMIN if "admin-actions" in name else MEMBER, "Run the action on a server")
        for name in sorted({action.rule for action in ACTIONS.values()})
    ),
    *RULES_OF_NOT_OFFERED,
)


def act(call: Call[ComputeDeps], body: dict[str, JsonValue], server_id: str) -> Reply[Answer]:
    """Find the action that the body names and run it in one transaction."""
    if len(body) != 1:
        named = ", ".join(sorted(body))[:200] or "none"
        raise BadRequest(f"The request body must name exactly one action, not {named}.")
    name, sent = next(iter(body.items()))
    if name == "os-getConsoleOutput":
        return _console(call, server_id, sent)
    action = ACTIONS.get(name) or NOT_OFFERED.get(name)
    if action is None:
        raise BadRequest(f"There is no such action: {name[:64]}")
    if isinstance(action, Absent):
        _check_version(call, name, action.since, action.until)
        refuse(call, server_id, name, action)
    _check_version(call, name, None, action.until)
    reach.enforce(call, action.rule, server_id)
    payload = action.payload(sent, name, call.version)

    def run(tx: Tx) -> Reply[Answer] | None:
        call.tx = tx
        server = operations.find_server(tx, call.caller, server_id)
        return action.run(call, server, payload)

    return call.database.write(run) or Reply()


def _check_version(call: Call[ComputeDeps], name: str, since: Version | None, until: Version | None) -> None:
    """Raises NotFound."""
    if (since and call.version < since) or (until and call.version > until):
        raise NotFound(f"The action {name} is not there at this microversion.")


def _console(call: Call[ComputeDeps], server_id: str, sent: JsonValue) -> Reply[Answer]:
    """The host keeps the log, so the host is asked; no transaction is open meanwhile."""
    reach.enforce(call, _CONSOLE, server_id)
    length = _lines(sent)
    with call.database.read() as tx:
        server = operations.find_server(tx, call.caller, server_id)
    if not server.host:
        raise Conflict(f"Instance {server_id} is not ready")
    try:
        log = call.deps.hosts.agents.ask(server.host, lambda agent: agent.console_log(server_id, length))
    except AgentFailure as error:
        raise NotFound("The console log is not available.", internal=str(error)) from error
    if isinstance(log, Silence):
        raise Unavailable("The server's host does not answer.", internal=log.awaited)
    if length is not None:
        log = log.removesuffix("\n")  # so many lines as asked, for clients that split at line ends
    return Reply(ConsoleLog(log), status=200)


def _lines(sent: JsonValue) -> int | None:
    """How many lines of a console log are asked for, None for all. Raises BadRequest."""
    length = converted({} if sent is None else sent, bodies.ConsoleOutput, "os-getConsoleOutput").length
    if isinstance(length, str):
        length = filters.integer("length", length, minimum=-1)
    return None if length == -1 else length


_DESCRIBED = {name: action.body or Any for name, action in ACTIONS.items()} | {
    "os-getConsoleOutput": bodies.ConsoleOutput | None
}
ROUTES = (
    Route(
        "POST",
        "/v2.1/servers/{server_id}/action",
        act,
        _ACTION,
        202,
        body=dict[str, JsonValue],
        target="handler",
        transaction="none",
        described=_DESCRIBED,
        also=(200, 410, 501, 503),
    ),
)
