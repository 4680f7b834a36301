"""What the things of the network interface have in common: their keys, what they refer to, when they are sound.

Not the mapping to an engine. Both the fake and the real driver refuse by these rules, so that a batch which passes
on the fake passes on the engine. Invariant: no text of a sound thing can leave its place in an engine's expression
or option (addresses are parsed, names are a short alphabet, control characters nowhere).
Read next: `fake.py`, `ovn/driver.py`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping

from gureum.drivers.network.interface import (
    FloatingIp,
    Kind,
    Network,
    NetworkDriverError,
    Port,
    Router,
    RouterGateway,
    RouterInterface,
    SecurityGroup,
    SecurityRule,
    Subnet,
    Thing,
)

Key = tuple[Kind, str]

INCOMPLETE = -1
"""The revision that `observe` gives to a thing whose rows or references are partly gone."""

KINDS: Mapping[type, Kind] = {
    Network: "network",
    Subnet: "subnet",
    Port: "port",
    Router: "router",
    SecurityGroup: "security_group",
    FloatingIp: "floating_ip",
}

CONTAINED: Mapping[Kind, tuple[Kind, ...]] = {"network": ("subnet", "port"), "router": ("floating_ip",)}
"""Removing a thing removes those of these kinds that refer to it; other references to it are only let go."""

PROTOCOL_NUMBERS = {"icmp": 1, "tcp": 6, "udp": 17, "icmpv6": 58, "sctp": 132}
PORT_PROTOCOLS = frozenset({6, 17, 132})
ICMP_PROTOCOLS = frozenset({1, 58})

_ID = re.compile(r"[0-9A-Za-z](?:[0-9A-Za-z_.-]{0,62}[0-9A-Za-z])?")
_NAME = re.compile(r"[0-9A-Za-z_.:-]{1,255}")
_MAC = re.compile(r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}")
_ADDRESS = re.compile(r"[0-9A-Fa-f.:]+(?:/[0-9]{1,3})?")


def key_of(thing: Thing) -> Key:
    """The kind and id that name `thing` in `observe` and in removals."""
    return KINDS[type(thing)], thing.id


def references(thing: Thing) -> tuple[Key, ...]:
    """The things that must exist, or be in the same batch, before `thing` can; each once."""
    found: list[Key] = []
    match thing:
        case Subnet():
            found.append(("network", thing.network_id))
        case Port():
            found.append(("network", thing.network_id))
            found.extend(("subnet", fixed.subnet_id) for fixed in thing.fixed_ips)
            found.extend(("security_group", group) for group in thing.security_groups)
        case Router():
            found.extend(("network", leg.network_id) for leg in thing.interfaces)
            if thing.gateway is not None:
                found.append(("network", thing.gateway.network_id))
        case SecurityGroup():
            others = (rule.remote_group_id for rule in thing.rules)
            found.extend(("security_group", other) for other in others if other is not None and other != thing.id)
        case FloatingIp():
            found.append(("router", thing.router_id))
            if thing.port_id is not None:
                found.append(("port", thing.port_id))
    return tuple(dict.fromkeys(found))


def wanted_by_key(ensure: Iterable[Thing], remove: Iterable[Key]) -> dict[Key, Thing]:
    """The sound things of a batch by key; of two with one key the higher revision counts.

    Raises NetworkDriverError for an unsound thing and for a key that is both ensured and removed.
    """
    wanted: dict[Key, Thing] = {}
    for thing in ensure:
        check(thing)
        key = key_of(thing)
        if key not in wanted or wanted[key].revision <= thing.revision:
            wanted[key] = thing
    for kind, id_ in remove:
        if (kind, id_) in wanted:
            raise NetworkDriverError(f"{kind} {id_} is both wanted and removed in one batch")
    return wanted


def refuse_dangling(wanted: Mapping[Key, Thing], exists: Callable[[Key], bool]) -> None:
    """Raise NetworkDriverError for the first reference that leads neither into the batch nor to what `exists`."""
    for key, thing in wanted.items():
        for other in references(thing):
            if other not in wanted and not exists(other):
                raise NetworkDriverError(f"{key[0]} {key[1]} refers to {other[0]} {other[1]}, which does not exist")


def check(thing: Thing) -> None:
    """Raise NetworkDriverError unless every text of `thing` is what its place demands."""
    _text(_ID, thing.id, "id")
    match thing:
        case Network():
            _check_network(thing)
        case Subnet():
            _check_subnet(thing)
        case Port():
            _check_port(thing)
        case Router():
            _check_router(thing)
        case SecurityGroup():
            for rule in thing.rules:
                _check_rule(rule)
        case FloatingIp():
            _text(_MAC, thing.mac, "MAC address")
            address(thing.floating_ip)
            address(thing.fixed_ip)


def address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An IP address without a zone; NetworkDriverError for anything else."""
    try:
        return ipaddress.ip_address(_text(_ADDRESS, text, "address"))
    except ValueError as error:
        raise NetworkDriverError(f"{text!r} is not an IP address") from error


def network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """A CIDR, host bits dropped; NetworkDriverError for anything else."""
    try:
        return ipaddress.ip_network(_text(_ADDRESS, text, "CIDR"), strict=False)
    except ValueError as error:
        raise NetworkDriverError(f"{text!r} is not a CIDR") from error


def protocol_number(rule: SecurityRule) -> int | None:
    """The IP protocol number of `rule`, None for any; "icmp" in an IPv6 rule means ICMPv6."""
    if rule.protocol is None:
        return None
    number = PROTOCOL_NUMBERS.get(rule.protocol)
    if number is None:
        if not re.fullmatch(r"[0-9]{1,3}", rule.protocol) or int(rule.protocol) > 255:
            raise NetworkDriverError(f"{rule.protocol!r} is not a protocol")
        number = int(rule.protocol)
    return 58 if number == 1 and rule.ethertype == "IPv6" else number


def _text(pattern: re.Pattern[str], text: str, what: str) -> str:
    if not pattern.fullmatch(text):
        raise NetworkDriverError(f"{text!r} is not a sound {what}")
    return text


def _interface(text: str) -> None:
    try:
        ipaddress.ip_interface(_text(_ADDRESS, text, "address with prefix"))
    except ValueError as error:
        raise NetworkDriverError(f"{text!r} is not an address with prefix") from error


def _check_network(thing: Network) -> None:
    if thing.physical_network is not None:
        _text(_NAME, thing.physical_network, "physical network")
    if thing.vlan is not None and not 1 <= thing.vlan <= 4094:
        raise NetworkDriverError(f"{thing.vlan} is not a VLAN")


def _check_subnet(thing: Subnet) -> None:
    _text(_ID, thing.network_id, "id")
    if network(thing.cidr).version != thing.ip_version:
        raise NetworkDriverError(f"{thing.cidr} is not of IP version {thing.ip_version}")
    for one in (thing.gateway_ip, thing.metadata_ip, *thing.dns_servers):
        if one is not None:
            address(one)
    _check_routes(thing.host_routes)
    for mode in (thing.ipv6_ra_mode, thing.ipv6_address_mode):
        if mode not in {None, "slaac", "dhcpv6-stateful", "dhcpv6-stateless"}:
            raise NetworkDriverError(f"{mode!r} is not an IPv6 mode")


def _check_port(thing: Port) -> None:
    _text(_ID, thing.network_id, "id")
    _text(_MAC, thing.mac, "MAC address")
    if thing.host is not None:
        _text(_NAME, thing.host, "host name")
    for fixed in thing.fixed_ips:
        address(fixed.ip)
    for pair_ip, pair_mac in thing.allowed_pairs:
        network(pair_ip)
        _text(_MAC, pair_mac, "MAC address")
    for group in thing.security_groups:
        _text(_ID, group, "id")


def _check_router(thing: Router) -> None:
    legs: list[RouterInterface | RouterGateway] = list(thing.interfaces)
    if thing.gateway is not None:
        legs.append(thing.gateway)
        for hop in thing.gateway.next_hops:
            address(hop)
        for cidr in thing.gateway.snat_cidrs:
            if network(cidr).version != 4:
                raise NetworkDriverError(f"SNAT is for IPv4, not for {cidr}")
        for host in thing.gateway.hosts:
            _text(_NAME, host, "host name")
    for leg in legs:
        _text(_ID, leg.port_id, "id")
        _text(_MAC, leg.mac, "MAC address")
        if not leg.addresses:
            raise NetworkDriverError(f"leg {leg.port_id} of router {thing.id} has no address")
        for one in leg.addresses:
            _interface(one)
    _check_routes(thing.routes)


def _check_routes(routes: Iterable[tuple[str, str]]) -> None:
    for destination, next_hop in routes:
        if network(destination).version != address(next_hop).version:
            raise NetworkDriverError(f"route {destination} cannot go to {next_hop}")


def _check_rule(rule: SecurityRule) -> None:
    _text(_ID, rule.id, "id")
    number = protocol_number(rule)
    if rule.remote_group_id is not None:
        _text(_ID, rule.remote_group_id, "id")
    if rule.remote_cidr is not None and network(rule.remote_cidr).version != (4 if rule.ethertype == "IPv4" else 6):
        raise NetworkDriverError(f"{rule.remote_cidr} is not {rule.ethertype}")
    bounds = [bound for bound in (rule.port_min, rule.port_max) if bound is not None]
    top = 255 if number in ICMP_PROTOCOLS else 65535
    if bounds and number not in PORT_PROTOCOLS | ICMP_PROTOCOLS:
        raise NetworkDriverError(f"rule {rule.id}: protocol {rule.protocol} has no ports")
    if any(not 0 <= bound <= top for bound in bounds):
        raise NetworkDriverError(f"rule {rule.id}: {bounds} are out of range")
