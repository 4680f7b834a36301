"""Routes of services: one for each host's agent. Source: compute API reference, "Compute services (os-services)".

The reference knows several programs by name. A host's agent answers to nova-compute and is the only one that operators
act upon; the others are the control plane's (`hosts/control.py`).
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType
from sqlalchemy import func, select

from gureum.foundation import clock
from gureum.foundation.errors import BadRequest, Conflict, NotFound
from gureum.foundation.http import filters
from gureum.foundation.http.call import Call
from gureum.foundation.http.microversions import Version
from gureum.foundation.http.routes import Route
from gureum.foundation.http.versioned import Since
from gureum.foundation.http.views import View
from gureum.foundation.policy import Rule
from gureum.services.compute.aggregates.model import AggregateHost
from gureum.services.compute.availability_zones.api import BINARY
from gureum.services.compute.deps import ComputeDeps
from gureum.services.compute.hosts.control import INTERNAL_ZONE, ControlService, control_services
from gureum.services.compute.hosts.model import Host
from gureum.services.compute.hosts.numbers import ShownId, check, names, shown
from gureum.services.compute.pages import CLOSED
from gureum.services.compute.servers.model import Server
from gureum.services.compute.words import Flag

_PREFIX = "os_compute_api:os-services:"
_LAST_BY_NAME = (2, 52)

RULES = (
    Rule(_PREFIX + "list", "rule:admin", "List compute services"),
    Rule(_PREFIX + "update", "rule:admin", "Enable, disable or force down a compute service"),
    Rule(_PREFIX + "delete", "rule:admin", "Remove the service of a host that is gone"),
)

HostName = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[a-zA-Z0-9\-._]+\Z")]
Reason = Annotated[str, Meta(min_length=1, max_length=255)]


class ByName(Struct, forbid_unknown_fields=True):
    host: HostName
    binary: Annotated[str, Meta(min_length=1, max_length=255)]


class Reasoned(ByName, forbid_unknown_fields=True):
    disabled_reason: Reason


class ForcedDown(ByName, forbid_unknown_fields=True, kw_only=True):
    forced_down: Flag


class Update(Struct, forbid_unknown_fields=True):
    status: Literal["enabled", "disabled"] | UnsetType = UNSET
    disabled_reason: Reason | UnsetType = UNSET
    forced_down: Flag | UnsetType = UNSET


class ServiceView(View):
    id: ShownId
    binary: str
    host: str
    zone: str
    status: str
    state: str
    updated_at: str
    disabled_reason: str | None
    forced_down: Annotated[bool, Since(2, 11)]


class ServiceDocument(View):
    service: ServiceView


class ChangedService(View):
    """What changed of a service, in the forms until 2.52."""

    host: str
    binary: str
    status: str | UnsetType = UNSET
    disabled_reason: str | UnsetType | None = UNSET
    forced_down: bool | UnsetType = UNSET


class ChangedDocument(View):
    service: ChangedService


def index(call: Call[ComputeDeps]) -> list[ServiceView]:
    views = [_control_view(call, service) for service in control_services()]
    views += [_view(call, row) for row in call.tx.scalars(select(Host).order_by(Host.name))]
    host, binary = call.param("host"), call.param("binary")
    return [view for view in views if host in (None, "", view.host) and binary in (None, "", view.binary)]


def update(call: Call[ComputeDeps], body: Update, service_id: str) -> ServiceDocument:
    if body.status is UNSET and body.forced_down is UNSET:
        if body.disabled_reason is UNSET:
            raise BadRequest("No updates were requested. Fields 'status' or 'forced_down' should be specified.")
        raise BadRequest("Specifying disabled_reason requires that status is disabled.")
    if body.disabled_reason is not UNSET and body.status != "disabled":
        raise BadRequest("Specifying disabled_reason requires that status is disabled.")
    check(service_id, call.version)
    _refuse_control(service_id, call.version)
    host = call.tx.scalar(select(Host).where(Host.service_id == service_id))
    if host is None:
        raise NotFound(f"Compute service {service_id[:64]} could not be found.")
    if body.status is not UNSET:
        _switch(host, disabled=body.status == "disabled", reason=body.disabled_reason)
    if body.forced_down is not UNSET:
        host.forced_down = _flag(body.forced_down)
    host.updated_at = clock.utcnow()
    return ServiceDocument(_view(call, host))


def enable(call: Call[ComputeDeps], body: ByName) -> ChangedDocument:
    host = _named(call, body)
    _switch(host, disabled=False, reason=UNSET)
    return ChangedDocument(ChangedService(host.name, BINARY, "enabled"))


def disable(call: Call[ComputeDeps], body: ByName) -> ChangedDocument:
    host = _named(call, body)
    _switch(host, disabled=True, reason=UNSET)
    return ChangedDocument(ChangedService(host.name, BINARY, "disabled"))


def disable_with_reason(call: Call[ComputeDeps], body: Reasoned) -> ChangedDocument:
    host = _named(call, body)
    _switch(host, disabled=True, reason=body.disabled_reason)
    return ChangedDocument(ChangedService(host.name, BINARY, "disabled", host.disabled_reason))


def force_down(call: Call[ComputeDeps], body: ForcedDown) -> ChangedDocument:
    host = _named(call, body)
    host.forced_down = _flag(body.forced_down)
    return ChangedDocument(ChangedService(host.name, BINARY, forced_down=host.forced_down))


def delete(call: Call[ComputeDeps], service_id: str) -> None:
    """Delete a host and its provider. A host that still reports comes back within half a minute."""
    check(service_id, call.version)
    _refuse_control(service_id, call.version)
    rows = call.tx.scalars(select(Host))
    host = next((row for row in rows if names(service_id, row.service_id, call.version)), None)
    if host is None:
        raise NotFound(f"Service {service_id[:64]} could not be found.")
    here = (Server.host == host.name, Server.deleted_at.is_(None))
    if call.tx.scalar(select(func.count()).select_from(Server).where(*here)):
        raise Conflict("Unable to delete compute service that is hosting instances. Migrate or delete them first.")
    for member in call.tx.scalars(select(AggregateHost).where(AggregateHost.host == host.name)):
        call.tx.delete(member)
    if any(held.used for held in call.deps.placement.holdings(call.tx, [host.id]).get(host.id, {}).values()):
        raise Conflict("Unable to delete compute service whose resource provider still has allocations.")
    call.deps.placement.remove_provider(call.tx, host.id)
    call.tx.delete(host)


def _refuse_control(service_id: str, version: Version) -> None:
    for service in control_services():
        if names(service_id, service.id, version):
            raise _not_supported(service.binary)


def _not_supported(binary: str) -> BadRequest:
    return BadRequest(
        f"Updating a {binary} service is not supported. Only {BINARY} services can be updated."
    )  # fmt: skip


def _named(call: Call[ComputeDeps], body: ByName) -> Host:
    if body.binary != BINARY:
        raise _not_supported(body.binary[:64])
    host = call.tx.scalar(select(Host).where(Host.name == body.host))
    if host is None:
        raise NotFound(f"Could not find binary {body.binary[:64]} on host {body.host}.")
    host.updated_at = clock.utcnow()
    return host


def _switch(host: Host, *, disabled: bool, reason: str | UnsetType) -> None:
    host.disabled = disabled
    host.disabled_reason = reason if disabled and isinstance(reason, str) else None


def _flag(value: bool | str) -> bool:
    return value if isinstance(value, bool) else filters.boolean("forced_down", value)


def _control_view(call: Call[ComputeDeps], service: ControlService) -> ServiceView:
    return ServiceView(
        shown(service.id, call.version),
        service.binary,
        service.host,
        INTERNAL_ZONE,
        status="enabled",
        state="up",
        updated_at=clock.iso_micro(clock.utcnow(), ""),
        disabled_reason=None,
        forced_down=False,
    )


def _view(call: Call[ComputeDeps], host: Host) -> ServiceView:
    return ServiceView(
        shown(host.service_id, call.version),
        BINARY,
        host.name,
        host.zone,
        status="disabled" if host.disabled else "enabled",
        state="up" if host.is_up(clock.now(), call.deps.hosts.timeout_s) else "down",
        updated_at=clock.iso_micro(clock.from_seconds(host.seen_at), ""),
        disabled_reason=host.disabled_reason,
        forced_down=host.forced_down,
    )


_ALL = "/v2.1/os-services"
_ONE = _ALL + "/{service_id}"
_UPDATE = _PREFIX + "update"
ROUTES = (
    Route("GET", _ALL, index, _PREFIX + "list", envelope="services", query=("host", "binary"), closed=CLOSED),
    Route("PUT", _ALL + "/enable", enable, _UPDATE, body=ByName, until=_LAST_BY_NAME),
    Route("PUT", _ALL + "/disable", disable, _UPDATE, body=ByName, until=_LAST_BY_NAME),
    Route("PUT", _ALL + "/disable-log-reason", disable_with_reason, _UPDATE, body=Reasoned, until=_LAST_BY_NAME),
    Route("PUT", _ALL + "/force-down", force_down, _UPDATE, body=ForcedDown, since=(2, 11), until=_LAST_BY_NAME),
    Route("PUT", _ONE, update, _UPDATE, body=Update, since=(2, 53)),
    Route("DELETE", _ONE, delete, _PREFIX + "delete", 204),
)
