"""Making an image of a server: what is asked, what the image says of itself, and the transaction that begins it.

Read next: `snapshot_lifecycle.py`, the durable task that follows.
Sources: compute API reference, "Create Image (createImage Action)", "Create Server Back Up (createBackup Action)";
the image properties are those that the field's clients look for ("Image properties" of the image administration guide).
"""

from __future__ import annotations

from gureum.foundation import clock, log
from gureum.foundation.caller import Caller
from gureum.foundation.db.engine import Tx
from gureum.foundation.errors import OverQuota, TooLarge
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Reply
from gureum.foundation.http.views import View
from gureum.services.compute.deps import ComputeDeps
from gureum.services.compute.servers import bodies, operations
from gureum.services.compute.servers.model import IMAGE_STATES, KeptImage, Server
from gureum.services.compute.servers.snapshot_lifecycle import KIND, Job, SnapshotLifecycle
from gureum.services.image.facade import NewSnapshot

NOT_INHERITED = frozenset(
    {
        *("disk_format", "min_disk", "min_ram", "virtual_size"),
        *("backup_type", "bittorrent", "cache_in_nova"),
        *("img_signature", "img_signature_certificate_uuid", "img_signature_hash_method", "img_signature_key_type"),
    }
)
"""Fields, what belongs to one backup, and what is true of the other image's data only."""


class CreatedImage(View):
    image_id: str


def create_image(call: Call[ComputeDeps], server: Server, asked: bodies.CreateImage) -> Reply[CreatedImage]:
    """Answer with the image's place before 2.45, with its id since."""
    job = Job(server.id, "createImage", log.request_id.get())
    return _answer(call, _begin(call, server, asked, {"image_type": "snapshot"}, job))


def create_backup(call: Call[ComputeDeps], server: Server, asked: bodies.CreateBackup) -> Reply[CreatedImage]:
    """The same, and older backups of this type go; a rotation of 0 keeps none, so there is no image to name."""
    kept = int(asked.rotation)
    job = Job(server.id, "createBackup", log.request_id.get(), backup_type=asked.backup_type, rotation=kept)
    image_id = _begin(call, server, asked, {"image_type": "backup", "backup_type": asked.backup_type}, job)
    return _answer(call, image_id) if kept else Reply(None)


def _answer(call: Call[ComputeDeps], image_id: str) -> Reply[CreatedImage]:
    if call.at_least(2, 45):
        return Reply(CreatedImage(image_id))
    return Reply(None, headers={"Location": f"{call.base_url.removesuffix('/compute')}/image/v2/images/{image_id}"})


def _begin(
    call: Call[ComputeDeps],
    server: Server,
    asked: bodies.CreateImage | bodies.CreateBackup,
    kind: dict[str, str],
    job: Job,
) -> str:
    """Reserve the image, mark the server, wake the task; the image's id."""
    tx, caller, deps = call.tx, call.caller, call.deps
    if not call.at_least(2, 39):
        amount = {"metadata_items": len(asked.metadata)}
        deps.quotas.require(tx, caller.project_id or "", amount, user_id=caller.user_id)
    operations.check_legal(server, job.action)
    owner = caller.project_id or server.project_id
    properties = {**inherited(server.image), **facts_of(server, caller), **kind}
    disk = max(int(server.image.get("min_disk", 0)), server.flavor["disk"])
    new = NewSnapshot(owner, asked.name, asked.metadata, properties, disk, int(server.image.get("min_ram", 0)))
    try:
        image_id = deps.image.reserve_snapshot(tx, caller, new)
    except TooLarge as error:
        raise OverQuota(error.public) from error
    server.task_state, server.updated_at = IMAGE_STATES[0], clock.utcnow()
    operations.record_action(tx, caller, server.id, job.action, server.host)
    _wake(deps, tx, image_id, job, server)
    return image_id


def _wake(deps: ComputeDeps, tx: Tx, image_id: str, job: Job, server: Server) -> None:
    deps.tasks.create(tx, KIND, image_id, SnapshotLifecycle.begin, job.data(), project_id=server.project_id)


def inherited(image: KeptImage) -> dict[str, str]:
    """What an image of a server takes over from the image that the server was made of."""
    return {
        name: str(value)
        for name, value in image.items()
        if name not in NOT_INHERITED and not name.startswith("os_glance")
    }


def facts_of(server: Server, caller: Caller) -> dict[str, str]:
    """What the cloud itself says of an image of this server."""
    return {
        "instance_uuid": server.id,
        "base_image_ref": server.image_id or "",
        "user_id": caller.user_id,
        "owner_id": server.project_id,
        "owner_user_name": caller.user_name,
        "owner_project_name": caller.project_name or "",
        "boot_roles": ",".join(caller.roles),
        "image_location": "snapshot",
        "image_state": "available",
    }
