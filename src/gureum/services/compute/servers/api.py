"""Routes of servers: create, list, show, update, delete. Source: compute API reference, "Servers (servers)".

Actions stand in `actions.py`, metadata and tags in `documents.py`, interfaces in `interfaces.py`.
"""

from __future__ import annotations

from msgspec import UNSET

from gureum.foundation import clock
from gureum.foundation.errors import BadRequest
from gureum.foundation.http import filters
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Reply, Route, Runs
from gureum.foundation.http.views import Listed, View
from gureum.foundation.policy import Rule
from gureum.services.compute.deps import ComputeDeps
from gureum.services.compute.pages import CLOSED
from gureum.services.compute.servers import operations, seen, versions, views
from gureum.services.compute.servers.bodies import CreateServer, NewServer, UpdateServer, check_nic_tags
from gureum.services.compute.servers.hints import hints_of
from gureum.services.compute.servers.listing import ALL_FILTERS, PARAMETERS, SERVERS, page_of
from gureum.services.compute.servers.views import BriefServer, CreatedServer, GroupName, ServerView, ShortServer
from gureum.services.compute.words import Flag
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


class CreateAnswer(View):
    server: CreatedServer


class Reservation(View):
    """The answer to a create that asked for the reservation alone."""

    reservation_id: str


def create(call: Call[ComputeDeps], body: CreateServer) -> Reply[CreateAnswer | Reservation]:
    new = body.server
    password = new.adminPass or operations.new_password()
    request = _request(call, body, password)
    first = operations.create_servers(call.deps, call.tx, call.caller, request)[0]
    if _flag("return_reservation_id", new.return_reservation_id):
        return Reply(Reservation(request.reservation_id))
    groups = [GroupName(group.name) for group in new.security_groups] or [GroupName("default")]
    links = views.links(call, "servers", first)
    server = CreatedServer(first, links, request.disk_config, groups, password)
    return Reply(CreateAnswer(server), headers={"Location": links[0].href})


def _request(call: Call[ComputeDeps], body: CreateServer, password: str) -> operations.ServerRequest:
    """The body with its values checked. Raises BadRequest, Forbidden."""
    new = body.server
    count = _count(new)
    operations.refuse_what_is_not_offered(new.trusted_image_certificates)
    group_id, hints = hints_of(body.hints or body.extension_hints)
    config_drive = _flag("config_drive", new.config_drive)
    image_id, nics = _image_id(new), _nics(call, new)
    zone, host = _zone_and_host(call, new)
    return operations.ServerRequest(
        name=new.name.strip(),
        flavor_id=str(new.flavorRef).rsplit("/", 1)[-1],
        image_id=image_id,
        nics=nics,
        count=count,
        zone=zone,
        host=host,
        key_name=new.key_name,
        user_data=operations.checked_user_data(new.user_data),
        files=operations.checked_files(new.personality),
        sealed_password=operations.kept_password(call.deps, password, config_drive=config_drive),
        config_drive=config_drive,
        metadata=new.metadata,
        tags=tuple(new.tags),
        description=new.description,
        hostname=_hostname(new, count),
        disk_config=new.disk_config,
        access_ip_v4=operations.checked_address("accessIPv4", new.accessIPv4, 4),
        access_ip_v6=operations.checked_address("accessIPv6", new.accessIPv6, 6),
        group_id=group_id,
        hints=hints,
        may_lack_disk=call.allows(operations.ZERO_DISK, **call.own_target()),
    )


def _count(new: NewServer) -> int:
    minimum, maximum = int(new.min_count), int(new.max_count or new.min_count)
    if maximum < minimum:
        raise BadRequest("min_count must be <= max_count")
    return maximum


def _image_id(new: NewServer) -> str:
    if new.block_device_mapping_v2 or new.block_device_mapping:
        return _image_of_mapping(new)
    if not new.imageRef:
        raise BadRequest("Invalid imageRef provided.")
    return new.imageRef.rsplit("/", 1)[-1]


def _image_of_mapping(new: NewServer) -> str:
    """A block device mapping that only repeats the image as the local root disk; others need a volume service."""
    for mapping in new.block_device_mapping_v2:
        local = mapping.get("source_type") == "image" and mapping.get("destination_type") == "local"
        if local and str(mapping.get("boot_index")) == "0" and len(new.block_device_mapping_v2) == 1:
            return str(mapping.get("uuid") or new.imageRef)
    raise BadRequest("Block Device Mapping is Invalid: this cloud offers no volumes to boot from or attach.")


def _nics(call: Call[ComputeDeps], new: NewServer) -> NicRequest:
    groups = tuple(group.name for group in new.security_groups)
    networks = new.networks
    if networks == "auto" or networks == "none":  # noqa: PLR1714 mypy reads it so
        return NicRequest(mode=networks, nics=(), security_groups=groups)
    if not networks:
        if networks is not None and call.at_least(2, 37):
            raise BadRequest("Invalid input for field/attribute networks: it must not be empty.")
        return NicRequest(mode="auto", nics=(), security_groups=groups)
    nics = []
    for nic in networks:
        if not nic.uuid and not nic.port:
            raise BadRequest("Invalid input for field/attribute networks: an entry needs a uuid or a port.")
        nics.append(NicWanted(None if nic.port else nic.uuid, nic.port, nic.fixed_ip or None, nic.tag or None))
    return NicRequest(mode="listed", nics=tuple(nics), security_groups=groups)


def _zone_and_host(call: Call[ComputeDeps], new: NewServer) -> tuple[str | None, str | None]:
    """`availability_zone` may be ZONE, ZONE:HOST for administrators, or absent; `host` since 2.74."""
    zone, _, forced = (new.availability_zone or "").partition(":")
    named = new.host or new.hypervisor_hostname
    host = forced.split(":")[0]
    if host:
        call.enforce(PREFIX + "create:forced_host", **call.own_target())
    if named:
        call.enforce(_DESTINATION, **call.own_target())
    return zone or None, host or named or None


def _hostname(new: NewServer, count: int) -> str | None:
    if new.hostname and count > 1:
        raise BadRequest("A hostname cannot be given when several servers are created.")
    return new.hostname or None


def _flag(name: str, value: Flag | None) -> bool:
    return bool(value) if not isinstance(value, str) or not value else filters.boolean(name, value)


def index(call: Call[ComputeDeps]) -> Listed[BriefServer]:
    page = page_of(call)
    return SERVERS.listed(call, page, [views.brief(call, server) for server in page.rows])


def detail(call: Call[ComputeDeps]) -> Listed[ServerView]:
    page = page_of(call)
    return SERVERS.listed(call, page, views.details(call, page.rows))


def show(call: Call[ComputeDeps], server_id: str) -> ServerView:
    return views.detail(call, server_id)


def update(call: Call[ComputeDeps], body: UpdateServer, server_id: str) -> ServerView | ShortServer:
    server = operations.find_server(call.tx, call.caller, server_id)
    if body.name is not UNSET:
        server.name = body.name.strip()
    if body.accessIPv4 is not UNSET:
        server.access_ip_v4 = operations.checked_address("accessIPv4", body.accessIPv4, 4)
    if body.accessIPv6 is not UNSET:
        server.access_ip_v6 = operations.checked_address("accessIPv6", body.accessIPv6, 6)
    if body.disk_config is not UNSET:
        server.disk_config = body.disk_config
    if body.description is not UNSET:
        server.description = body.description
    if body.hostname:
        server.hostname = body.hostname
    server.updated_at = clock.utcnow()
    if server.vm_state != "building":
        operations.refresh(call.deps, call.tx, server)
    return views.detail(call, server_id)


def delete(call: Call[ComputeDeps], server_id: str) -> None:
    operations.delete(call.deps, call.tx, call.caller, seen.find(call.tx, call.caller, server_id))


_ALL = "/v2.1/servers"
_ONE = _ALL + "/{server_id}"
ROUTES = (
    Route("GET", _ALL, index, PREFIX + "index", envelope="servers", query=PARAMETERS, closed=CLOSED),
    Route(
        "GET",
        _ALL + "/detail",
        detail,
        PREFIX + "detail",
        envelope="servers",
        downgrade=versions.servers,
        query=PARAMETERS,
        closed=CLOSED,
    ),
    Route("POST", _ALL, create, PREFIX + "create", 202, body=CreateServer, upgrade=check_nic_tags),
    Route("GET", _ONE, show, PREFIX + "show", envelope="server", downgrade=versions.server, runs=Runs.LOOKUP),
    Route("PUT", _ONE, update, PREFIX + "update", body=UpdateServer, envelope="server", downgrade=versions.updated),
    Route("DELETE", _ONE, delete, PREFIX + "delete", 204),
)
