"""Security groups as port groups with ACLs.

Each group carries its own default: drop all IP of its ports, but let them ask for an address. Allowances of any
other group of the port outrank that, so groups add up and no set of all ports of the cloud is needed. ARP and
neighbour discovery are let through by OVN itself and held honest by port security (`switches.py`).
Read next: ovn-nb(5), ACL; ovn-sb(5), Logical_Flow match.
"""

from __future__ import annotations

import re

from gureum.drivers.network.interface import SecurityGroup, SecurityRule
from gureum.drivers.network.ovn.rows import Picture, RowKey, Value, WantedRow
from gureum.drivers.network.things import (
    ICMP_PROTOCOLS,
    PORT_PROTOCOLS,
    PROTOCOL_NUMBERS,
    network,
    protocol_number,
    references,
)

ALLOW_PRIORITY = 1002
DROP_PRIORITY = 1001
NO_GROUP = RowKey("engine", "no-group")
"""The port group of guest ports that have port security and no security group."""

_NO_GROUP_REVISION = 1
_NAMES = {number: name for name, number in PROTOCOL_NUMBERS.items()} | {1: "icmp4", 58: "icmp6"}


def group_row(group_id: str) -> RowKey:
    """The row of a security group's port group."""
    return RowKey("security_group", group_id)


def security_group(thing: SecurityGroup) -> Picture:
    """A port group named after `thing`, one ACL for each rule, and the defaults."""
    main = group_row(thing.id)
    action = "allow-related" if thing.stateful else "allow-stateless"
    name = _group_name(thing.id)
    rules = tuple(
        _acl(main, f"rule {rule.id}", (ALLOW_PRIORITY, _direction(rule.direction), _match(name, rule), action))
        for rule in thing.rules
    )
    rows = (WantedRow(main, "Port_Group", {"name": name}), *_defaults(main, name), *rules)
    return Picture(("security_group", thing.id), thing.revision, references(thing), rows)


def no_group(owner: str) -> Picture:
    """The port group that only drops; one for each owner of the database."""
    name = "gureum_none_" + re.sub(r"\W", "_", owner)
    rows = (WantedRow(NO_GROUP, "Port_Group", {"name": name}), *_defaults(NO_GROUP, name))
    return Picture((NO_GROUP.kind, NO_GROUP.id), _NO_GROUP_REVISION, (), rows)


def _group_name(group_id: str) -> str:
    # The expression language takes it after "@" and "$": letters, digits, "_" and "." only.
    return "sg_" + re.sub(r"[^0-9A-Za-z_.]", "_", group_id)


def _direction(direction: str) -> str:
    return "to-lport" if direction == "ingress" else "from-lport"


def _acl(group: RowKey, role: str, what: tuple[int, str, str, str]) -> WantedRow:
    priority, direction, match, action = what
    columns: dict[str, Value] = {"priority": priority, "direction": direction, "match": match, "action": action}
    return WantedRow(RowKey(group.kind, group.id, role), "ACL", columns, parent=group)


def _defaults(group: RowKey, name: str) -> tuple[WantedRow, ...]:
    # Only the broadcast request passes: the answer comes from OVN on the same host, and a guest that may
    # send nothing else renews by broadcast before its lease ends (RFC 2131, 4.4.5).
    dhcp4 = f"inport == @{name} && ip4 && ip4.dst == 255.255.255.255 && udp && udp.src == 68 && udp.dst == 67"
    dhcp6 = f"inport == @{name} && ip6 && ip6.dst == ff02::1:2 && udp && udp.src == 546 && udp.dst == 547"
    return (
        _acl(group, "drop out", (DROP_PRIORITY, "from-lport", f"inport == @{name} && ip", "drop")),
        _acl(group, "drop in", (DROP_PRIORITY, "to-lport", f"outport == @{name} && ip", "drop")),
        _acl(group, "dhcp 4", (ALLOW_PRIORITY, "from-lport", dhcp4, "allow")),
        _acl(group, "dhcp 6", (ALLOW_PRIORITY, "from-lport", dhcp6, "allow")),
    )


def _match(name: str, rule: SecurityRule) -> str:
    family = "ip4" if rule.ethertype == "IPv4" else "ip6"
    ingress = rule.direction == "ingress"
    parts = [f"outport == @{name}" if ingress else f"inport == @{name}", family]
    remote = f"{family}.src" if ingress else f"{family}.dst"
    if rule.remote_group_id is not None:
        # northd makes an address set of every port group's ports, one for each family.
        parts.append(f"{remote} == ${_group_name(rule.remote_group_id)}_{family}")
    if rule.remote_cidr is not None:
        cidr = network(rule.remote_cidr)
        if cidr.prefixlen:
            parts.append(f"{remote} == {cidr}")
    number = protocol_number(rule)
    if number is not None:
        parts.extend(_protocol(number, rule))
    return " && ".join(parts)


def _protocol(number: int, rule: SecurityRule) -> list[str]:
    word = _NAMES.get(number)
    if word is None:
        return [f"ip.proto == {number}"]
    parts = [word]
    if number in ICMP_PROTOCOLS:
        if rule.port_min is not None:
            parts.append(f"{word}.type == {rule.port_min}")
        if rule.port_max is not None:
            parts.append(f"{word}.code == {rule.port_max}")
    elif number in PORT_PROTOCOLS:
        if rule.port_min is not None and rule.port_min == rule.port_max:
            return [word, f"{word}.dst == {rule.port_min}"]
        if rule.port_min is not None:
            parts.append(f"{word}.dst >= {rule.port_min}")
        if rule.port_max is not None:
            parts.append(f"{word}.dst <= {rule.port_max}")
    return parts
