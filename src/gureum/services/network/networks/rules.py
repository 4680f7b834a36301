"""Pure rules of networks: MTU bounds and what a provider network may be."""

from __future__ import annotations

from gureum.services.network import errors
from gureum.services.network.networks.model import OVERLAY

MIN_MTU = 68


def mtu_of(wanted: int | None, largest: int) -> int:
    """The MTU of a network whose engine carries at most `largest` bytes. 0 and None mean the largest."""
    if not wanted:
        return largest
    if not MIN_MTU <= wanted <= largest:
        raise errors.invalid(f"Requested MTU {wanted} is not in {MIN_MTU} to {largest}", "InvalidInput")
    return wanted


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
