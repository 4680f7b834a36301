"""Pure rules of networks: MTU bounds and what a provider network may be."""

from __future__ import annotations

from gureum.services.network import errors
from gureum.services.network.networks.model import OVERLAY

SMALLEST = {4: 68, 6: 1280}
"""The MTU that each IP version needs (RFC 791, RFC 8200)."""


def mtu_of(wanted: int | None, largest: int) -> int:
    """The MTU of a network whose engine carries at most `largest` bytes. 0 and None mean the largest."""
    if not wanted:
        return largest
    if not 0 < wanted <= largest:
        raise errors.invalid(f"Requested MTU {wanted} is not in 1 to {largest}", "InvalidInput")
    return wanted


def check_mtu(mtu: int, ip_version: int) -> None:
    """Raises Conflict when a network's MTU is too small for a subnet of that IP version."""
    if mtu < SMALLEST[ip_version]:
        raise errors.conflict(
            "NetworkMTUSubnetConflict", f"Requested MTU is too small, requires at least {SMALLEST[ip_version]}"
        )


def provider_of(kind: str | None, physical: str | None, segment: int | None) -> tuple[str, str | None, int | None]:
    """(type, physical network, VLAN) from the three provider attributes. Raises BadRequest."""
    kind = kind or (OVERLAY if physical is None else "flat" if segment is None else "vlan")
    if kind == OVERLAY:
        if physical is not None or segment is not None:
            raise errors.invalid(f"a {OVERLAY} network takes neither a physical network nor a segmentation id")
        return kind, None, None
    if kind not in ("flat", "vlan"):
        raise errors.invalid(f"provider:network_type {kind} is not one of flat, vlan, {OVERLAY}")
    if physical is None:
        raise errors.invalid(f"provider:physical_network is required for a {kind} network")
    if kind == "vlan" and segment is None:
        raise errors.invalid("provider:segmentation_id is required for a vlan network")
    if segment is not None and not 1 <= segment <= 4094:
        raise errors.invalid(f"provider:segmentation_id {segment} is not in 1 to 4094")
    if kind == "flat" and segment is not None:
        raise errors.invalid("a flat network takes no provider:segmentation_id")
    return kind, physical, segment
