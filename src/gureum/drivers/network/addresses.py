"""Addresses that machines make for themselves. Source: RFC 4291 appendix A (modified EUI-64), section 2.5.6."""

from __future__ import annotations

import ipaddress

LINK_LOCAL = ipaddress.IPv6Network("fe80::/64")


def automatic_address(net: ipaddress.IPv4Network | ipaddress.IPv6Network, mac: str) -> str:
    """The address that a machine with this MAC makes for itself in an IPv6 range of 64 bits."""
    octets = bytes.fromhex(mac.replace(":", ""))
    identifier = bytes((octets[0] ^ 2, *octets[1:3], 0xFF, 0xFE, *octets[3:]))
    return str(ipaddress.IPv6Address(int(net.network_address) | int.from_bytes(identifier)))
