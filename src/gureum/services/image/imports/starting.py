"""Starting an import, within the transaction of the request that asks for it.

Read next: `lifecycle.py` for the durable task that follows, `operations.py` for what it writes.
"""

from __future__ import annotations

from gureum.foundation import clock, ids
from gureum.foundation.http.call import Call
from gureum.foundation.http.views import JsonValue
from gureum.services.image.deps import ImageDeps
from gureum.services.image.images.model import Image
from gureum.services.image.imports.elsewhere import sealed_token
from gureum.services.image.imports.lifecycle import KIND, ImportLifecycle
from gureum.services.image.imports.operations import Job, shows_stores
from gureum.services.image.imports.request import ImportRequest, as_input
from gureum.services.image.tasks.model import ImageTask

FIRST_STEP = {
    "glance-direct": ImportLifecycle.judge,
    "web-download": ImportLifecycle.fetch,
    "glance-download": ImportLifecycle.fetch,
    "copy-image": ImportLifecycle.copy,
    "hash": ImportLifecycle.hash,
    "publish": ImportLifecycle.publish,
}
"""The method that is asked for -> where the import begins."""


def start_import(
    call: Call[ImageDeps], image: Image, request: ImportRequest, stores: list[str], room_bytes: int
) -> None:
    """The image is `importing` (unless it is copied), its task is there and due."""
    method = request.method
    job = Job(image.id, method.name, stores, request.all_stores_must_succeed, method.uri or "", room_bytes=room_bytes)
    if method.name == "glance-download":
        job.source = {
            "image_id": (method.glance_image_id or "").lower(),
            "region": method.glance_region or "",
            "interface": method.glance_service_interface,
            "project_id": call.caller.project_id or "",
            "admin": "yes" if call.caller.is_admin else "",
        }
        job.sealed_token = sealed_token(call, job.source["region"], job.source["interface"])
    start(call, image, "api_image_import", as_input(image.id, request, stores), job)


def start(call: Call[ImageDeps], image: Image, kind: str, asked: dict[str, JsonValue], job: Job) -> ImageTask:
    """Record the task and give it to the workers."""
    now = clock.utcnow()
    task = ImageTask(
        id=ids.new_uuid(),
        image_id=image.id,
        type=kind,
        status="pending",
        owner=image.owner if kind != "import" else call.caller.project_id,
        user_id=call.caller.user_id,
        request_id=call.request_id,
        input=asked,
        created_at=now,
        updated_at=now,
        message="",
    )
    call.tx.add(task)
    image.import_task_id, image.updated_at = task.id, now
    if job.method != "copy-image":
        image.status = "importing"
    if shows_stores(job):
        image.importing_to, image.failed_import = ",".join(job.stores), ""
    call.tx.flush()
    call.deps.tasks.create(call.tx, KIND, task.id, FIRST_STEP[job.method], job.data(), image.owner or "-")
    return task
