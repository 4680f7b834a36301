"""Routes of ports. Source: network API reference, "Ports" and "Port binding"."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET, UnsetType
from sqlalchemy import ColumnElement, and_, or_, select

from gureum.foundation.errors import BadRequest, Forbidden
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route, Runs
from gureum.foundation.http.views import Listed
from gureum.foundation.policy import Rule
from gureum.services.network import errors, listing, spellings
from gureum.services.network.bulk import Document, new_resources
from gureum.services.network.context import NetworkContext
from gureum.services.network.listing import Listing
from gureum.services.network.networks.api import ADMIN, MEMBER, NETWORK_OWNER
from gureum.services.network.networks.api import LISTING as NETWORKS
from gureum.services.network.networks.model import Network, NetworkRow
from gureum.services.network.ports import metadata, operations, rules
from gureum.services.network.ports.addresses import IpWish
from gureum.services.network.ports.bodies import CreatePort, FixedIpBody, NewPortBody, PairBody, PortChanges
from gureum.services.network.ports.model import (
    CLOUD_OWNED,
    FLOATING,
    METADATA,
    IpAllocation,
    Port,
    PortGroup,
    PortRow,
    seen_by,
)
from gureum.services.network.ports.views import NewPorts, PortView, shows_binding, view_of, views
from gureum.services.network.routers.legs import touch_router_of
from gureum.services.network.security_groups import operations as groups
from gureum.services.network.standard import touch

RULES = (
    Rule("get_port", "rule:admin or role:reader", "See ports within reach", unbounded=listing.IN_QUERIES),
    Rule("get_port:binding", ADMIN, "See where a port is bound"),
    Rule("create_port", MEMBER, "Create a port"),
    Rule("update_port", MEMBER, "Update a port"),
    Rule("delete_port", f"{MEMBER} or {NETWORK_OWNER}", "Delete a port"),
    *(
        Rule(f"{verb}_port:{name}", f"{ADMIN} or {NETWORK_OWNER}", f"Set {name} of a port on one's own network")
        for verb in ("create", "update")
        for name in ("mac_address", "fixed_ips", "port_security_enabled", "allowed_address_pairs", "device_owner")
        if (verb, name) != ("update", "mac_address")
    ),
    Rule("update_port:mac_address", ADMIN, "Set mac_address of a port"),
    *(
        Rule(f"{verb}_port:{name}", ADMIN, f"Set {name} of a port")
        for verb in ("create", "update")
        for name in ("binding:host_id", "binding:profile")
    ),
)


def _with_address(values: list[str]) -> ColumnElement[bool]:
    """Ports by `fixed_ips=ip_address=...`, `=subnet_id=...` or `=ip_address_substr=...`.

    Several kinds must hold for one and the same address.
    """
    by_kind: dict[str, list[str]] = {}
    for value in values:
        kind, _, wanted = value.partition("=")
        if kind not in ("ip_address", "subnet_id", "ip_address_substr") or not wanted:
            raise BadRequest(f"Invalid filter: fixed_ips={value[:64]!r}.", code="HTTPBadRequest")
        by_kind.setdefault(kind, []).append(wanted)
    holds: list[ColumnElement[bool]] = []
    if "ip_address" in by_kind:
        holds.append(IpAllocation.ip.in_([spellings.address(text) for text in by_kind["ip_address"]]))
    if "subnet_id" in by_kind:
        holds.append(IpAllocation.subnet_id.in_(by_kind["subnet_id"]))
    if "ip_address_substr" in by_kind:
        parts = [part.lower() for part in by_kind["ip_address_substr"]]
        holds.append(or_(*(IpAllocation.ip.contains(part, autoescape=True) for part in parts)))
    return Port.id.in_(select(IpAllocation.owner_id).where(and_(*holds)))


def _in_groups(values: list[str]) -> ColumnElement[bool]:
    return Port.id.in_(select(PortGroup.port_id).where(PortGroup.group_id.in_(values)))


def _on_host(values: list[str]) -> ColumnElement[bool]:
    return or_(Port.host.in_(values), Port.host.is_(None)) if "" in values else Port.host.in_(values)


LISTING = Listing(
    single="port",
    plural="ports",
    model=Port,
    record=PortRow,
    seen_by=seen_by,
    views=views,
    filters=listing.standard_filters(Port)
    | {
        "network_id": Port.network_id,
        "mac_address": Port.mac,
        "admin_state_up": Port.admin_state_up,
        "status": Port.status,
        "device_id": Port.device_id,
        "device_owner": Port.device_owner,
        "port_security_enabled": Port.port_security,
        "binding:vnic_type": Port.vnic_type,
    },
    special={
        "fixed_ips": _with_address,
        "security_groups": _in_groups,
        "security_group_ids": _in_groups,
        "binding:host_id": _on_host,
    },
    guarded={"binding:host_id": "get_port:binding"},
)


def create(call: Call[NetworkContext], body: Document) -> NewPorts:
    new = new_resources(body, LISTING.names, NewPortBody)
    made = [_create_one(call, item) for item in new.items]
    call.tx.flush()
    binding = shows_binding(call)
    shown = [view_of(new_port.port, new_port.given, new_port.groups, binding=binding) for new_port in made]
    return NewPorts(ports=shown) if new.is_list else NewPorts(port=shown[0])


def _create_one(call: Call[NetworkContext], new: NewPortBody) -> operations.Made:
    project_id = listing.owner_of(call, listing.project_named(new), "create_port")
    network = listing.find(call, NETWORKS, new.network_id)
    _check_attributes(call, new, network, "create")
    call.deps.quotas.require(call.tx, project_id, {"port": 1})
    security = network.port_security if new.port_security_enabled is UNSET else new.port_security_enabled
    members = _members_of(call, project_id, new.security_groups, security=security)
    mac = None if new.mac_address is None else rules.check_mac(new.mac_address)
    pairs = _pairs(call, network.id, new.allowed_address_pairs, mac or "", security=security)
    port = operations.NewPort(
        project_id=project_id,
        fixed_ips=None if new.fixed_ips is None else fixed_ip_wishes(new.fixed_ips),
        groups=members,
        mac=mac,
        name=new.name,
        description=new.description,
        admin_state_up=new.admin_state_up,
        port_security=security,
        pairs=pairs,
        device_id=new.device_id,
        device_owner=new.device_owner,
        host=new.host_id or None,
        vnic_type=new.vnic_type,
        profile=new.profile or {},
    )
    return operations.create_port(call.tx, call.deps, network.id, port)


def _check_attributes(
    call: Call[NetworkContext], body: NewPortBody | PortChanges, network: Network | NetworkRow, verb: str
) -> None:
    """The rules of single attributes: for those that a new port has otherwise than by default, or a change names."""
    if network.external and not network.shared and verb == "create" and not _owns(call, network):
        raise Forbidden(f"Ports on the external network {network.id} are for its owner.")
    target = {"project_id": call.caller.project_id, "network_project_id": network.project_id}
    by_default: tuple[object, ...] = (UNSET,) if verb == "update" else (UNSET, None, "", {}, [])
    for attribute in ("mac_address", "port_security_enabled", "allowed_address_pairs"):
        if getattr(body, attribute) not in by_default:
            call.enforce(f"{verb}_port:{attribute}", **target)
    fixed = body.fixed_ips
    named = isinstance(fixed, list) and any(wish.ip_address for wish in fixed)
    if named or (verb == "update" and fixed is not UNSET):
        call.enforce(f"{verb}_port:fixed_ips", **target)
    owner = body.device_owner
    if owner is not UNSET and owner.startswith("network:"):
        if owner.startswith(("network:router", METADATA, FLOATING)):
            raise errors.invalid(f"device_owner {owner} is set by the network service alone")
        call.enforce(f"{verb}_port:device_owner", **target)
    for attribute, name in (("host_id", "binding:host_id"), ("profile", "binding:profile")):
        if getattr(body, attribute) not in by_default:
            call.enforce(f"{verb}_port:{name}", **target)


def _owns(call: Call[NetworkContext], network: Network | NetworkRow) -> bool:
    return call.caller.is_admin or network.project_id == call.caller.project_id


def _members_of(
    call: Call[NetworkContext], project_id: str, wanted: list[str] | UnsetType | None, *, security: bool
) -> list[str]:
    """The port's groups: those named, the project's default when none is named, none without port security."""
    if wanted and len(set(wanted)) != len(wanted):
        raise errors.invalid("Duplicate items in the list of security groups")
    if not security:
        if wanted not in (UNSET, None, []):
            raise errors.conflict(
                "PortSecurityPortHasSecurityGroup",
                "Port has security group associated. Cannot disable port security or IP address until it is removed.",
            )
        return []
    if wanted is UNSET or wanted is None:
        return [groups.materialise(call.tx, call.deps, project_id)]
    return groups.resolve(call.tx, call.deps, project_id, wanted, any_project=call.caller.is_admin)


def fixed_ip_wishes(wanted: Sequence[FixedIpBody]) -> list[IpWish]:
    """The wishes of a body's `fixed_ips`. Raises BadRequest for an entry that names nothing."""
    for one in wanted:
        if one.subnet_id is None and one.ip_address is None:
            raise errors.invalid("fixed_ips entries need a subnet_id or an ip_address")
    return [IpWish(one.subnet_id, one.ip_address) for one in wanted]


def _pairs(
    call: Call[NetworkContext], network_id: str, wanted: Sequence[PairBody] | None, mac: str, *, security: bool
) -> list[dict[str, str]]:
    if not wanted:
        return []
    if not security:
        raise errors.conflict(
            "AddressPairAndPortSecurityRequired",
            "Port Security must be enabled in order to have allowed address pairs on a port.",
        )
    pairs = [(pair.ip_address, pair.mac_address) for pair in wanted]
    return rules.check_pairs(pairs, mac, metadata.addresses_of(call.tx, network_id))


def index(call: Call[NetworkContext]) -> Listed[PortView]:
    return listing.index(call, LISTING)


def show(call: Call[NetworkContext], port_id: str) -> PortView:
    return listing.show(call, LISTING, port_id)


def _load(call: Call[NetworkContext], port_id: str) -> tuple[Port, Network]:
    """A port for a change, with its network, whose owner may change it too."""
    row = listing.load_within_reach(call, LISTING, port_id)
    network = call.tx.get_one(Network, row.network_id)
    call.enforce(project_id=row.project_id, tenant_id=row.project_id, network_project_id=network.project_id)
    listing.refuse_other_revision(call, row)
    return row, network


def update(call: Call[NetworkContext], body: PortChanges, port_id: str) -> PortView:
    row, network = _load(call, port_id)
    _check_attributes(call, body, network, "update")
    if body.admin_state_up is not UNSET:
        row.admin_state_up = body.admin_state_up
    if body.mac_address is not UNSET:
        mac = None if body.mac_address is None else rules.check_mac(body.mac_address)
        operations.set_mac(call.tx, call.deps, row, mac)
    if body.fixed_ips is not UNSET:
        operations.replace_addresses(call.tx, call.deps, row, fixed_ip_wishes(body.fixed_ips or []))
    _set_security(call, row, body)
    _set_device(row, body)
    _set_binding(call, row, body)
    listing.set_texts(row, body)
    touch(call.tx, call.deps.changes, "port", row)
    touch_router_of(call.tx, call.deps, row)
    return listing.views_of_new(call, LISTING, [row])[0]


def _set_security(call: Call[NetworkContext], row: Port, wanted: PortChanges) -> None:
    security = row.port_security if wanted.port_security_enabled is UNSET else wanted.port_security_enabled
    if wanted.security_groups is not UNSET:
        named = wanted.security_groups or []
        operations.set_groups(call.tx, row, _members_of(call, row.project_id, named, security=security))
    elif not security and row.port_security:
        statement = select(PortGroup.group_id).where(PortGroup.port_id == row.id).limit(1)
        _members_of(call, row.project_id, list(call.tx.scalars(statement)), security=False)
    if wanted.allowed_address_pairs is not UNSET:
        row.pairs = _pairs(call, row.network_id, wanted.allowed_address_pairs, row.mac, security=security)
    elif row.pairs and not security:
        raise errors.conflict(
            "AddressPairAndPortSecurityRequired",
            "Port Security must be enabled in order to have allowed address pairs on a port.",
        )
    row.port_security = security


def _set_device(row: Port, wanted: PortChanges) -> None:
    """The device's name on the port. A server's or a router's port keeps it: compute and routers let go themselves."""
    for attribute in ("device_id", "device_owner"):
        value = getattr(wanted, attribute)
        if value is UNSET or value == getattr(row, attribute):
            continue
        if row.server_id is not None or row.device_owner in CLOUD_OWNED:
            raise errors.conflict(
                "PortInUse", f"Unable to complete operation on port {row.id}: it is in use by {row.device_id}."
            )
        setattr(row, attribute, value)


def _set_binding(call: Call[NetworkContext], row: Port, wanted: PortChanges) -> None:
    if wanted.vnic_type is not UNSET:
        row.vnic_type = wanted.vnic_type
    if wanted.profile is not UNSET:
        row.profile = wanted.profile or {}
    if wanted.host_id is not UNSET and (wanted.host_id or None) != row.host:
        _refuse_move(call, row, wanted.host_id or None)
        row.host, row.status = wanted.host_id or None, "DOWN"


def _refuse_move(call: Call[NetworkContext], row: Port, host: str | None) -> None:
    """A bound port moves to hosts that exist, a server's port with its server alone. Raises BadRequest, Conflict.

    A port that no host has yet may be prepared for a host to come.
    """
    hosts = call.deps.driver.hosts()
    if row.host in hosts and host is not None and host not in hosts:
        raise errors.invalid(f"binding:host_id: there is no host '{host[:64]}'")
    if row.server_id is not None:
        raise errors.conflict(
            "PortInUse", f"Port {row.id} is bound where its server {row.server_id} is; migrate the server instead."
        )


def delete(call: Call[NetworkContext], port_id: str) -> None:
    row, _ = _load(call, port_id)
    operations.delete_port(call.tx, call.deps, row)


_AT = "/v2.0/ports"
_ONE = _AT + "/{port_id}"
ROUTES = (
    Route("GET", _AT, index, "get_port", envelope="ports", query=LISTING.query()),
    Route("POST", _AT, create, "create_port", 201, body=Document, described=CreatePort, target="handler"),
    Route("GET", _ONE, show, "get_port", envelope="port", runs=Runs.LOOKUP, query=listing.FIELDS),
    Route("PUT", _ONE, update, "update_port", body=PortChanges, envelope="port", target="handler", also=(412,)),
    Route("DELETE", _ONE, delete, "delete_port", 204, target="handler", also=(412,)),
)
