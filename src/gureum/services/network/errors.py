"""Errors of the network API: the exception type names that its clients read, with their statuses.

Source: network API reference, the error sections; the names are the `type` of a NeutronError body.
"""

from __future__ import annotations

from collections.abc import Iterable

from gureum.foundation.errors import BadRequest, Conflict, NotFound
from gureum.foundation.quota import Overrun

_NAMES = {
    "network": ("Network", "NetworkNotFound"),
    "subnet": ("Subnet", "SubnetNotFound"),
    "port": ("Port", "PortNotFound"),
    "router": ("Router", "RouterNotFound"),
    "security_group": ("Security group", "SecurityGroupNotFound"),
    "security_group_rule": ("Security group rule", "SecurityGroupRuleNotFound"),
    "floatingip": ("Floating IP", "FloatingIPNotFound"),
    "agent": ("Agent", "AgentNotFound"),
    "extension": ("Extension", "HTTPNotFound"),
}


def missing(kind: str, resource_id: str) -> NotFound:
    """404 for a thing that is not there or not the caller's to see."""
    title, code = _NAMES[kind]
    return NotFound(f"{title} {resource_id[:64]} could not be found.", code=code)


def invalid(text: str, code: str = "InvalidInput") -> BadRequest:
    return BadRequest(f"Invalid input for operation: {text}." if code == "InvalidInput" else text, code=code)


def conflict(code: str, text: str) -> Conflict:
    return Conflict(text, code=code)


def over_quota(found: Iterable[Overrun]) -> Conflict:
    """409: the network API's answer to a quota overrun."""
    return Conflict(f"Quota exceeded for resources: {'; '.join(map(str, found))}.", code="OverQuota")


def no_address_left(network_id: str) -> Conflict:
    return Conflict(f"No more IP addresses available on network {network_id}.", code="IpAddressGenerationFailure")


def address_in_use(ip: str, subnet_id: str) -> Conflict:
    return Conflict(f"IP address {ip} already allocated in subnet {subnet_id}.", code="IpAddressAlreadyAllocated")
