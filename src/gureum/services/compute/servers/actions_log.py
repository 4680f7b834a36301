"""What was asked of a server, by whom and how it ended. Source: compute API reference, "Servers actions".

One record is one action with the events that the reference gives it, all with the action's times: the verb's task is
one piece of work here, not a chain of messages.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import UNSET, Struct, UnsetType, structs
from sqlalchemy import bindparam, func, select

from gureum.foundation import clock
from gureum.foundation.db.prepared import Prepared, columns_of
from gureum.foundation.errors import BadRequest, NotFound
from gureum.foundation.http import filters
from gureum.foundation.http.call import Call
from gureum.foundation.http.collections import Collection, links
from gureum.foundation.http.routes import Route
from gureum.foundation.http.versioned import Since
from gureum.foundation.http.views import Link, View
from gureum.foundation.policy import Rule
from gureum.services.compute.deps import ComputeDeps
from gureum.services.compute.pages import PAGES, check_paging, only_parameters
from gureum.services.compute.servers.model import ServerAction, ServerRecord
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


class ActionRecord(Struct, frozen=True, gc=False):
    """What is read of an action."""

    id: int
    server_id: str
    action: str
    request_id: str
    user_id: str
    project_id: str
    message: str | None
    details: str | None
    started_at: datetime
    updated_at: datetime | None
    finished_at: datetime | None


class ActionView(View):
    action: str
    instance_uuid: str
    request_id: str
    user_id: str | None
    project_id: str
    start_time: str
    updated_at: Annotated[str, Since(2, 58)]
    message: Literal["Error"] | None


class ActionEvent(View, kw_only=True, rename={"host_id": "hostId"}):
    """The traceback and the host are for administrators."""

    event: str
    start_time: str
    finish_time: str | None
    result: Literal["Error", "Success"] | None
    traceback: str | None | UnsetType = UNSET
    host_id: Annotated[str, Since(2, 62)]
    host: Annotated[str | UnsetType, Since(2, 62)] = UNSET
    details: Annotated[str | None, Since(2, 84)]


class ActionDetail(ActionView):
    """With its events; before 2.51 administrators alone see them."""

    events: list[ActionEvent] | UnsetType = UNSET


class ActionList(View, rename={"actions": "instanceActions"}):
    """Pages came with 2.58."""

    actions: list[ActionView]
    links: Annotated[list[Link] | UnsetType, Since(2, 58)] = UNSET


_CHANGES = ("changes-since", "changes-before")
_CHANGED = func.coalesce(ServerAction.updated_at, ServerAction.started_at)
ACTIONS = Collection(
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
    record=ActionRecord,
)
"""Of one server, newest first."""


def index(call: Call[ComputeDeps], server_id: str) -> ActionList:
    of_server = ServerAction.server_id == _server(call, server_id).id
    if not call.at_least(2, 58):
        return ActionList([_view(row) for row in ACTIONS.every(call, of_server)])
    _check_query(call)
    page = ACTIONS.page(call, of_server)
    return ActionList([_view(row) for row in page.rows], links.next_in("links")(call, page).get("links", UNSET))


def show(call: Call[ComputeDeps], server_id: str, request_id: str) -> ActionDetail:
    server = _server(call, server_id)
    row = _ACTION.first(call.tx, server_id=server.id, request_id=request_id)
    if row is None:
        raise NotFound(f"Action for request_id {request_id[:64]} on instance {server_id} not found")
    view = ActionDetail(**structs.asdict(_view(row)))
    privileged = call.allows(_EVENTS, **call.own_target())
    if privileged or call.at_least(2, 51):
        names = _EVENTS_OF.get(row.action, (f"compute_{row.action}_instance",))
        view.events = [_event(call, server, row, name, privileged=privileged) for name in names]
    return view


def _server(call: Call[ComputeDeps], server_id: str) -> ServerRecord:
    """The server within the caller's reach; since 2.21 a deleted one too. Raises NotFound."""
    return (EVER if call.at_least(2, 21) else LIVING).find(call.tx, call.caller, server_id)


_ACTION = Prepared(
    select(*columns_of(ServerAction, ActionRecord))
    .where(ServerAction.server_id == bindparam("server_id"), ServerAction.request_id == bindparam("request_id"))
    .order_by(ServerAction.id.desc())
    .limit(1),
    ActionRecord,
)


def _check_query(call: Call[ComputeDeps]) -> None:
    """Filters and paging, since 2.58. Raises BadRequest."""
    allowed = {"limit", "marker", "changes-since"} | ({"changes-before"} if call.at_least(2, 66) else set())
    only_parameters(call, frozenset(allowed))
    check_paging(call)
    moments = [filters.moment(name, call.params(name)[-1]) for name in _CHANGES if call.params(name)]
    if len(moments) == len(_CHANGES) and moments[0] > moments[1]:
        raise BadRequest("The value of changes-since must be less than or equal to changes-before.")
    if call.param("marker") == "":
        raise BadRequest("marker [] not found")


def _view(row: ActionRecord) -> ActionView:
    return ActionView(
        row.action,
        row.server_id,
        row.request_id,
        row.user_id or None,  # the cloud itself: a guest that ended by itself
        row.project_id,
        clock.iso_micro(row.started_at, ""),
        clock.iso_micro(row.updated_at or row.started_at, ""),
        "Error" if row.message else None,
    )


def _event(
    call: Call[ComputeDeps], server: ServerRecord, row: ActionRecord, name: str, *, privileged: bool
) -> ActionEvent:
    detailed = call.allows(_DETAILS, **call.own_target())
    return ActionEvent(
        event=name,
        start_time=clock.iso_micro(row.started_at, ""),
        finish_time=clock.iso_micro(row.finished_at, ""),
        result=None if row.finished_at is None else "Error" if row.message else "Success",
        traceback=row.details if privileged else UNSET,
        host_id=host_id(server),
        host=(server.host or "") if privileged else UNSET,
        details=row.details if detailed and row.details else row.message,
    )


_ALL = "/v2.1/servers/{server_id}/os-instance-actions"
_QUERY = ("limit", "marker", "changes-since", "changes-before")
ROUTES = (
    Route("GET", _ALL, index, _PREFIX + "list", query=_QUERY),
    Route("GET", _ALL + "/{request_id}", show, _PREFIX + "show", envelope="instanceAction"),
)
