"""The verbs of servers: each one is the inside of one transaction, and each long one wakes the server's task.

They take a caller and typed arguments, raise the API's errors, and never call a host.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import secrets
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from msgspec import UNSET, Struct, UnsetType
from sqlalchemy import bindparam, select

from gureum.foundation import clock, ids, log
from gureum.foundation.caller import Caller
from gureum.foundation.db.engine import Tx
from gureum.foundation.db.prepared import Prepared, columns_of, insert_into, update_of
from gureum.foundation.errors import BadRequest, Conflict, Forbidden
from gureum.services.compute.class_quotas import class_amounts
from gureum.services.compute.deps import ComputeDeps
from gureum.services.compute.events import ServerCreated
from gureum.services.compute.flavors.model import Flavor, FlavorAccess
from gureum.services.compute.hosts.model import Host
from gureum.services.compute.keypairs.model import Keypair
from gureum.services.compute.quotas import NewServers
from gureum.services.compute.servers.bodies import File
from gureum.services.compute.servers.groups import ServerGroup, ServerGroupMember, living_members
from gureum.services.compute.servers.hints import Hints, within_reach
from gureum.services.compute.servers.lifecycle import ServerLifecycle
from gureum.services.compute.servers.model import (
    LEGAL,
    TASK_KIND,
    KeptFlavor,
    KeptImage,
    Scheduling,
    Server,
    ServerAction,
    ServerRecord,
)
from gureum.services.compute.servers.rules import hostname_of, resources_of
from gureum.services.compute.servers.seen import LIVING
from gureum.services.image.facade import BootImage
from gureum.services.network.facade import NicRequest

MOST_SERVERS = 1000
ZERO_DISK = "os_compute_api:servers:create:zero_disk_flavor"
"""The rule that lets a caller boot an image with a flavor that has no disk."""


@dataclass(frozen=True, slots=True)
class ServerRequest:
    """A validated POST /servers. `count` servers are made with one reservation id."""

    name: str
    flavor_id: str
    image_id: str
    nics: NicRequest
    count: int = 1
    zone: str | None = None
    host: str | None = None
    key_name: str | None = None
    user_data: str | None = None
    files: list[dict[str, str]] = field(default_factory=list)
    sealed_password: str | None = None
    config_drive: bool = False
    metadata: dict[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    description: str | None = None
    hostname: str | None = None
    disk_config: str = "MANUAL"
    access_ip_v4: str = ""
    access_ip_v6: str = ""
    group_id: str | None = None
    reservation_id: str = field(default_factory=lambda: "r-" + secrets.token_hex(4))
    hints: Hints = field(default_factory=Hints)
    may_lack_disk: bool = False
    """Whether the caller may boot an image with a flavor that has no disk."""


def create_servers(deps: ComputeDeps, tx: Tx, caller: Caller, request: ServerRequest) -> list[str]:
    """Write the servers, their ports and their tasks; nothing is started before the commit. Returns their ids."""
    project_id = caller.project_id or ""
    flavor = usable_flavor(tx, caller, request.flavor_id)
    image = deps.image.boot_image(tx, caller, request.image_id)
    _check_fit(flavor, image, may_lack_disk=request.may_lack_disk)
    resources = resources_of(flavor, kept_of(image))
    size = (flavor["vcpus"], flavor["ram"])
    new = NewServers(resources, *size, request.count, len(request.metadata), request.files)
    deps.quotas.require(tx, project_id, new.amounts(), user_id=caller.user_id)
    if request.count > MOST_SERVERS:
        raise BadRequest(f"At most {MOST_SERVERS} servers can be created by one request.")
    key = own_keypair(tx, caller, request.key_name)
    _check_zone(tx, request)
    group = _group(tx, caller, request.group_id)
    if group is not None:
        members = "server_group_members"
        used = {members: living_members(tx, group.id)}
        deps.quotas.require(tx, project_id, {members: request.count}, user_id=caller.user_id, used=used)
    hints = within_reach(tx, caller, request.hints)
    wish: Scheduling = {"zone": request.zone, "host": request.host, "group": request.group_id, **hints.stored()}
    plan = deps.network.plan(tx, caller, request.nics, request.count)
    made = [ids.new_uuid() for _ in range(request.count)]
    common = {**_values(caller, request, flavor, image, key), "scheduling": wish}
    for index, server_id in enumerate(made):
        _INSERT.run(tx, **common, **_particular(request, server_id, index))
        if group is not None:
            tx.add(ServerGroupMember(group_id=group.id, server_id=server_id))
        record_action(tx, caller, server_id, "create")
        deps.network.create_server_ports(tx, plan, server_id, project_id, request.zone or "nova")
        deps.tasks.create(tx, TASK_KIND, server_id, ServerLifecycle.place, project_id=project_id)
        deps.events.emit(tx, ServerCreated(server_id, project_id, caller.user_id, *_size(flavor)))
    return made


def kept_password(deps: ComputeDeps, password: str, *, config_drive: bool) -> str | None:
    """The administrator's password as the row keeps it until the config drive is made, the only place that has it.

    Source: nova's documentation of config drives and metadata; the metadata service never tells it.
    """
    return deps.identity.secrets.seal_text(password) if config_drive else None


_INSERT = insert_into(Server)


def _size(flavor: KeptFlavor) -> tuple[str, int, int, int]:
    return flavor["id"], flavor["vcpus"], flavor["ram"], flavor["disk"]


def _particular(request: ServerRequest, server_id: str, index: int) -> dict[str, object]:
    """What differs between the servers of one request."""
    name = request.name if request.count == 1 else f"{request.name}-{index + 1}"
    hostname = request.hostname or hostname_of(name, server_id)
    return {"id": server_id, "name": name, "hostname": hostname, "launch_index": index}


def _values(
    caller: Caller, request: ServerRequest, flavor: KeptFlavor, image: BootImage, key: Keypair | None
) -> dict[str, object]:
    """What the servers of one request have in common."""
    now = clock.utcnow()
    return {
        "project_id": caller.project_id or "",
        "user_id": caller.user_id,
        "description": request.description,
        "reservation_id": request.reservation_id,
        "flavor": flavor,
        "flavor_id": request.flavor_id,
        "vcpus": flavor["vcpus"],
        "ram_mib": flavor["ram"],
        "image_id": image.id,
        "image": kept_of(image),
        "key_name": key.name if key else None,
        "key_data": key.public_key if key else None,
        "user_data": request.user_data,
        "files": request.files,
        "sealed_password": request.sealed_password,
        "config_drive": request.config_drive,
        "meta": dict(request.metadata),
        "tags": sorted(set(request.tags)),
        "disk_config": request.disk_config,
        "access_ip_v4": request.access_ip_v4,
        "access_ip_v6": request.access_ip_v6,
        "zone": request.zone or "nova",
        "created_at": now,
        "updated_at": now,
    }


class UsableFlavor(Struct, frozen=True, gc=False):
    """What is read of a flavor for a new server."""

    id: str
    name: str
    vcpus: int
    ram_mib: int
    root_gib: int
    ephemeral_gib: int
    swap_mib: int
    is_public: bool
    extra_specs: dict[str, str]


_FLAVOR = Prepared(
    select(*columns_of(Flavor, UsableFlavor)).where(Flavor.id == bindparam("flavor_id")),
    UsableFlavor,
)


def usable_flavor(tx: Tx, caller: Caller, flavor_id: str) -> KeptFlavor:
    """The flavor's copy that a server keeps. Raises BadRequest when the caller may not use it."""
    row = _FLAVOR.first(tx, flavor_id=flavor_id)
    if row is not None and not row.is_public and not caller.is_admin:
        granted = select(FlavorAccess.flavor_id).where(
            FlavorAccess.flavor_id == flavor_id, FlavorAccess.project_id == caller.project_id
        )
        row = row if tx.scalar(granted) else None
    if row is None:
        raise BadRequest(f"Flavor {flavor_id} could not be found.")
    return {
        "id": row.id,
        "original_name": row.name,
        "vcpus": row.vcpus,
        "ram": row.ram_mib,
        "disk": row.root_gib,
        "ephemeral": row.ephemeral_gib,
        "swap": row.swap_mib,
        "extra_specs": row.extra_specs,
    }


def kept_of(image: BootImage) -> KeptImage:
    """What a server keeps of its image, which may go; no property of an image has the name of one of its fields."""
    facts: KeptImage = {"disk_format": image.disk_format, "min_disk": image.min_disk_gib, "min_ram": image.min_ram_mib}
    return {**image.properties, **facts, "virtual_size": _root_bytes(image)}


def _root_bytes(image: BootImage) -> int:
    """How large a disk the image fills."""
    return max(image.size_bytes, image.virtual_size_bytes)


def _check_fit(flavor: KeptFlavor, image: BootImage, *, may_lack_disk: bool) -> None:
    """Whether the flavor is large enough for the image. Raises BadRequest, Forbidden."""
    if not flavor["disk"] and not may_lack_disk:
        raise Forbidden(
            "Only volume-backed servers are allowed for flavors with zero disk: boot this image with a flavor that has "
            "a disk."
        )
    if flavor["ram"] < image.min_ram_mib:
        raise BadRequest(f"Flavor's memory is too small for requested image: {image.min_ram_mib} MiB needed.")
    if flavor["disk"]:
        if flavor["disk"] < image.min_disk_gib:
            raise BadRequest(f"Flavor's disk is too small for requested image: {image.min_disk_gib} GiB needed.")
        size = _root_bytes(image)
        if size > flavor["disk"] << 30:
            raise BadRequest(
                f"Flavor's disk is too small for requested image. Flavor disk is {flavor['disk'] << 30} bytes, "
                f"image is {size} bytes."
            )


def own_keypair(tx: Tx, caller: Caller, name: str | None) -> Keypair | None:
    if not name:
        return None
    row = tx.scalar(select(Keypair).where(Keypair.user_id == caller.user_id, Keypair.name == name))
    if row is None:
        raise BadRequest(f"Invalid key_name provided: keypair {name} does not exist.")
    return row


def _check_zone(tx: Tx, request: ServerRequest) -> None:
    if request.zone is not None and tx.scalar(select(Host.id).where(Host.zone == request.zone).limit(1)) is None:
        raise BadRequest("The requested availability zone is not available")
    if request.host is not None and tx.scalar(select(Host.id).where(Host.name == request.host)) is None:
        raise BadRequest(f"Compute host {request.host} could not be found.")


def _group(tx: Tx, caller: Caller, group_id: str | None) -> ServerGroup | None:
    if group_id is None:
        return None
    mine = (ServerGroup.id == group_id, ServerGroup.project_id == caller.project_id)
    group = tx.scalar(select(ServerGroup).where(*mine))
    if group is None:
        raise BadRequest(f"Server group {group_id} could not be found.")
    return group


_RECORD = insert_into(ServerAction, "id")


def record_action(tx: Tx, caller: Caller, server_id: str, action: str, host: str | None = None) -> None:
    """Note a verb in the transaction that begins it."""
    who = {"user_id": caller.user_id, "project_id": caller.project_id or ""}
    _RECORD.run(tx, server_id=server_id, action=action, request_id=log.request_id.get(), host=host, **who)


def record_done(tx: Tx, caller: Caller, server: Server, action: str) -> None:
    """Note a verb that is done with the transaction: no host is asked."""
    who = {"user_id": caller.user_id, "project_id": caller.project_id or "", "host": server.host}
    now = clock.utcnow()
    times = {"started_at": now, "updated_at": now, "finished_at": now}
    tx.add(ServerAction(server_id=server.id, action=action, request_id=log.request_id.get(), **who, **times))


# -- finding ---------------------------------------------------------------------------------------------


def find_server(tx: Tx, caller: Caller, server_id: str) -> Server:
    """A living server within the caller's reach. Raises NotFound."""
    return LIVING.load(tx, caller, server_id)


def check_unlocked(server: Server | ServerRecord, caller: Caller) -> None:
    if server.locked and not caller.is_admin:
        raise Conflict(f"Instance {server.id} is locked")


# -- verbs -----------------------------------------------------------------------------------------------


def begin(caller: Caller, server: Server, verb: str) -> None:
    """Check that `verb` is legal now. Raises Conflict in the API's words."""
    check_unlocked(server, caller)
    check_legal(server, verb)


def check_legal(server: Server, verb: str) -> None:
    """The same for a verb that is allowed on a locked server."""
    if verb == "start" and server.task_state == "powering-off":
        return  # it follows the stop under way, so that `stop; start` needs no wait between them
    if server.vm_state not in LEGAL[verb]:
        raise Conflict(
            f"Cannot '{verb.partition('_')[0]}' instance {server.id} while it is in vm_state {server.vm_state}"
        )
    if server.task_state is not None and verb != "reboot_hard":
        raise Conflict(
            f"Cannot '{verb.partition('_')[0]}' instance {server.id} while it is in task_state {server.task_state}"
        )


def _change(deps: ComputeDeps, tx: Tx, caller: Caller, server: Server, action: str) -> None:
    server.spec += 1
    server.updated_at = clock.utcnow()
    record_action(tx, caller, server.id, action, server.host)
    deps.tasks.signal(tx, TASK_KIND, [server.id])


def stop(deps: ComputeDeps, tx: Tx, caller: Caller, server: Server) -> None:
    """Ask the guest to power off, by force after a minute."""
    begin(caller, server, "stop")
    server.wanted_power, server.task_state, server.grace_s = "stopped", "powering-off", 60
    _change(deps, tx, caller, server, "stop")


def start(deps: ComputeDeps, tx: Tx, caller: Caller, server: Server) -> None:
    begin(caller, server, "start")
    server.wanted_power, server.task_state = "running", "powering-on"
    server.boot += 1
    _change(deps, tx, caller, server, "start")


def reboot(deps: ComputeDeps, tx: Tx, caller: Caller, server: Server, *, hard: bool) -> None:
    begin(caller, server, "reboot_hard" if hard else "reboot_soft")
    server.wanted_power, server.task_state = "running", "rebooting_hard" if hard else "rebooting"
    server.grace_s = 0 if hard else 60
    server.boot += 1
    _change(deps, tx, caller, server, "reboot")


def pause(deps: ComputeDeps, tx: Tx, caller: Caller, server: Server) -> None:
    begin(caller, server, "pause")
    server.wanted_power, server.task_state = "paused", "pausing"
    _change(deps, tx, caller, server, "pause")


def unpause(deps: ComputeDeps, tx: Tx, caller: Caller, server: Server) -> None:
    begin(caller, server, "unpause")
    server.wanted_power, server.task_state = "running", "unpausing"
    _change(deps, tx, caller, server, "unpause")


@dataclass(frozen=True, slots=True)
class RebuildRequest:
    """`change` edits what the request changes besides the image; `may_lack_disk` as in `ServerRequest`."""

    image_id: str
    change: Callable[[Server], None]
    may_lack_disk: bool


def rebuild(deps: ComputeDeps, tx: Tx, caller: Caller, server: Server, request: RebuildRequest) -> None:
    """The same server on a new root disk."""
    begin(caller, server, "rebuild")
    image = deps.image.boot_image(tx, caller, request.image_id)
    _check_fit(server.flavor, image, may_lack_disk=request.may_lack_disk)
    before = resources_of(server.flavor, server.image)
    server.image_id, server.image = image.id, kept_of(image)
    _claim_again(deps, tx, server, before)
    request.change(server)
    if server.vm_state == "error":
        server.wanted_power = "running"
    server.task_state, server.grace_s = "rebuilding", 0
    server.boot += 1
    server.disk += 1
    _change(deps, tx, caller, server, "rebuild")


def _claim_again(deps: ComputeDeps, tx: Tx, server: Server, before: dict[str, int]) -> None:
    """Claim what the server's new image needs beside what it held `before`. Raises OverQuota, Conflict."""
    after = resources_of(server.flavor, server.image)
    held = deps.placement.claim_of(tx, server.id) if after != before else {}
    if not held:
        return
    more = {name: amount - before.get(name, 0) for name, amount in after.items()}
    deps.quotas.require(tx, server.project_id, class_amounts(more))
    claim = dict.fromkeys(held, after)
    if not deps.placement.claim(tx, server.id, server.project_id, server.user_id, claim):
        raise Conflict(f"The host of instance {server.id} has no room for the disk of image {server.image_id}.")


_DELETING = update_of(Server, "task_state", "updated_at")


def delete(deps: ComputeDeps, tx: Tx, caller: Caller, server: Server | ServerRecord) -> None:
    """Always accepted, from every state; a second time too. Only columns of `server` are read."""
    check_unlocked(server, caller)
    if server.task_state != "deleting":
        record_action(tx, caller, server.id, "delete", server.host)
    _DELETING.run(tx, of=server.id, task_state="deleting", updated_at=clock.utcnow())
    deps.tasks.signal(tx, TASK_KIND, [server.id], divert=ServerLifecycle.destroy)


def lock(tx: Tx, server: Server, caller: Caller, reason: str | None) -> None:
    server.locked, server.locked_reason = True, reason
    server.locked_by = locker(server, caller)
    record_done(tx, caller, server, "lock")


def locker(server: Server, caller: Caller) -> str:
    """Who locks a server, in the API's words: its owner or an administrator."""
    return "owner" if caller.project_id == server.project_id else "admin"


def unlock(tx: Tx, server: Server, caller: Caller) -> None:
    server.locked, server.locked_reason, server.locked_by = False, None, None
    record_done(tx, caller, server, "unlock")


def refresh(deps: ComputeDeps, tx: Tx, server: Server) -> None:
    """The host is to hold new documents or interfaces of the server."""
    server.spec += 1
    server.updated_at = clock.utcnow()
    deps.tasks.signal(tx, TASK_KIND, [server.id])


# -- values ----------------------------------------------------------------------------------------------


def checked_user_data(text: str | None) -> str | None:
    """Base64, kept as it was sent. Raises BadRequest."""
    if text is not None:
        decoded("user_data", text)
    return text


def decoded(name: str, text: str) -> bytes:
    """The bytes of a base64 text, whose lines may be broken anywhere, as MIME does (RFC 2045). Raises BadRequest."""
    try:
        return base64.b64decode(text.translate(_LINE_BREAKS).encode("ascii"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequest(f"Invalid input for field/attribute {name}: it must be base64.") from error


_LINE_BREAKS = dict.fromkeys(map(ord, " \t\r\n"))


def refuse_what_is_not_offered(certificates: list[str] | None | UnsetType) -> None:
    """Reject fields of a create or a rebuild that this cloud does not implement. Raises BadRequest."""
    if certificates is not None and certificates is not UNSET:
        raise BadRequest("trusted_image_certificates: this cloud does not verify signatures of images.")


def checked_files(personality: Sequence[File]) -> list[dict[str, str]]:
    """The files that a server's metadata carries, contents in base64 without line breaks. Raises BadRequest."""
    return [
        {"path": file.path, "contents": base64.b64encode(decoded("personality", file.contents)).decode()}
        for file in personality
    ]


def checked_address(name: str, text: str, version: int) -> str:
    if not text:
        return ""
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise BadRequest(f"Invalid input for field/attribute {name}: {text[:64]!r} is not an IP address.") from error
    if address.version != version or "%" in text:
        raise BadRequest(f"Invalid input for field/attribute {name}: {text[:64]!r} is not an IPv{version} address.")
    return str(address)


def new_password() -> str:
    """The administrator password of a server whose request names none."""
    alphabet = string.ascii_letters + string.digits
    return "".join(secrets.choice(alphabet) for _ in range(12))
