"""Pure rules of subnets: ranges, pools, gateways, routes and IPv6 modes.

Source: network API reference, "Subnets"; RFC 4291 section 2.5.1 (interface identifiers of 64 bits for SLAAC);
RFC 6890 (addresses of special purpose).
"""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Sequence

from gureum.services.network import errors

Net = ipaddress.IPv4Network | ipaddress.IPv6Network
Ip = ipaddress.IPv4Address | ipaddress.IPv6Address
Pool = tuple[str, str]
MAX_SERVERS = 5
MAX_ROUTES = 20
RESERVED = {
    ipaddress.ip_network(cidr): purpose
    for cidr, purpose in (
        ("0.0.0.0/8", "this network"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local addresses and the metadata service"),
        ("224.0.0.0/4", "multicast"),
        ("255.255.255.255/32", "broadcast"),
        ("::/128", "the unspecified address"),
        ("::1/128", "loopback"),
        ("::ffff:0:0/96", "IPv4 addresses in IPv6 form"),
        ("fe80::/10", "link-local addresses"),
        ("ff00::/8", "multicast"),
    )
}
"""Ranges whose addresses no port can use: hosts take them for something else."""
AUTOMATIC = ("slaac", "dhcpv6-stateless")
"""IPv6 address modes in which a guest makes its address from its MAC."""


def range_of(text: str, what: str = "IP address or subnet") -> Net:
    """A range, or one address as the range of itself, host bits dropped, without a zone. Raises BadRequest.

    A zone may be any text, which Python's own type keeps.
    """
    try:
        net = ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise errors.invalid(f"'{text[:64]}' is not a valid {what}") from error
    if "%" in text:
        raise errors.invalid(f"'{text[:64]}' is not a valid {what}")
    return net


def network_of(cidr: str, version: int) -> Net:
    """The range, host bits dropped. Raises BadRequest unless it is one of this IP version."""
    net = range_of(cidr, "IP subnet")
    if net.version != version:
        raise errors.invalid(f"cidr '{cidr[:64]}' does not match the ip_version '{version}'")
    if "/" not in cidr:
        raise errors.invalid(f"'{cidr[:64]}' has no prefix length")
    return net


def ip_of(text: str, what: str = "IP address") -> Ip:
    """An address without a zone. Raises BadRequest."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError as error:
        raise errors.invalid(f"'{text[:64]}' is not a valid {what}") from error
    if "%" in text:
        raise errors.invalid(f"'{text[:64]}' is not a valid {what}")
    return found


def refuse_reserved(net: Net) -> None:
    """Raises BadRequest for a range with addresses that no port can use."""
    for reserved, purpose in RESERVED.items():
        if reserved.version == net.version and reserved.overlaps(net):
            raise errors.invalid(f"'{net}' is no range for a subnet: {reserved} in it is for {purpose}")


def reserved_for(address: Ip) -> str | None:
    """What an address of special purpose is for; None for one that a port can have."""
    ranges = RESERVED.items()
    return next((purpose for net, purpose in ranges if net.version == address.version and address in net), None)


def gateway_of(net: Net, wanted: str | None) -> str | None:
    """The gateway address to keep. Raises BadRequest for one that no router can have."""
    if wanted is None:
        return None
    gateway = ip_of(wanted, "gateway_ip")
    if gateway.version != net.version:
        raise errors.invalid(f"gateway_ip '{wanted}' does not match the ip_version '{net.version}'")
    purpose = None if gateway.is_link_local else reserved_for(gateway)
    if purpose is not None:
        raise errors.invalid(f"gateway_ip '{wanted}' is no router's address: it is for {purpose}")
    plain = net.version == 6 or net.prefixlen >= 31
    if (gateway == net.network_address and not plain) or (
        gateway == net.broadcast_address and net.version == 4 and not plain
    ):
        raise errors.invalid(f"Gateway is not valid on subnet: {wanted}")
    return str(gateway)


def first_host(net: Net) -> str | None:
    """The gateway of a subnet that names none: the first address after the network's.

    A subnet of one address has none, since that is for its port.
    """
    return str(net.network_address + 1) if net.num_addresses > 1 else None


def default_pools(net: Net, gateway: str | None) -> list[Pool]:
    """All usable addresses but the gateway's."""
    first, last = int(net.network_address), int(net.broadcast_address)
    if net.num_addresses > 2:
        first, last = first + 1, last - (1 if net.version == 4 else 0)
    hole = int(ipaddress.ip_address(gateway)) if gateway else None
    spans = [(first, last)] if hole is None or not first <= hole <= last else [(first, hole - 1), (hole + 1, last)]
    make = type(net.network_address)
    return [(str(make(low)), str(make(high))) for low, high in spans if low <= high]


def check_pools(net: Net, pools: Sequence[Pool], gateway: str | None) -> list[Pool]:
    """The given pools in order. Raises BadRequest or Conflict for what they must not be."""
    spans = []
    for start, end in pools:
        low, high = ip_of(start, "pool start"), ip_of(end, "pool end")
        if low.version != net.version or high.version != net.version:
            raise errors.invalid(f"The allocation pool {start}-{end} is not valid.", "InvalidAllocationPool")
        if int(low) > int(high):
            raise errors.invalid(f"The allocation pool {start}-{end} is not valid.", "InvalidAllocationPool")
        edges = {net.network_address, net.broadcast_address} if net.version == 4 and net.prefixlen < 31 else set()
        if low not in net or high not in net or low in edges or high in edges:
            raise errors.invalid(
                f"The allocation pool {start}-{end} spans beyond the subnet cidr {net}.", "OutOfBoundsAllocationPool"
            )
        spans.append((int(low), int(high), str(low), str(high)))
    spans.sort()
    for before, after in itertools.pairwise(spans):
        if after[0] <= before[1]:
            raise errors.conflict(
                "OverlappingAllocationPools",
                f"Found overlapping allocation pools: {before[2]}-{before[3]} {after[2]}-{after[3]} for subnet {net}.",
            )
    if gateway is not None:
        refuse_gateway_in(gateway, [(start, end) for _, _, start, end in spans])
    return [(start, end) for _, _, start, end in spans]


def refuse_gateway_in(gateway: str, pools: Sequence[Pool]) -> None:
    value = int(ipaddress.ip_address(gateway))
    for start, end in pools:
        if int(ipaddress.ip_address(start)) <= value <= int(ipaddress.ip_address(end)):
            raise errors.conflict(
                "GatewayConflictWithAllocationPools",
                f"Gateway ip {gateway} conflicts with allocation pool {start}-{end}.",
            )


def check_modes(net: Net, ra_mode: str | None, address_mode: str | None, *, dhcp: bool) -> None:
    """IPv6 modes: for IPv6 with DHCP on, equal when both are set, with 64 bits left for the guest's part."""
    if ra_mode is None and address_mode is None:
        return
    if net.version != 6:
        raise errors.invalid("ipv6_ra_mode or ipv6_address_mode cannot be set when ip_version is 4")
    if not dhcp:
        raise errors.invalid("ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is set to False")
    if ra_mode and address_mode and ra_mode != address_mode:
        raise errors.invalid(
            f"ipv6_ra_mode set to '{ra_mode}' with ipv6_address_mode set to '{address_mode}' is not valid. "
            "If both attributes are set, they must be the same value"
        )
    if (ra_mode in AUTOMATIC or address_mode in AUTOMATIC) and net.prefixlen != 64:
        raise errors.invalid(f"Invalid CIDR {net} for IPv6 address mode. A prefix length of 64 is required")


def check_dhcp_room(net: Net, *, dhcp: bool) -> None:
    if dhcp and net.version == 4 and net.prefixlen > 30:
        raise errors.invalid("Subnet has a prefix length that is incompatible with DHCP service enabled")


def resolvers_of(own: Sequence[str], of_cloud: Sequence[str]) -> list[str]:
    """The resolvers that guests of a subnet are told of: its own, else the cloud's.

    `0.0.0.0` or `::` as a subnet's own means none (networking guide, "Name resolution for instances").
    """
    return [server for server in own or of_cloud if not ipaddress.ip_address(server).is_unspecified]


def check_routes(routes: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """(destination, next hop) pairs, normal. Raises BadRequest for a pair that cannot be, or is there twice."""
    found: list[tuple[str, str]] = []
    for destination, hop in routes:
        next_hop = ip_of(hop, "nexthop")
        pair = (str(network_of(destination, next_hop.version)), str(next_hop))
        if pair in found:
            raise errors.invalid(f"Duplicate route '{destination}' via '{hop}'")
        found.append(pair)
    return found


def check_amounts(servers: int = 0, routes: int = 0) -> None:
    """Raises BadRequest for more name servers or host routes than a subnet may have."""
    for what, code, amount, most in (
        ("DNS nameservers", "DNSNameServersExhausted", servers, MAX_SERVERS),
        ("host routes", "HostRoutesExhausted", routes, MAX_ROUTES),
    ):
        if amount > most:
            raise errors.invalid(f"Unable to complete operation. The number of {what} exceeds the limit {most}.", code)


def is_automatic(ra_mode: str | None, address_mode: str | None) -> bool:
    return address_mode in AUTOMATIC or (ra_mode in AUTOMATIC and address_mode is None)
