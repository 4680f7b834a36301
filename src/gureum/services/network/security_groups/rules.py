"""Pure rules of security group rules: protocols, port ranges, ICMP types, remotes, sameness.

Source: network API reference, "Security group rules"; the IANA registry of protocol numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

from gureum.services.network import errors
from gureum.services.network.subnets.rules import range_of

PROTOCOLS = {
    "ah": 51,
    "dccp": 33,
    "egp": 8,
    "esp": 50,
    "gre": 47,
    "icmp": 1,
    "icmpv6": 58,
    "igmp": 2,
    "ipip": 4,
    "ipv6-encap": 41,
    "ipv6-frag": 44,
    "ipv6-icmp": 58,
    "ipv6-nonxt": 59,
    "ipv6-opts": 60,
    "ipv6-route": 43,
    "ospf": 89,
    "pgm": 113,
    "rsvp": 46,
    "sctp": 132,
    "tcp": 6,
    "udp": 17,
    "udplite": 136,
    "vrrp": 112,
}
WITH_PORTS = frozenset({6, 17, 132})
"""Those whose ports the virtual switch can match. DCCP and UDP-Lite have ports too, but a rule for some of them could
not be held to, so it is refused.
"""
ICMP = frozenset({1, 58})
EVERYWHERE = ("0.0.0.0/0", "::/0")
"""Remote prefixes that mean the same as none."""
IPV6_ONLY = frozenset({41, 43, 44, 58, 59, 60})


@dataclass(frozen=True, slots=True)
class Allowance:
    """A rule's meaning: two rules with equal allowances in one group are the same rule."""

    direction: str
    ethertype: str
    protocol: int | None
    port_min: int | None
    port_max: int | None
    prefix: str | None
    remote_group_id: str | None


def protocol_of(wanted: str | int | None) -> str | None:
    """The protocol as it is kept: a known name in lower case, a number as text, None for any. Raises BadRequest."""
    if wanted is None or str(wanted).lower() == "any":
        return None
    text = str(wanted).lower()
    if text in PROTOCOLS:
        return text
    if text.isascii() and text.isdigit() and int(text) <= 255:
        return str(int(text))
    raise errors.invalid(
        f"Security group rule protocol {text[:32]} not supported. Only protocol values {sorted(PROTOCOLS)} "
        "and integer representations [0 to 255] are supported.",
        "SecurityGroupRuleInvalidProtocol",
    )


def names_of(protocol: str) -> list[str]:
    """Every form in which a protocol is kept: its names and its number; none for what is no protocol."""
    text = protocol.lower()
    number = PROTOCOLS.get(text, int(text) if text.isascii() and text.isdigit() else None)
    return [] if number is None else [str(number), *(name for name, one in PROTOCOLS.items() if one == number)]


def canonical(protocol: str | None, ethertype: str) -> str | None:
    """ICMP in an IPv6 rule means ICMPv6, by its one name."""
    if ethertype == "IPv6":
        return {"icmp": "ipv6-icmp", "icmpv6": "ipv6-icmp", "1": "58"}.get(protocol or "", protocol)
    return protocol


def number_of(protocol: str | None) -> int | None:
    """The IP protocol number; None means any protocol, which 0 does as well."""
    if protocol is None:
        return None
    return PROTOCOLS[protocol] if protocol in PROTOCOLS else int(protocol) or None


def check_family(protocol: str | None, ethertype: str) -> None:
    """Raises BadRequest for a protocol that the address family does not have."""
    if ethertype == "IPv4" and protocol not in (None, "icmp") and number_of(protocol) in IPV6_ONLY:
        raise errors.invalid(
            f"Invalid ethertype {ethertype} for protocol {protocol}.", "SecurityGroupEthertypeConflictWithProtocol"
        )


def ports_of(protocol: str | None, low: int | None, high: int | None) -> tuple[int | None, int | None]:
    """The port range, or ICMP type and code. Raises BadRequest that says which value is wrong."""
    number = number_of(protocol)
    for value in (low, high):
        if value is not None and not 0 <= value <= 65535:
            raise errors.invalid(f"Invalid value for port {value}", "SecurityGroupInvalidPortValue")
    if low is None and high is None:
        return None, None
    if number is None:
        raise errors.invalid(
            "Must also specify protocol if port range is given.", "SecurityGroupProtocolRequiredWithPorts"
        )
    if number in ICMP:
        return _icmp(low, high)
    if number not in WITH_PORTS:
        raise errors.invalid(
            f"Invalid protocol {protocol} for port range, only supported for TCP, UDP and SCTP.",
            "SecurityGroupInvalidProtocolForPort",
        )
    if low is None or high is None or low > high:
        raise errors.invalid(
            "For TCP/UDP protocols, port_range_min must be <= port_range_max", "SecurityGroupInvalidPortRange"
        )
    if low == 0:
        raise errors.invalid("Invalid value for port 0", "SecurityGroupInvalidPortValue")
    return low, high


def _icmp(kind: int | None, code: int | None) -> tuple[int | None, int | None]:
    for field, name, value in (("type", "port-range-min", kind), ("code", "port-range-max", code)):
        if value is not None and value > 255:
            raise errors.invalid(
                f"Invalid value for ICMP {field} ({name}) {value}. It must be 0 to 255.",
                "SecurityGroupInvalidIcmpValue",
            )
    if kind is None:
        raise errors.invalid(
            f"ICMP code (port-range-max) {code} is provided but ICMP type (port-range-min) is missing.",
            "SecurityGroupMissingIcmpType",
        )
    return kind, code


def prefix_of(wanted: str | None, ethertype: str) -> str | None:
    """The range that a remote prefix means. Raises BadRequest for none, or one of the other family."""
    if wanted is None:
        return None
    net = range_of(wanted)
    if f"IPv{net.version}" != ethertype:
        raise errors.invalid(
            f"Conflicting value ethertype {ethertype} for CIDR {wanted}", "SecurityGroupRuleParameterConflict"
        )
    return str(net)
