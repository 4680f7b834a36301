"""Networks, subnets and ports as logical switches, DHCP options and logical switch ports.

A port's row is named by the port's id, which is the iface-id that a host's agent gives to the interface. A subnet
has its DHCP options row even when it serves nobody: it marks the subnet's existence, and ports point to it, so that
switching DHCP on or off touches one row. Invariant: with port security a guest sends only from the MAC and IP addresses
written here, ARP and neighbour discovery included.
Read next: ovn-nb(5), Logical_Switch_Port and DHCP_Options; RFC 2132, RFC 3442, RFC 8415.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from gureum.drivers.network.addresses import LINK_LOCAL, automatic_address
from gureum.drivers.network.interface import Network, Port, Subnet
from gureum.drivers.network.ovn.groups import NO_GROUP, group_row
from gureum.drivers.network.ovn.rows import Picture, RowKey, Surroundings, Value, WantedRow
from gureum.drivers.network.things import network as parse_network
from gureum.drivers.network.things import references

LEASE_S = 43200
METADATA_ADDRESS = "169.254.169.254/32"
LABEL_RA = "gureum:ra"
LABEL_USE = "gureum:use"
LABEL_DHCP = {4: "gureum:dhcp4", 6: "gureum:dhcp6"}
DHCP_COLUMN = {4: "dhcpv4_options", 6: "dhcpv6_options"}


def network(thing: Network) -> Picture:
    """A logical switch, and a localnet port where it joins a physical network."""
    main = RowKey("network", thing.id)
    other_config = {"mcast_snoop": "false", "vlan-passthru": "false"}
    rows = [WantedRow(main, "Logical_Switch", {"name": f"network-{thing.id}", "other_config": other_config})]
    if thing.physical_network is not None:
        columns: dict[str, Value] = {
            "name": f"localnet-{thing.id}",
            "type": "localnet",
            "addresses": ["unknown"],
            "options": {"network_name": thing.physical_network},
            "tag": [] if thing.vlan is None else [thing.vlan],
        }
        rows.append(WantedRow(RowKey("network", thing.id, "localnet"), "Logical_Switch_Port", columns, parent=main))
    return Picture(("network", thing.id), thing.revision, (), tuple(rows))


def subnet(thing: Subnet) -> Picture:
    """A DHCP options row; its options are empty, and nobody is served, without DHCP."""
    labels = {} if thing.ipv6_ra_mode is None else {LABEL_RA: thing.ipv6_ra_mode}
    options: dict[str, str] = {}
    if thing.dhcp and thing.ip_version == 4:
        options = _dhcp4(thing)
    elif thing.dhcp and thing.ipv6_address_mode != "slaac":
        options = _dhcp6(thing)
    row = WantedRow(
        RowKey("subnet", thing.id),
        "DHCP_Options",
        {"cidr": str(parse_network(thing.cidr)), "options": options},
        labels=labels,
    )
    return Picture(("subnet", thing.id), thing.revision, references(thing), (row,))


def port(thing: Port, around: Surroundings) -> Picture:
    """A logical switch port and the port groups that it belongs to."""
    plain = thing.kind == "metadata"
    served: dict[int, str] = {}
    for fixed in thing.fixed_ips:
        served.setdefault(6 if ":" in fixed.ip else 4, fixed.subnet_id)
    columns: dict[str, Value] = {
        "name": thing.id,
        "type": "localport" if plain else "",
        "addresses": _addresses(thing),
        "port_security": _port_security(thing),
        "enabled": [thing.enabled],
        "options": {} if thing.host is None or plain else {"requested-chassis": around.chassis_of(thing.host)},
    }
    for version, column in DHCP_COLUMN.items():
        columns[column] = [RowKey("subnet", served[version])] if version in served and not plain else []
    labels = {LABEL_USE: thing.kind} | {LABEL_DHCP[version]: id_ for version, id_ in served.items()}
    groups: tuple[RowKey, ...] = ()
    if thing.port_security and not plain:
        groups = tuple(group_row(group) for group in thing.security_groups) or (NO_GROUP,)
    row = WantedRow(
        RowKey("port", thing.id),
        "Logical_Switch_Port",
        columns,
        parent=RowKey("network", thing.network_id),
        labels=labels,
    )
    return Picture(("port", thing.id), thing.revision, references(thing), (row,), groups)


def _addresses(thing: Port) -> list[str]:
    found = [" ".join([thing.mac.lower(), *(fixed.ip for fixed in thing.fixed_ips)])]
    found.extend(sorted({mac.lower() for _, mac in thing.allowed_pairs} - {thing.mac.lower()}))
    if not thing.port_security and thing.kind != "metadata":
        found.append("unknown")
    return found


def _port_security(thing: Port) -> list[str]:
    if not thing.port_security or thing.kind == "metadata":
        return []
    allowed = {thing.mac.lower(): [fixed.ip for fixed in thing.fixed_ips]}
    if any(":" in fixed.ip for fixed in thing.fixed_ips):
        # A guest may send from its link-local address anyway; only when it is named it may also answer for it (ND).
        allowed[thing.mac.lower()].append(automatic_address(LINK_LOCAL, thing.mac))
    for ip, mac in thing.allowed_pairs:
        cidr = parse_network(ip)
        text = str(cidr.network_address) if cidr.prefixlen == cidr.max_prefixlen else str(cidr)
        allowed.setdefault(mac.lower(), []).append(text)
    # A MAC address alone would let any IP address through; with 0.0.0.0 the port may ask for one and no more.
    return [" ".join([mac, *(dict.fromkeys(ips) or ["0.0.0.0"])]) for mac, ips in allowed.items()]  # noqa: S104


def _server_mac(subnet_id: str) -> str:
    digest = hashlib.sha256(subnet_id.encode()).digest()
    return ":".join(f"{octet:02x}" for octet in (0x02, *digest[:5]))


def _dhcp4(thing: Subnet) -> dict[str, str]:
    first = str(next(iter(parse_network(thing.cidr).hosts())))
    options = {
        "server_id": thing.gateway_ip or thing.metadata_ip or first,
        "server_mac": _server_mac(thing.id),
        "lease_time": str(LEASE_S),
        "mtu": str(thing.mtu),
    }
    routes = [(str(parse_network(destination)), hop) for destination, hop in thing.host_routes]
    if thing.metadata_ip is not None:
        routes.insert(0, (METADATA_ADDRESS, thing.metadata_ip))
    if thing.gateway_ip is not None:
        options["router"] = thing.gateway_ip
        # A client that takes option 121 must not look at the router option (RFC 3442).
        if routes and all(destination != "0.0.0.0/0" for destination, _ in routes):
            routes.append(("0.0.0.0/0", thing.gateway_ip))
    if routes:
        options["classless_static_route"] = _set(f"{destination},{hop}" for destination, hop in routes)
    if thing.dns_servers:
        options["dns_server"] = _set(thing.dns_servers)
    return options


def _dhcp6(thing: Subnet) -> dict[str, str]:
    options = {"server_id": _server_mac(thing.id)}
    if thing.dns_servers:
        options["dns_server"] = _set(thing.dns_servers)
    if thing.ipv6_address_mode == "dhcpv6-stateless":
        options["dhcpv6_stateless"] = "true"
    return options


def _set(texts: Iterable[str]) -> str:
    return "{" + ", ".join(texts) + "}"
