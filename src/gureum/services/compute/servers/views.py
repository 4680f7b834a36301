"""What is shown of servers: every field of the newest version, with the versions that have it.

What versions of fields cannot say stands in `versions.py`. A page of servers costs three statements: the rows, their
addresses, their security groups. Source: compute API reference, "Servers", "REST API version history".
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import UNSET, UnsetType

from gureum.foundation import clock
from gureum.foundation.http.call import Call
from gureum.foundation.http.versioned import Since, Until
from gureum.foundation.http.views import Link, View
from gureum.services.compute.deps import ComputeDeps
from gureum.services.compute.servers import seen
from gureum.services.compute.servers.model import KeptFault, ServerRecord
from gureum.services.network.facade import Address

ADMIN = "os_compute_api:os-extended-server-attributes"
HOST_STATUS = "os_compute_api:servers:show:host_status"
_IN_PROGRESS = frozenset({"ACTIVE", "BUILD", "REBUILD", "RESIZE", "VERIFY_RESIZE", "MIGRATING", "PASSWORD"})


class LinkedImage(View):
    id: str
    links: list[Link]


class ServerFlavor(View):
    """Where the flavor is, until a server shows what it keeps of its flavor."""

    id: Annotated[str, Until(2, 46)]
    links: Annotated[list[Link], Until(2, 46)]
    vcpus: Annotated[int, Since(2, 47)]
    ram: Annotated[int, Since(2, 47)]
    disk: Annotated[int, Since(2, 47)]
    ephemeral: Annotated[int, Since(2, 47)]
    swap: Annotated[int, Since(2, 47)]
    original_name: Annotated[str, Since(2, 47)]
    extra_specs: Annotated[dict[str, str], Since(2, 47)]


class ShortAddress(View):
    version: int
    addr: str


class ServerAddress(ShortAddress, rename={"type": "OS-EXT-IPS:type", "mac": "OS-EXT-IPS-MAC:mac_addr"}):
    type: str
    mac: str


class Fault(View):
    """Why a server is in ERROR. The details are for administrators."""

    code: int
    created: str
    message: str
    details: str | UnsetType = UNSET


class GroupName(View):
    """A security group as a server shows it."""

    name: str


class BriefServer(View):
    """An entry of the list without details."""

    id: str
    name: str
    links: list[Link]


_NAMES = {
    "host_id": "hostId",
    "access_ip_v4": "accessIPv4",
    "access_ip_v6": "accessIPv6",
    "disk_config": "OS-DCF:diskConfig",
    "zone": "OS-EXT-AZ:availability_zone",
    "volumes_attached": "os-extended-volumes:volumes_attached",
    **{name: f"OS-SRV-USG:{name}" for name in ("launched_at", "terminated_at")},
    **{name: f"OS-EXT-STS:{name}" for name in ("task_state", "vm_state", "power_state")},
    **{name: f"OS-EXT-SRV-ATTR:{name}" for name in ("host", "hostname", "instance_name", "hypervisor_hostname")},
    **{name: f"OS-EXT-SRV-ATTR:{name}" for name in ("reservation_id", "launch_index", "root_device_name")},
    **{name: f"OS-EXT-SRV-ATTR:{name}" for name in ("kernel_id", "ramdisk_id", "user_data")},
    "password": "adminPass",
    "new_user_data": "user_data",
}
"""The API's names of what is called otherwise here."""


class ServerFacts(View, kw_only=True, rename=_NAMES):
    """The fields of every answer that shows a server."""

    id: str
    name: str
    links: list[Link]
    status: str
    tenant_id: str
    user_id: str
    metadata: dict[str, str]
    host_id: str
    image: LinkedImage | Literal[""]
    flavor: ServerFlavor
    created: str
    updated: str
    access_ip_v4: str
    access_ip_v6: str
    disk_config: str
    locked: Annotated[bool, Since(2, 9)]
    locked_reason: Annotated[str | None, Since(2, 73)]
    description: Annotated[str | None, Since(2, 19)]
    tags: Annotated[list[str], Since(2, 26)]
    trusted_image_certificates: Annotated[None, Since(2, 63)] = None
    pinned_availability_zone: Annotated[str | None, Since(2, 96)]
    server_groups: Annotated[list[str] | UnsetType, Since(2, 71)] = UNSET
    progress: int | UnsetType = UNSET
    fault: Fault | UnsetType = UNSET


class ServerView(ServerFacts, kw_only=True, rename=_NAMES):
    """A server. What rules of the policy show to administrators alone is UNSET for others."""

    addresses: dict[str, list[ServerAddress]]
    security_groups: list[GroupName] | UnsetType = UNSET
    config_drive: str
    key_name: str | None
    zone: str | None
    launched_at: str | None
    terminated_at: str | None
    task_state: str | None
    vm_state: str
    power_state: int
    volumes_attached: tuple[()] = ()
    hostname: Annotated[str | UnsetType, Since(2, 3)] = UNSET
    host_status: Annotated[str | UnsetType, Since(2, 16)] = UNSET
    host: str | None | UnsetType = UNSET
    instance_name: str | UnsetType = UNSET
    hypervisor_hostname: str | None | UnsetType = UNSET
    reservation_id: Annotated[str | UnsetType, Since(2, 3)] = UNSET
    launch_index: Annotated[int | UnsetType, Since(2, 3)] = UNSET
    kernel_id: Annotated[str | UnsetType, Since(2, 3)] = UNSET
    ramdisk_id: Annotated[str | UnsetType, Since(2, 3)] = UNSET
    root_device_name: Annotated[str | UnsetType, Since(2, 3)] = UNSET
    user_data: Annotated[str | None | UnsetType, Since(2, 3)] = UNSET


class RebuiltServer(ServerView, kw_only=True, rename=_NAMES):
    """The answer to a rebuild. Its password is shown this once."""

    password: str
    new_user_data: str | None


class ShortServer(ServerFacts, kw_only=True):
    """The answer to an update before 2.75."""

    addresses: dict[str, list[ShortAddress]]


class ShortRebuiltServer(ShortServer, kw_only=True, rename=_NAMES):
    """The answer to a rebuild before 2.75."""

    password: str
    key_name: Annotated[str | None, Since(2, 54)]
    new_user_data: Annotated[str | None, Since(2, 57)]


class CreatedServer(View, rename=_NAMES):
    """The first of the servers that a request made, and the password of all of them."""

    id: str
    links: list[Link]
    disk_config: str
    security_groups: list[GroupName]
    password: str


def links(call: Call[ComputeDeps], kind: str, id_: str) -> list[Link]:
    """The self and bookmark links of the compute API, with the project id in the path where the request has it."""
    project = call.project_in_path
    return [
        Link("self", f"{call.base_url}/v2.1{project}/{kind}/{id_}"),
        Link("bookmark", f"{call.base_url}{project}/{kind}/{id_}"),
    ]


def brief(call: Call[ComputeDeps], server: ServerRecord) -> BriefServer:
    return BriefServer(server.id, server.name, links(call, "servers", server.id))


def details(call: Call[ComputeDeps], servers: Sequence[ServerRecord]) -> list[ServerView]:
    """Extended attributes, details of faults and the state of hosts are shown when policy allows them."""
    ids = [server.id for server in servers]
    network = call.deps.network
    addresses = network.addresses(call.tx, ids)
    groups = network.security_groups.names_of_servers(call.tx, ids)
    privileged = call.allows(ADMIN, **call.own_target())
    with_host_status = call.allows(HOST_STATUS, **call.own_target())
    views = []
    for server in servers:
        view = _view(call, server, addresses.get(server.id, []))
        if server.id in groups:
            view.security_groups = [GroupName(name) for name in groups[server.id]]
        if server.fault and server.status in ("ERROR", "DELETED"):
            view.fault = _fault(server.fault, privileged=privileged)
        if privileged:
            _extend(view, server)
        if with_host_status:
            view.host_status = _host_status(call, server)
        views.append(view)
    return views


def detail(call: Call[ComputeDeps], server_id: str) -> ServerView:
    """One server within the caller's reach, with its groups. Raises NotFound."""
    server = seen.find(call.tx, call.caller, server_id)
    view = details(call, [server])[0]
    view.server_groups = [server.group_id] if server.group_id else []
    return view


def _view(call: Call[ComputeDeps], server: ServerRecord, addresses: list[Address]) -> ServerView:
    """The fields that every caller who may see the server sees, without its groups and faults."""
    status = server.status
    view = ServerView(
        id=server.id,
        name=server.name,
        links=links(call, "servers", server.id),
        status=status,
        tenant_id=server.project_id,
        user_id=server.user_id,
        metadata=server.meta,
        host_id=host_id(server),
        image=LinkedImage(server.image_id, links(call, "images", server.image_id)[1:]) if server.image_id else "",
        flavor=_flavor(call, server),
        created=clock.iso(server.created_at),
        updated=clock.iso(server.updated_at),
        addresses=_addresses(addresses),
        access_ip_v4=server.access_ip_v4,
        access_ip_v6=server.access_ip_v6,
        disk_config=server.disk_config,
        zone=server.zone if server.host else "",
        config_drive="True" if server.config_drive else "",
        key_name=server.key_name,
        launched_at=clock.iso_micro(server.launched_at, ""),
        terminated_at=clock.iso_micro(server.terminated_at, ""),
        task_state=server.task_state,
        vm_state=server.vm_state,
        power_state=server.power_state,
        locked=server.locked,
        locked_reason=server.locked_reason,
        description=server.description,
        tags=server.tags,
        hostname=server.hostname,
        pinned_availability_zone=server.scheduling.get("zone"),
    )
    if status in _IN_PROGRESS:
        view.progress = 100 if status == "ACTIVE" else 0
    return view


def _host_status(call: Call[ComputeDeps], server: ServerRecord) -> str:
    if not server.host:
        return ""
    up = call.deps.hosts.is_up(server.host_seen_at, forced_down=server.host_forced_down)
    return "UP" if up else "DOWN"


def _extend(view: ServerView, server: ServerRecord) -> None:
    view.host = view.hypervisor_hostname = server.host
    view.instance_name = server.instance_name
    view.reservation_id = server.reservation_id
    view.launch_index = server.launch_index
    view.kernel_id = view.ramdisk_id = ""
    view.root_device_name = "/dev/vda"
    view.user_data = server.user_data


def host_id(server: ServerRecord) -> str:
    """A name for the host that differs from project to project, as the API promises."""
    if not server.host:
        return ""
    return hashlib.sha224((server.project_id + server.host).encode()).hexdigest()


def _flavor(call: Call[ComputeDeps], server: ServerRecord) -> ServerFlavor:
    kept = server.flavor
    return ServerFlavor(
        server.flavor_id,
        links(call, "flavors", server.flavor_id)[1:],
        kept["vcpus"],
        kept["ram"],
        kept["disk"],
        kept["ephemeral"],
        kept["swap"],
        kept["original_name"],
        kept["extra_specs"],
    )


def _addresses(addresses: list[Address]) -> dict[str, list[ServerAddress]]:
    by_network: dict[str, list[ServerAddress]] = {}
    for address in addresses:
        shown = ServerAddress(address.version, address.ip, address.kind, address.mac)
        by_network.setdefault(address.network_name, []).append(shown)
    return by_network


def short_addresses(addresses: list[Address]) -> dict[str, list[ShortAddress]]:
    """The form of GET /servers/{id}/ips."""
    by_network: dict[str, list[ShortAddress]] = {}
    for address in addresses:
        by_network.setdefault(address.network_name, []).append(ShortAddress(address.version, address.ip))
    return by_network


def _fault(fault: KeptFault, *, privileged: bool) -> Fault:
    details = fault["details"] if privileged else UNSET
    return Fault(fault["code"], fault["created"], fault["message"], details)
