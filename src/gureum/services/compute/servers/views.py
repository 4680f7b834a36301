"""Views of servers at the newest microversion; `versions.py` turns them into older ones.

A page of servers costs three statements: the rows, their addresses, their security groups.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from gureum.foundation import clock
from gureum.foundation.http.call import Call
from gureum.foundation.http.views import Link
from gureum.services.compute.deps import ComputeDeps
from gureum.services.compute.servers import seen
from gureum.services.network.facade import Address

ADMIN = "os_compute_api:os-extended-server-attributes"
HOST_STATUS = "os_compute_api:servers:show:host_status"


def links(call: Call[ComputeDeps], kind: str, id_: str) -> list[Link]:
    """The self and bookmark links of the compute API, with the project id in the path where the request has it."""
    project = call.project_in_path
    return [
        Link("self", f"{call.base_url}/v2.1{project}/{kind}/{id_}"),
        Link("bookmark", f"{call.base_url}{project}/{kind}/{id_}"),
    ]


def brief(call: Call[Any], server: Any) -> dict[str, Any]:
    return {"id": server.id, "name": server.name, "links": links(call, "servers", server.id)}


def details(call: Call[ComputeDeps], servers: Sequence[Any]) -> list[dict[str, Any]]:
    """Of rows as `seen.py` reads them, every key of the newest version; extended attributes when policy allows them."""
    wanted = [server.id for server in servers]
    network = call.deps.network
    addresses = network.addresses(call.tx, wanted)
    groups = network.security_groups.names_of_servers(call.tx, wanted)
    privileged = call.allows(ADMIN, **call.own_target())
    with_host_status = call.allows(HOST_STATUS, **call.own_target())
    views = []
    for server in servers:
        view = _view(call, server, addresses.get(server.id, []), groups.get(server.id, []))
        if server.fault and server.status in ("ERROR", "DELETED"):
            view["fault"] = _fault(server, privileged=privileged)
        if privileged:
            view |= _extended(server)
        if with_host_status:
            view["host_status"] = _host_status(call, server)
        views.append(view)
    return views


def detail(call: Call[ComputeDeps], server_id: str) -> dict[str, Any]:
    """One server within the caller's reach. Raises NotFound."""
    server = seen.find(call.tx, call.caller, server_id)
    view = details(call, [server])[0]
    if call.at_least(2, 71):
        view["server_groups"] = [server.group_id] if server.group_id else []
    return view


def _view(call: Call[Any], server: Any, addresses: list[Address], groups: list[str]) -> dict[str, Any]:
    view: dict[str, Any] = {
        **brief(call, server),
        "status": server.status,
        "tenant_id": server.project_id,
        "user_id": server.user_id,
        "metadata": server.meta,
        "hostId": host_id(server),
        "image": _image(call, server),
        "flavor": _flavor(server),
        "_flavor_link": {"id": server.flavor_id, "links": links(call, "flavors", server.flavor_id)[1:]},
        "created": clock.iso(server.created_at),
        "updated": clock.iso(server.updated_at),
        "addresses": _addresses(addresses),
        "accessIPv4": server.access_ip_v4,
        "accessIPv6": server.access_ip_v6,
        "OS-DCF:diskConfig": server.disk_config,
        "OS-EXT-AZ:availability_zone": server.zone if server.host else "",
        "config_drive": "True" if server.config_drive else "",
        "key_name": server.key_name,
        "OS-SRV-USG:launched_at": _plain(server.launched_at),
        "OS-SRV-USG:terminated_at": _plain(server.terminated_at),
        "OS-EXT-STS:task_state": server.task_state,
        "OS-EXT-STS:vm_state": server.vm_state,
        "OS-EXT-STS:power_state": server.power_state,
        "os-extended-volumes:volumes_attached": [],
        "locked": server.locked,
        "locked_reason": server.locked_reason,
        "description": server.description,
        "tags": server.tags,
        "trusted_image_certificates": None,
        "OS-EXT-SRV-ATTR:hostname": server.hostname,
        "pinned_availability_zone": server.scheduling.get("zone"),
    }
    if server.status in ("ACTIVE", "BUILD", "REBUILD", "RESIZE", "VERIFY_RESIZE", "MIGRATING", "PASSWORD"):
        view["progress"] = 0 if server.vm_state == "building" else 100 if server.status == "ACTIVE" else 0
    if groups:
        view["security_groups"] = [{"name": name} for name in groups]
    return view


def _host_status(call: Call[ComputeDeps], server: Any) -> str:
    if not server.host:
        return ""
    up = call.deps.hosts.is_up(server.host_seen_at, forced_down=server.host_forced_down)
    return "UP" if up else "DOWN"


def _extended(server: Any) -> dict[str, Any]:
    return {
        "OS-EXT-SRV-ATTR:host": server.host,
        "OS-EXT-SRV-ATTR:instance_name": server.instance_name,
        "OS-EXT-SRV-ATTR:hypervisor_hostname": server.host,
        "OS-EXT-SRV-ATTR:reservation_id": server.reservation_id,
        "OS-EXT-SRV-ATTR:launch_index": server.launch_index,
        "OS-EXT-SRV-ATTR:kernel_id": "",
        "OS-EXT-SRV-ATTR:ramdisk_id": "",
        "OS-EXT-SRV-ATTR:root_device_name": "/dev/vda",
        "OS-EXT-SRV-ATTR:user_data": server.user_data,
    }


def host_id(server: Any) -> str:
    """A name for the host that differs from project to project, as the API promises."""
    if not server.host:
        return ""
    return hashlib.sha224((server.project_id + server.host).encode()).hexdigest()


def _image(call: Call[Any], server: Any) -> dict[str, Any] | str:
    if not server.image_id:
        return ""
    return {"id": server.image_id, "links": links(call, "images", server.image_id)[1:]}


def _flavor(server: Any) -> dict[str, Any]:
    kept = ("vcpus", "ram", "disk", "ephemeral", "swap", "original_name", "extra_specs")
    return {name: server.flavor[name] for name in kept}


def _addresses(addresses: list[Address]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for address in addresses:
        found.setdefault(address.network_name, []).append(
            {
                "version": address.version,
                "addr": address.ip,
                "OS-EXT-IPS:type": address.kind,
                "OS-EXT-IPS-MAC:mac_addr": address.mac,
            }
        )
    return found


def addresses_of(addresses: list[Address]) -> dict[str, list[dict[str, Any]]]:
    """The short form of GET /servers/{id}/ips."""
    found: dict[str, list[dict[str, Any]]] = {}
    for address in addresses:
        found.setdefault(address.network_name, []).append({"version": address.version, "addr": address.ip})
    return found


def _fault(server: Any, *, privileged: bool) -> dict[str, Any]:
    fault = dict(server.fault or {})
    if not privileged:
        fault.pop("details", None)
    return fault


def _plain(moment: datetime | None) -> str | None:
    return clock.iso_micro(moment, "")
