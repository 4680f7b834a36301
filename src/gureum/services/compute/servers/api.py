"""Routes of servers: create, list, show, update, delete. Source: compute API reference, "Servers (servers)".

Actions stand in `actions.py`, metadata and tags in `documents.py`, interfaces in `interfaces.py`.
"""

from __future__ import annotations

from typing import Any

from msgspec import UNSET

from gureum.foundation import clock
from gureum.foundation.errors import BadRequest
from gureum.foundation.http import filters
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Reply, Route, Runs
from gureum.foundation.policy import Rule
from gureum.services.compute.deps import ComputeDeps
from gureum.services.compute.pages import CLOSED
from gureum.services.compute.servers import operations, seen, versions, views
from gureum.services.compute.servers.bodies import CREATE, UPDATE
from gureum.services.compute.servers.hints import hints_of
from gureum.services.compute.servers.listing import ALL_FILTERS, PARAMETERS, SERVERS, page_of
from gureum.services.network.facade import NicRequest, NicWanted

PREFIX = "os_compute_api:servers:"
_DESTINATION = "compute:servers:create:requested_destination"
READER = "rule:project_reader_or_admin"
MEMBER = "rule:project_member_or_admin"

RULES = (
    Rule(PREFIX + "index", READER, "List servers"),
    Rule(PREFIX + "detail", READER, "List servers with details"),
    Rule(PREFIX + "index:get_all_tenants", "rule:admin", "List servers of all projects"),
    Rule(PREFIX + "detail:get_all_tenants", "rule:admin", "List servers of all projects with details"),
    Rule(ALL_FILTERS, "rule:admin", "Filter servers by their hosts"),
    Rule(PREFIX + "show", READER, "Show a server"),
    Rule(PREFIX + "create", MEMBER, "Create a server"),
    Rule(PREFIX + "create:forced_host", "rule:admin", "Create a server on a named host"),
    Rule(_DESTINATION, "rule:admin", "Ask for a host by its name since 2.74"),
    Rule(operations.ZERO_DISK, "rule:admin", "Boot an image with a flavor that has no disk"),
    Rule(PREFIX + "update", MEMBER, "Update a server"),
    Rule(PREFIX + "delete", MEMBER, "Delete a server"),
    Rule(views.ADMIN, "rule:admin", "See where a server is and other extended attributes"),
    Rule(views.HOST_STATUS, "rule:admin", "See whether a server's host is up"),
)


def create(call: Call[ComputeDeps], body: Any) -> Reply[Any]:
    new = body.server
    count = _count(new)
    operations.refuse_what_is_not_offered(new)
    group_id, hints = hints_of(body.hints or body.extension_hints)
    password = new.adminPass or operations.new_password()
    config_drive = _flag("config_drive", new.config_drive)
    request = operations.ServerRequest(
        name=new.name.strip(),
        flavor_id=str(new.flavorRef).rsplit("/", 1)[-1],
        image_id=_image_id(new),
        nics=_nics(call, new),
        count=count,
        **_placement(call, new),
        key_name=new.key_name,
        user_data=operations.checked_user_data(new.user_data),
        files=operations.checked_files(getattr(new, "personality", ())),
        sealed_password=operations.kept_password(call.deps, password, config_drive=config_drive),
        config_drive=config_drive,
        metadata=new.metadata,
        tags=tuple(getattr(new, "tags", ())),
        description=getattr(new, "description", None),
        hostname=_hostname(new, count),
        disk_config=new.disk_config,
        access_ip_v4=operations.checked_address("accessIPv4", new.accessIPv4, 4),
        access_ip_v6=operations.checked_address("accessIPv6", new.accessIPv6, 6),
        group_id=group_id,
        hints=hints,
        may_lack_disk=call.allows(operations.ZERO_DISK, **call.own_target()),
    )
    first = operations.create_servers(call.deps, call.tx, call.caller, request)[0]
    if _flag("return_reservation_id", new.return_reservation_id):
        return Reply({"reservation_id": request.reservation_id})
    groups = [{"name": group.name} for group in new.security_groups] or [{"name": "default"}]
    links = views.links(call, "servers", first)
    view = {
        "id": first,
        "links": links,
        "OS-DCF:diskConfig": request.disk_config,
        "security_groups": groups,
        "adminPass": password,
    }
    return Reply({"server": view}, headers={"Location": links[0].href})


def _count(new: Any) -> int:
    minimum, maximum = int(new.min_count), int(new.max_count or new.min_count)
    if maximum < minimum:
        raise BadRequest("min_count must be <= max_count")
    return maximum


def _image_id(new: Any) -> str:
    if new.block_device_mapping_v2 or new.block_device_mapping:
        return _image_of_mapping(new)
    if not new.imageRef:
        raise BadRequest("Invalid imageRef provided.")
    return str(new.imageRef).rsplit("/", 1)[-1]


def _image_of_mapping(new: Any) -> str:
    """A block device mapping that only repeats the image as the local root disk; others need a volume service."""
    for mapping in new.block_device_mapping_v2:
        local = mapping.get("source_type") == "image" and mapping.get("destination_type") == "local"
        if local and str(mapping.get("boot_index")) == "0" and len(new.block_device_mapping_v2) == 1:
            return str(mapping.get("uuid") or new.imageRef)
    raise BadRequest("Block Device Mapping is Invalid: this cloud offers no volumes to boot from or attach.")


def _nics(call: Call[Any], new: Any) -> NicRequest:
    groups = tuple(group.name for group in new.security_groups)
    networks = new.networks
    if isinstance(networks, str):
        return NicRequest(mode=networks, nics=(), security_groups=groups)  # type: ignore[arg-type]  # the type is closed
    if not networks:
        if networks is not None and call.at_least(2, 37):
            raise BadRequest("Invalid input for field/attribute networks: it must not be empty.")
        return NicRequest(mode="auto", nics=(), security_groups=groups)
    wanted = []
    for nic in networks:
        if not nic.uuid and not nic.port:
            raise BadRequest("Invalid input for field/attribute networks: an entry needs a uuid or a port.")
        if nic.tag and not ((2, 32) <= call.version <= (2, 36) or call.at_least(2, 42)):
            raise BadRequest("Invalid input for field/attribute networks: tag is not allowed at this microversion.")
        wanted.append(NicWanted(None if nic.port else nic.uuid, nic.port, nic.fixed_ip or None, nic.tag or None))
    return NicRequest(mode="listed", nics=tuple(wanted), security_groups=groups)


def _placement(call: Call[Any], new: Any) -> dict[str, Any]:
    """`availability_zone` may be ZONE, ZONE:HOST for administrators, or absent; `host` since 2.74."""
    zone, _, forced = (new.availability_zone or "").partition(":")
    named = getattr(new, "host", None) or getattr(new, "hypervisor_hostname", None)
    host = forced.split(":")[0]
    if host:
        call.enforce(PREFIX + "create:forced_host", **call.own_target())
    if named:
        call.enforce(_DESTINATION, **call.own_target())
    return {"zone": zone or None, "host": host or named or None}


def _hostname(new: Any, count: int) -> str | None:
    hostname = getattr(new, "hostname", None)
    if hostname and count > 1:
        raise BadRequest("A hostname cannot be given when several servers are created.")
    return str(hostname) if hostname else None


def _flag(name: str, value: Any) -> bool:
    return bool(value) if not isinstance(value, str) or not value else filters.boolean(name, value)


def index(call: Call[ComputeDeps]) -> dict[str, Any]:
    page = page_of(call)
    return SERVERS.answer(call, page, [views.brief(call, server) for server in page.rows])


def detail(call: Call[ComputeDeps]) -> dict[str, Any]:
    page = page_of(call)
    return SERVERS.answer(call, page, views.details(call, page.rows))


def show(call: Call[ComputeDeps], server_id: str) -> dict[str, Any]:
    return {"server": views.detail(call, server_id)}


def update(call: Call[ComputeDeps], body: Any, server_id: str) -> dict[str, Any]:
    server = operations.find_server(call.tx, call.caller, server_id)
    change = body.server
    if change.name is not UNSET:
        server.name = change.name.strip()
    if change.accessIPv4 is not UNSET:
        server.access_ip_v4 = operations.checked_address("accessIPv4", change.accessIPv4, 4)
    if change.accessIPv6 is not UNSET:
        server.access_ip_v6 = operations.checked_address("accessIPv6", change.accessIPv6, 6)
    if change.disk_config is not UNSET:
        server.disk_config = change.disk_config
    if getattr(change, "description", UNSET) is not UNSET:
        server.description = change.description
    if getattr(change, "hostname", UNSET) is not UNSET and change.hostname:
        server.hostname = change.hostname
    server.updated_at = clock.utcnow()
    if server.vm_state != "building":
        operations.refresh(call.deps, call.tx, server)
    return {"server": views.detail(call, server_id)}


def delete(call: Call[ComputeDeps], server_id: str) -> None:
    operations.delete(call.deps, call.tx, call.caller, seen.find(call.tx, call.caller, server_id))


_ALL = "/v2.1/servers"
_ONE = _ALL + "/{server_id}"
ROUTES = (
    Route("GET", _ALL, index, PREFIX + "index", query=PARAMETERS, closed=CLOSED),
    Route(
        "GET", _ALL + "/detail", detail, PREFIX + "detail", downgrade=versions.servers, query=PARAMETERS, closed=CLOSED
    ),
    Route("POST", _ALL, create, PREFIX + "create", 202, body=CREATE),
    Route("GET", _ONE, show, PREFIX + "show", downgrade=versions.servers, runs=Runs.LOOKUP),
    Route("PUT", _ONE, update, PREFIX + "update", body=UPDATE, downgrade=versions.updated),
    Route("DELETE", _ONE, delete, PREFIX + "delete", 204),
)
