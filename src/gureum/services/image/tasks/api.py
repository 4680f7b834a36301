"""Routes of tasks. Source: image API reference v2, "Tasks" and "Show tasks associated with image".

The tasks API is for administrators; what happens to an image its owner sees at the image.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field
from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute

from gureum.drivers.image.errors import ImageStoreError
from gureum.foundation import clock
from gureum.foundation.errors import BadRequest, NotFound
from gureum.foundation.http.call import Call
from gureum.foundation.http.collections import PARAMETERS, Collection, Condition, Pages, Special, links
from gureum.foundation.http.routes import Reply, Route
from gureum.foundation.http.views import JsonValue, Listed, View
from gureum.foundation.policy import Rule
from gureum.services.image.access import READER, find, target_of
from gureum.services.image.deps import ImageDeps
from gureum.services.image.images import operations
from gureum.services.image.images.api import require_visibility
from gureum.services.image.images.fields import check_amounts, split
from gureum.services.image.imports.operations import Job
from gureum.services.image.imports.starting import start
from gureum.services.image.tasks.model import STATUSES, TYPES, ImageTask
from gureum.services.image.usage import checks
from gureum.services.image.usage.checks import Coming
from gureum.services.image.usage.quotas import SIZE

RULES = (
    Rule("tasks_api_access", "rule:admin", "Use the tasks API"),
    Rule("get_task", READER, "See the tasks of an image"),
)


class ImportInput(Struct, forbid_unknown_fields=True):
    import_from: Annotated[str, Meta(min_length=1, max_length=2048)]
    import_from_format: Annotated[str, Meta(min_length=1, max_length=32)]
    image_properties: dict[str, JsonValue]


class NewTask(Struct, forbid_unknown_fields=True):
    type: Literal["import"]
    input: ImportInput


class TaskRow(Struct, frozen=True, gc=False):
    """What a list reads of a task."""

    id: str
    type: str
    status: str
    owner: str | None
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None


class TaskView(View):
    """A task. Lists leave out what went in and what came of it."""

    id: str
    type: str
    status: str
    owner: str | None
    created_at: str
    updated_at: str
    link: str = field(name="self")
    schema: str = "/v2/schemas/task"
    expires_at: str | UnsetType = UNSET
    input: dict[str, JsonValue] | None | UnsetType = UNSET
    result: dict[str, JsonValue] | None | UnsetType = UNSET
    message: str | None | UnsetType = UNSET


class TaskOfImage(View):
    """A task as its image shows it: with who asked, and times to the microsecond."""

    id: str
    image_id: str | None
    request_id: str | None
    user_id: str | None
    type: str
    status: str
    owner: str | None
    input: dict[str, JsonValue] | None
    result: dict[str, JsonValue] | None
    message: str | None
    created_at: str | None
    updated_at: str | None
    expires_at: str | None
    deleted_at: None = None
    deleted: Literal[False] = False


def create(call: Call[ImageDeps], body: NewTask) -> Reply[TaskView]:
    """An image that is made and filled from a URL."""
    source = body.input
    try:
        call.deps.fetcher.check(source.import_from)
    except ImageStoreError as error:
        raise BadRequest(f"import_from does not pass filtering: {error}") from error
    new = split({"disk_format": source.import_from_format, "container_format": "bare", **source.image_properties})
    for name in new.properties:
        call.deps.protections.require(call.caller, name, "create")
    check_amounts(call.deps.config, new.properties, len(set(new.fields.tags or [])))
    checks.require_count(call.deps, call.tx, call.caller.project_id)
    image = operations.create_image(call.deps.events, call.tx, new, call.caller.project_id)
    require_visibility(call, image)
    room = checks.room_bytes(call.deps, call.tx, image.owner, SIZE, Coming(image.id))
    job = Job(image.id, "web-download", [call.deps.stores.default.name], uri=source.import_from, room_bytes=room)
    job.result = {"image_id": image.id}
    shown_input: dict[str, JsonValue] = {
        "import_from": source.import_from,
        "import_from_format": source.import_from_format,
        "image_properties": source.image_properties,
    }
    task = start(call, image, "import", shown_input, job)
    return Reply(_view(task), headers={"Location": f"{call.base_url}/v2/tasks/{task.id}"})


def _one_of(name: str, column: InstrumentedAttribute[str], known: tuple[str, ...]) -> Special:
    """A filter by a word that must be known."""

    def condition(_call: Call[ImageDeps], values: list[str]) -> Condition:
        if values[-1] not in known:
            raise BadRequest(f"Invalid {name} value: {values[-1][:32]}")
        return column == values[-1]

    return condition


_TASKS = Collection(
    name="tasks",
    model=ImageTask,
    special={
        "status": _one_of("status", ImageTask.status, STATUSES),
        "type": _one_of("type", ImageTask.type, TYPES),
    },
    sort_keys={
        "created_at": ImageTask.created_at,
        "updated_at": ImageTask.updated_at,
        "id": ImageTask.id,
        "type": ImageTask.type,
        "status": ImageTask.status,
    },
    order=(("created_at", True),),
    pages=Pages(most=1000, direction="desc"),
    links=links.first_and_next_at("/v2/tasks"),
    record=TaskRow,
)


def index(call: Call[ImageDeps]) -> Listed[TaskView]:
    page = _TASKS.page(call)
    return _TASKS.listed(call, page, [_summary(row) for row in page.rows], schema="/v2/schemas/tasks")


def show(call: Call[ImageDeps], task_id: str) -> TaskView:
    task = call.tx.get(ImageTask, task_id)
    if task is None:
        raise NotFound(f"No task found with ID {task_id[:64]}")
    return _view(task)


def of_image(call: Call[ImageDeps], image_id: str) -> Listed[TaskOfImage]:
    image = find(call, image_id)
    call.enforce("get_task", **target_of(image))
    statement = select(ImageTask).where(ImageTask.image_id == image.id).order_by(ImageTask.created_at, ImageTask.id)
    return Listed([_whole(row) for row in call.tx.scalars(statement)])


def _summary(row: TaskRow | ImageTask) -> TaskView:
    return TaskView(
        row.id,
        row.type,
        row.status,
        row.owner,
        clock.iso(row.created_at),
        clock.iso(row.updated_at),
        f"/v2/tasks/{row.id}",
        expires_at=clock.iso(row.expires_at) if row.expires_at else UNSET,
    )


def _view(task: ImageTask) -> TaskView:
    view = _summary(task)
    view.input, view.result, view.message = task.input, task.result, task.message
    return view


def _whole(task: ImageTask) -> TaskOfImage:
    return TaskOfImage(
        task.id,
        task.image_id,
        task.request_id,
        task.user_id,
        task.type,
        task.status,
        task.owner,
        task.input,
        task.result,
        task.message,
        clock.iso_micro(task.created_at, ""),
        clock.iso_micro(task.updated_at, ""),
        clock.iso_micro(task.expires_at, ""),
    )


ROUTES = (
    Route("GET", "/v2/tasks", index, "tasks_api_access", envelope="tasks", query=(*PARAMETERS, *_TASKS.parameters())),
    Route("POST", "/v2/tasks", create, "tasks_api_access", 201, body=NewTask),
    Route("GET", "/v2/tasks/{task_id}", show, "tasks_api_access"),
    Route("GET", "/v2/images/{image_id}/tasks", of_image, "get_image", target="handler", envelope="tasks"),
)
