"""Routes of host aggregates. Source: compute API reference, "Host aggregates (os-aggregates)".

An aggregate with an availability zone moves its hosts into that zone; a host that leaves the last of them is in the
default zone again. Hosts with servers do not change zone: their servers would silently change theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType
from sqlalchemy import func, select, update

from gureum.foundation import clock, ids
from gureum.foundation.errors import ApiError, BadRequest, Conflict, NotFound
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route
from gureum.foundation.http.versioned import Since
from gureum.foundation.http.views import View
from gureum.foundation.policy import Rule
from gureum.services.compute.aggregates.model import Aggregate, AggregateHost
from gureum.services.compute.deps import ComputeDeps
from gureum.services.compute.hosts.model import Host
from gureum.services.compute.servers.bodies import MetadataKey, Text255
from gureum.services.compute.servers.model import Server
from gureum.services.compute.words import Name, ZoneName

_PREFIX = "os_compute_api:os-aggregates:"
DEFAULT_ZONE = "nova"

RULES = tuple(
    Rule(_PREFIX + name, "rule:admin", text)
    for name, text in (
        ("index", "List aggregates"),
        ("show", "Show an aggregate"),
        ("create", "Create an aggregate"),
        ("update", "Change an aggregate's name or zone"),
        ("delete", "Delete an aggregate"),
        ("add_host", "Add a host to an aggregate"),
        ("remove_host", "Remove a host from an aggregate"),
        ("set_metadata", "Set metadata of an aggregate"),
    )
)

HostName = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[a-zA-Z0-9\-._]+\Z")]


class NewAggregate(Struct, forbid_unknown_fields=True):
    name: Name
    availability_zone: ZoneName | None = None


class ChangedAggregate(Struct, forbid_unknown_fields=True):
    name: Name | UnsetType = UNSET
    availability_zone: ZoneName | UnsetType | None = UNSET


class NamedHost(Struct, forbid_unknown_fields=True):
    host: HostName


class NewMetadata(Struct, forbid_unknown_fields=True):
    metadata: Annotated[dict[MetadataKey, Text255 | None], Meta(min_length=1)]


class Action(Struct, forbid_unknown_fields=True):
    """Exactly one of the three."""

    add_host: NamedHost | UnsetType = UNSET
    remove_host: NamedHost | UnsetType = UNSET
    set_metadata: NewMetadata | UnsetType = UNSET


class NewAggregateView(View):
    """An aggregate as it was created, without hosts and metadata."""

    id: int
    uuid: Annotated[str, Since(2, 41)]
    name: str
    availability_zone: str | None
    created_at: str | None
    updated_at: str | None
    deleted: Literal[False] = False
    deleted_at: None = None


class AggregateView(View):
    id: int
    uuid: Annotated[str, Since(2, 41)]
    name: str
    availability_zone: str | None
    hosts: list[str]
    metadata: dict[str, str]
    created_at: str | None
    updated_at: str | None
    deleted: Literal[False] = False
    deleted_at: None = None


class AggregateDocument(View):
    aggregate: AggregateView


def create(call: Call[ComputeDeps], body: NewAggregate) -> NewAggregateView:
    _check_name(call, body.name)
    now = clock.utcnow()
    row = Aggregate(uuid=ids.new_uuid(), name=body.name, zone=body.availability_zone, meta={}, created_at=now)
    call.tx.add(row)
    call.tx.flush()
    return NewAggregateView(row.id, row.uuid, row.name, row.zone, clock.iso_micro(now, ""), None)


def index(call: Call[ComputeDeps]) -> list[AggregateView]:
    members: dict[int, list[str]] = {}
    columns = (AggregateHost.aggregate_id, AggregateHost.host)
    for id_, host in call.tx.execute(select(*columns).order_by(AggregateHost.host)):
        members.setdefault(id_, []).append(host)
    rows = call.tx.scalars(select(Aggregate).order_by(Aggregate.id))
    return [_view(row, members.get(row.id, [])) for row in rows]


def show(call: Call[ComputeDeps], aggregate_id: str) -> AggregateView:
    return _shown(call, _find(call, aggregate_id))


def change(call: Call[ComputeDeps], body: ChangedAggregate, aggregate_id: str) -> AggregateView:
    if body.name is UNSET and body.availability_zone is UNSET:
        raise BadRequest("Invalid input for field/attribute aggregate: it must name what to change.")
    row = _find(call, aggregate_id)
    if body.name is not UNSET and body.name != row.name:
        _check_name(call, body.name)
        row.name = body.name
    if body.availability_zone is not UNSET:
        _set_zone(call, row, body.availability_zone)
    row.updated_at = clock.utcnow()
    return _shown(call, row)


def delete(call: Call[ComputeDeps], aggregate_id: str) -> None:
    row = _find(call, aggregate_id)
    if _hosts(call, row):
        raise BadRequest(f"Cannot remove aggregate {row.id}: host aggregate is not empty")
    call.tx.delete(row)


def act(call: Call[ComputeDeps], body: Action, aggregate_id: str) -> AggregateDocument:
    actions = [name for name in body.__struct_fields__ if getattr(body, name) is not UNSET]
    if len(actions) != 1:
        raise BadRequest("The request body must name exactly one action.")
    call.enforce(_PREFIX + actions[0], **call.own_target())
    row = _find(call, aggregate_id)
    if isinstance(body.add_host, NamedHost):
        _add(call, row, body.add_host.host)
    elif isinstance(body.remove_host, NamedHost):
        _remove(call, row, body.remove_host.host)
    elif isinstance(body.set_metadata, NewMetadata):
        _set_metadata(call, row, body.set_metadata.metadata)
    row.updated_at = clock.utcnow()
    return AggregateDocument(_shown(call, row))


def _add(call: Call[ComputeDeps], row: Aggregate, name: str) -> None:
    _host(call, name)
    if call.tx.get(AggregateHost, (row.id, name)) is not None:
        raise Conflict(f"Aggregate {row.id} already has host {name}.")
    if row.zone is not None:
        other = _zones_of(call, [name]).get(name)
        if other is not None and other != row.zone:
            raise Conflict(f"Cannot add host {name} in aggregate {row.id}: host already in availability zone {other}")
        _move(call, [name], row.zone, Conflict)
    call.tx.add(AggregateHost(aggregate_id=row.id, host=name))
    call.tx.flush()


def _remove(call: Call[ComputeDeps], row: Aggregate, name: str) -> None:
    member = call.tx.get(AggregateHost, (row.id, name))
    if member is None:
        raise NotFound(f"Cannot remove host {name} in aggregate {row.id}: the host is not in it.")
    call.tx.delete(member)
    call.tx.flush()
    _move(call, [name], _zones_of(call, [name]).get(name, DEFAULT_ZONE), Conflict)


def _set_metadata(call: Call[ComputeDeps], row: Aggregate, changes: dict[str, str | None]) -> None:
    """availability_zone among them is the aggregate's zone; null removes a key."""
    if "availability_zone" in changes:
        zone = changes["availability_zone"]
        if zone is not None and (not zone or ":" in zone):
            raise BadRequest("Invalid input for field/attribute availability_zone.")
        _set_zone(call, row, zone)
    rest = {name: value for name, value in changes.items() if name != "availability_zone"}
    merged: dict[str, str | None] = {**row.meta, **rest}
    row.meta = {name: value for name, value in merged.items() if value is not None}


def _set_zone(call: Call[ComputeDeps], row: Aggregate, zone: str | None) -> None:
    if zone == row.zone:
        return
    row.zone = zone
    call.tx.flush()
    hosts = _hosts(call, row)
    if zone is None:
        zones = _zones_of(call, hosts)
        for name in hosts:
            _move(call, [name], zones.get(name, DEFAULT_ZONE), BadRequest)
        return
    for name, others in _all_zones_of(call, hosts).items():
        if others - {zone}:
            raise BadRequest(f"Cannot update aggregate {row.id}: host {name} is in another availability zone")
    _move(call, hosts, zone, BadRequest)


def _move(call: Call[ComputeDeps], hosts: Sequence[str], zone: str, refusal: type[ApiError]) -> None:
    """Give hosts their zone. Refuses to move one that has servers."""
    moving = [row for row in call.tx.scalars(select(Host).where(Host.name.in_(hosts))) if row.zone != zone]
    living = (Server.host.in_([row.name for row in moving]), Server.deleted_at.is_(None))
    if moving and call.tx.scalar(select(func.count()).select_from(Server).where(*living)):
        raise refusal("One or more hosts contain instances in this zone")
    if moving:
        call.tx.execute(update(Host).where(Host.id.in_([row.id for row in moving])).values(zone=zone))


def _all_zones_of(call: Call[ComputeDeps], hosts: Sequence[str]) -> dict[str, set[str]]:
    statement = (
        select(AggregateHost.host, Aggregate.zone)
        .join(Aggregate, Aggregate.id == AggregateHost.aggregate_id)
        .where(AggregateHost.host.in_(hosts), Aggregate.zone.isnot(None))
    )
    zones: dict[str, set[str]] = {}
    for host, zone in call.tx.execute(statement):
        zones.setdefault(host, set()).add(str(zone))
    return zones


def _zones_of(call: Call[ComputeDeps], hosts: Sequence[str]) -> dict[str, str]:
    return {host: min(zones) for host, zones in _all_zones_of(call, hosts).items()}


def _check_name(call: Call[ComputeDeps], name: str) -> None:
    if call.tx.scalar(select(Aggregate.id).where(Aggregate.name == name)) is not None:
        raise Conflict(f"Aggregate {name} already exists.")


def _host(call: Call[ComputeDeps], name: str) -> Host:
    host = call.tx.scalar(select(Host).where(Host.name == name))
    if host is None:
        raise NotFound(f"Compute host {name} could not be found.")
    return host


def _find(call: Call[ComputeDeps], aggregate_id: str) -> Aggregate:
    if not aggregate_id.isascii() or not aggregate_id.isdigit() or len(aggregate_id) > 9:
        raise NotFound(f"Aggregate {aggregate_id[:64]} could not be found.")
    row = call.tx.get(Aggregate, int(aggregate_id))
    if row is None:
        raise NotFound(f"Aggregate {aggregate_id} could not be found.")
    return row


def _hosts(call: Call[ComputeDeps], row: Aggregate) -> list[str]:
    statement = select(AggregateHost.host).where(AggregateHost.aggregate_id == row.id).order_by(AggregateHost.host)
    return list(call.tx.scalars(statement))


def _shown(call: Call[ComputeDeps], row: Aggregate) -> AggregateView:
    return _view(row, _hosts(call, row))


def _view(row: Aggregate, hosts: list[str]) -> AggregateView:
    metadata = {**row.meta, "availability_zone": row.zone} if row.zone is not None else dict(row.meta)
    created, updated = clock.iso_micro(row.created_at, ""), clock.iso_micro(row.updated_at, "")
    return AggregateView(row.id, row.uuid, row.name, row.zone, hosts, metadata, created, updated)


_ALL = "/v2.1/os-aggregates"
_ONE = _ALL + "/{aggregate_id}"
ROUTES = (
    Route("GET", _ALL, index, _PREFIX + "index", envelope="aggregates"),
    Route("POST", _ALL, create, _PREFIX + "create", body=NewAggregate, envelope="aggregate"),
    Route("GET", _ONE, show, _PREFIX + "show", envelope="aggregate"),
    Route("PUT", _ONE, change, _PREFIX + "update", body=ChangedAggregate, envelope="aggregate"),
    Route("DELETE", _ONE, delete, _PREFIX + "delete"),
    Route("POST", _ONE + "/action", act, _PREFIX + "add_host", body=Action, target="handler"),
)
