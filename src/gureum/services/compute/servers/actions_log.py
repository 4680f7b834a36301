"""What was asked of a server, by whom and how it ended. Source: compute API reference, "Servers actions".

One record is one action with the events that the reference gives it, all with the action's times: the verb's task is
one piece of work here, not a chain of messages.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from gureum.foundation import clock
from gureum.foundation.errors import BadRequest, NotFound
from gureum.foundation.http import filters
from gureum.foundation.http.call import Call
from gureum.foundation.http.collections import Collection, links
from gureum.foundation.http.microversions import Version
from gureum.foundation.http.routes import Route
from gureum.foundation.policy import Rule
from gureum.services.compute.deps import ComputeDeps
from gureum.services.compute.pages import PAGES, check_paging, only_parameters
from gureum.services.compute.servers.model import Server, ServerAction
from gureum.services.compute.servers.seen import EVER, LIVING
from gureum.services.compute.servers.views import host_id

_PREFIX = "os_compute_api:os-instance-actions:"
_EVENTS = _PREFIX + "events"
_DETAILS = _EVENTS + ":details"
READER = "rule:project_reader_or_admin"

RULES = (
    Rule(_PREFIX + "list", READER, "List a server's actions"),
    Rule(_PREFIX + "show", READER, "Show a server's action"),
    Rule(_EVENTS, "rule:admin", "See the traceback and the host of a server action's events"),
    Rule(_DETAILS, "rule:admin", "See the details of a server action's events"),
)
_EVENTS_OF: dict[str, tuple[str, ...]] = {
    "create": ("compute__do_build_and_run_instance",),
    "delete": ("compute_terminate_instance",),
    "rebuild": ("compute_rebuild_instance", "rebuild_server"),
    "createImage": ("compute_snapshot_instance",),
    "createBackup": ("compute_backup_instance",),
    "attach_interface": ("compute_attach_interface",),
    "detach_interface": ("compute_detach_interface",),
    "lock": ("api_lock",),
    "unlock": ("api_unlock",),
    "resetState": (),
}
"""What is not here has one event, named after it."""


_CHANGES = ("changes-since", "changes-before")
_CHANGED = func.coalesce(ServerAction.updated_at, ServerAction.started_at)
ACTIONS: Collection[Any] = Collection(
    name="instanceActions",
    model=ServerAction,
    special={
        "changes-since": lambda _call, values: filters.moment("changes-since", values[-1]) <= _CHANGED,
        "changes-before": lambda _call, values: filters.moment("changes-before", values[-1]) >= _CHANGED,
    },
    sort_keys={"id": ServerAction.id},
    order=(("id", True),),
    marker=ServerAction.request_id,
    pages=PAGES,
    links=links.next_in("links"),
)
"""Of one server, newest first."""


def index(call: Call[ComputeDeps], server_id: str) -> dict[str, Any]:
    server = _server(call, server_id)
    of_server = ServerAction.server_id == server.id
    if not call.at_least(2, 58):
        return {"instanceActions": [_view(row) for row in ACTIONS.every(call, of_server)]}
    _check_query(call)
    page = ACTIONS.page(call, of_server)
    return ACTIONS.answer(call, page, [_view(row) for row in page.rows])


def show(call: Call[ComputeDeps], server_id: str, request_id: str) -> dict[str, Any]:
    server = _server(call, server_id)
    row = _action(call, server.id, request_id)
    if row is None:
        raise NotFound(f"Action for request_id {request_id[:64]} on instance {server_id} not found")
    view = _view(row)
    privileged = call.allows(_EVENTS, **call.own_target())
    if privileged or call.at_least(2, 51):
        names = _EVENTS_OF.get(row.action, (f"compute_{row.action}_instance",))
        view["events"] = [_event(call, server, row, name, privileged=privileged) for name in names]
    return {"instanceAction": view}


def _server(call: Call[Any], server_id: str) -> Server:
    """The server within the caller's reach; since 2.21 a deleted one too. Raises NotFound."""
    return (EVER if call.at_least(2, 21) else LIVING).load(call.tx, call.caller, server_id)


def _action(call: Call[Any], server_id: str, request_id: str) -> ServerAction | None:
    mine = (ServerAction.server_id == server_id, ServerAction.request_id == request_id)
    return call.tx.scalar(select(ServerAction).where(*mine).order_by(ServerAction.id.desc()).limit(1))


def _check_query(call: Call[Any]) -> None:
    """Filters and paging, since 2.58. Raises BadRequest."""
    allowed = {"limit", "marker", "changes-since"} | ({"changes-before"} if call.at_least(2, 66) else set())
    only_parameters(call, frozenset(allowed))
    check_paging(call)
    moments = [filters.moment(name, call.params(name)[-1]) for name in _CHANGES if call.params(name)]
    if len(moments) == len(_CHANGES) and moments[0] > moments[1]:
        raise BadRequest("The value of changes-since must be less than or equal to changes-before.")
    if call.param("marker") == "":
        raise BadRequest("marker [] not found")


def _view(row: ServerAction) -> dict[str, Any]:
    return {
        "action": row.action,
        "instance_uuid": row.server_id,
        "request_id": row.request_id,
        "user_id": row.user_id or None,  # the cloud itself: a guest that ended by itself
        "project_id": row.project_id,
        "start_time": _time(row.started_at),
        "updated_at": _time(row.updated_at or row.started_at),
        "message": "Error" if row.message else None,
    }


def _event(call: Call[Any], server: Server, row: ServerAction, name: str, *, privileged: bool) -> dict[str, Any]:
    event: dict[str, Any] = {
        "event": name,
        "start_time": _time(row.started_at),
        "finish_time": _time(row.finished_at),
        "result": None if row.finished_at is None else "Error" if row.message else "Success",
    }
    if privileged:
        event["traceback"] = row.details
    if call.at_least(2, 62):
        event["hostId"] = host_id(server)
        if privileged:
            event["host"] = server.host or ""
    if call.at_least(2, 84):
        detailed = call.allows(_DETAILS, **call.own_target())
        event["details"] = row.details if detailed and row.details else row.message
    return event


def _time(moment: datetime | None) -> str | None:
    return clock.iso_micro(moment, "")


def _downgrade(view: dict[str, Any], version: Version) -> dict[str, Any]:
    if version < (2, 58):
        for action in view.get("instanceActions", [view.get("instanceAction", {})]):
            action.pop("updated_at", None)
    return view


_ALL = "/v2.1/servers/{server_id}/os-instance-actions"
_QUERY = ("limit", "marker", "changes-since", "changes-before")
ROUTES = (
    Route("GET", _ALL, index, _PREFIX + "list", downgrade=_downgrade, query=_QUERY),
    Route("GET", _ALL + "/{request_id}", show, _PREFIX + "show", downgrade=_downgrade),
)
