"""What clients are shown of ports. Source: network API reference, "Ports" and "Port binding"."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET, UnsetType, field
from sqlalchemy import bindparam, select

from gureum.foundation.db.prepared import Prepared, as_tuple
from gureum.foundation.http.call import Call
from gureum.foundation.http.views import JsonValue, View
from gureum.services.network.context import NetworkContext
from gureum.services.network.ports import addresses
from gureum.services.network.ports.addresses import Given
from gureum.services.network.ports.model import Port, PortGroup, PortRow
from gureum.services.network.views import StandardView, standard


class FixedIpView(View):
    subnet_id: str
    ip_address: str


class PairView(View):
    ip_address: str
    mac_address: str


class VifDetails(View):
    """Empty for a port that is bound nowhere."""

    port_filter: bool | UnsetType = UNSET
    connectivity: str | UnsetType = UNSET


_BOUND, _UNBOUND = VifDetails(True, "l2"), VifDetails()


class PortView(StandardView):
    """A port. Where it is bound is shown by the rule get_port:binding."""

    network_id: str
    mac_address: str
    admin_state_up: bool
    status: str
    device_id: str
    device_owner: str
    fixed_ips: list[FixedIpView]
    allowed_address_pairs: list[PairView]
    security_groups: list[str]
    port_security_enabled: bool
    vnic_type: str = field(name="binding:vnic_type")
    host_id: str | UnsetType = field(default=UNSET, name="binding:host_id")
    profile: dict[str, JsonValue] | UnsetType = field(default=UNSET, name="binding:profile")
    vif_type: str | UnsetType = field(default=UNSET, name="binding:vif_type")
    vif_details: VifDetails | UnsetType = field(default=UNSET, name="binding:vif_details")


class NewPorts(View):
    """One port or several, as they were asked for."""

    port: PortView | UnsetType = UNSET
    ports: list[PortView] | UnsetType = UNSET


def views(call: Call[NetworkContext], rows: Sequence[Port | PortRow]) -> list[PortView]:
    port_ids = [row.id for row in rows]
    addresses_of = addresses.held(call.tx, port_ids)
    groups: dict[str, list[str]] = {port_id: [] for port_id in port_ids}
    for port_id, group_id in _GROUPS.all(call.tx, ports=port_ids) if rows else ():
        groups[port_id].append(group_id)
    binding = shows_binding(call)
    return [view_of(row, addresses_of[row.id], groups[row.id], binding=binding) for row in rows]


_GROUPS = Prepared(
    select(PortGroup.port_id, PortGroup.group_id)
    .where(PortGroup.port_id.in_(bindparam("ports", expanding=True)))
    .order_by(PortGroup.position),
    make=as_tuple,
)


def shows_binding(call: Call[NetworkContext]) -> bool:
    """Whether the caller sees where ports are bound."""
    return call.allows("get_port:binding", **call.own_target())


def view_of(row: Port | PortRow, given: Sequence[Given], groups: list[str], *, binding: bool) -> PortView:
    view = PortView(
        *standard(row),
        network_id=row.network_id,
        mac_address=row.mac,
        admin_state_up=row.admin_state_up,
        status=row.status,
        device_id=row.device_id,
        device_owner=row.device_owner,
        fixed_ips=[FixedIpView(address.subnet_id, address.ip) for address in given],
        allowed_address_pairs=[PairView(pair["ip_address"], pair["mac_address"]) for pair in row.pairs],
        security_groups=groups,
        port_security_enabled=row.port_security,
        vnic_type=row.vnic_type,
    )
    if binding:
        view.host_id = row.host or ""
        view.profile = row.profile
        view.vif_type = "ovs" if row.host else "unbound"
        view.vif_details = _BOUND if row.host else _UNBOUND
    return view
