"""Routers and floating IPs as logical routers, their ports, routes and NAT rows.

Routers are distributed: every host routes for its own guests, and a floating IP answers on the host of its port.
Only what leaves by SNAT passes the gateway host, the best living one of the list. The interface's port ids name the
switch side of each leg. Invariant: a leg is two rows, the router's and the switch's, written together.
Read next: ovn-nb(5), Logical_Router_Port, NAT, Gateway_Chassis.
"""

from __future__ import annotations

from gureum.drivers.network.interface import FloatingIp, Router, RouterGateway, RouterInterface
from gureum.drivers.network.ovn.rows import Picture, RowKey, Surroundings, Value, WantedRow
from gureum.drivers.network.things import address, references
from gureum.drivers.network.things import network as parse_network

_RA_ADDRESS_MODE = {"slaac": "slaac", "dhcpv6-stateful": "dhcpv6_stateful", "dhcpv6-stateless": "dhcpv6_stateless"}
_TOP_GATEWAY_PRIORITY = 32767


def router(thing: Router, around: Surroundings) -> Picture:
    """A logical router with its legs, routes, SNAT rows and gateway candidates."""
    main = RowKey("router", thing.id)
    columns: dict[str, Value] = {
        "name": f"router-{thing.id}",
        "enabled": [thing.enabled],
        # Neighbours are learned when needed, not from every ARP request that is heard on the outside.
        "options": {"always_learn_from_arp_request": "false", "dynamic_neigh_routers": "true"},
    }
    rows = [WantedRow(main, "Logical_Router", columns)]
    for leg in thing.interfaces:
        rows.extend(_leg(main, leg, _interface_columns(leg, around), {}))
    if thing.gateway is not None:
        rows.extend(_gateway(main, thing.gateway, around))
    rows.extend(_route(main, f"route {destination} {hop}", destination, hop) for destination, hop in thing.routes)
    return Picture(("router", thing.id), thing.revision, references(thing), tuple(rows))


def floating_ip(thing: FloatingIp) -> Picture:
    """A NAT row that the host of `thing.port_id` carries out by itself, or without one the gateway's host."""
    columns: dict[str, Value] = {
        "type": "dnat_and_snat",
        "external_ip": thing.floating_ip,
        "logical_ip": thing.fixed_ip,
        "logical_port": [] if thing.port_id is None else [thing.port_id],
        "external_mac": [] if thing.port_id is None else [thing.mac.lower()],
    }
    row = WantedRow(RowKey("floating_ip", thing.id), "NAT", columns, parent=RowKey("router", thing.router_id))
    return Picture(("floating_ip", thing.id), thing.revision, references(thing), (row,))


def _leg_key(main: RowKey, port_id: str) -> RowKey:
    return RowKey(main.kind, main.id, f"leg {port_id}")


def _leg_name(port_id: str) -> str:
    return f"leg-{port_id}"


def _leg(
    main: RowKey, leg: RouterInterface | RouterGateway, columns: dict[str, Value], switch_options: dict[str, str]
) -> tuple[WantedRow, WantedRow]:
    name = _leg_name(leg.port_id)
    common: dict[str, Value] = {"name": name, "mac": leg.mac.lower(), "networks": list(leg.addresses)}
    switch_side: dict[str, Value] = {
        "name": leg.port_id,
        "type": "router",
        "addresses": ["router"],
        "options": {"router-port": name} | switch_options,
    }
    return (
        WantedRow(_leg_key(main, leg.port_id), "Logical_Router_Port", common | columns, parent=main),
        WantedRow(
            RowKey(main.kind, main.id, f"switch {leg.port_id}"),
            "Logical_Switch_Port",
            switch_side,
            parent=RowKey("network", leg.network_id),
        ),
    )


def _interface_columns(leg: RouterInterface, around: Surroundings) -> dict[str, Value]:
    mode = around.ra_mode_of(leg.network_id) if any(":" in one for one in leg.addresses) else None
    if mode is None:
        return {"ipv6_ra_configs": {}, "options": {}}
    advertised = {"address_mode": _RA_ADDRESS_MODE[mode], "send_periodic": "true", "mtu": str(leg.mtu)}
    return {"ipv6_ra_configs": advertised, "options": {}}


def _gateway(main: RowKey, gateway: RouterGateway, around: Surroundings) -> list[WantedRow]:
    # The gateway host announces the router's and the floating addresses when it takes over.
    rows = list(_leg(main, gateway, {"ipv6_ra_configs": {}, "options": {}}, {"nat-addresses": "router"}))
    for place, host in enumerate(gateway.hosts):
        columns: dict[str, Value] = {
            "name": f"{_leg_name(gateway.port_id)}-{host}",
            "chassis_name": around.chassis_of(host),
            "priority": max(_TOP_GATEWAY_PRIORITY - place, 0),
        }
        key = RowKey(main.kind, main.id, f"gateway {host}")
        rows.append(WantedRow(key, "Gateway_Chassis", columns, parent=_leg_key(main, gateway.port_id)))
    for hop in gateway.next_hops:
        everything = "0.0.0.0/0" if address(hop).version == 4 else "::/0"
        rows.append(_route(main, f"default {hop}", everything, hop, [_leg_name(gateway.port_id)]))
    outside = [one.split("/")[0] for one in gateway.addresses if ":" not in one]
    for cidr in gateway.snat_cidrs if outside else ():
        text = str(parse_network(cidr))
        snat: dict[str, Value] = {"type": "snat", "external_ip": outside[0], "logical_ip": text}
        rows.append(WantedRow(RowKey(main.kind, main.id, f"snat {text}"), "NAT", snat, parent=main))
    return rows


def _route(main: RowKey, role: str, destination: str, hop: str, output_port: list[str] | None = None) -> WantedRow:
    columns: dict[str, Value] = {
        "ip_prefix": str(parse_network(destination)),
        "nexthop": hop,
        "output_port": output_port or [],
    }
    return WantedRow(RowKey(main.kind, main.id, role), "Logical_Router_Static_Route", columns, parent=main)
