"""How many addresses networks and subnets have and use. Source: network API reference, "Network IP availability"."""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import select

from gureum.foundation.db.engine import Tx
from gureum.services.network.ports.model import IpAllocation
from gureum.services.network.subnets.model import Subnet

_DETAILS = ("total_ips_in_subnet", "total_ips_in_allocation_pool", "used_ips_in_subnet", "used_ips_in_allocation_pool")


def views(tx: Tx, networks: Sequence[Any], ip_versions: Collection[int]) -> list[dict[str, Any]]:
    """One for each network, of rows with id, name and project_id; without `ip_versions` subnets of both count."""
    subnets: dict[str, list[dict[str, Any]]] = {network.id: [] for network in networks}
    found = select(Subnet.id, Subnet.name, Subnet.network_id, Subnet.ip_version, Subnet.cidr, Subnet.pools)
    found = found.where(Subnet.network_id.in_(subnets))
    if ip_versions:
        found = found.where(Subnet.ip_version.in_(ip_versions))
    rows = tx.execute(found.order_by(Subnet.created_at, Subnet.id)).all()
    used = _used(tx, [row.id for row in rows])
    for row in rows:
        subnets[row.network_id].append(_subnet_view(row, used[row.id]))
    return [_network_view(network, subnets[network.id]) for network in networks]


def _used(tx: Tx, subnet_ids: Collection[str]) -> dict[str, list[str]]:
    used: dict[str, list[str]] = defaultdict(list)
    asked = select(IpAllocation.subnet_id, IpAllocation.ip).where(IpAllocation.subnet_id.in_(subnet_ids))
    for subnet_id, ip in tx.execute(asked):
        used[subnet_id].append(ip)
    return used


def _subnet_view(row: Any, used: Sequence[str]) -> dict[str, Any]:
    details = details_of(row.cidr, row.pools, used)
    return {
        "subnet_id": row.id,
        "subnet_name": row.name,
        "ip_version": row.ip_version,
        "cidr": row.cidr,
        "used_ips": details["used_ips_in_subnet"],
        "total_ips": details["total_ips_in_allocation_pool"],
        "ip_availability_details": details,
    }


def _network_view(network: Any, subnets: Sequence[dict[str, Any]]) -> dict[str, Any]:
    details = [subnet["ip_availability_details"] for subnet in subnets]
    return {
        "network_id": network.id,
        "network_name": network.name,
        "tenant_id": network.project_id,
        "project_id": network.project_id,
        "subnet_ip_availability": subnets,
        "used_ips": sum(subnet["used_ips"] for subnet in subnets),
        "total_ips": sum(subnet["total_ips"] for subnet in subnets),
        "ip_availability_details": {name: sum(one[name] for one in details) for name in _DETAILS},
    }


def details_of(cidr: str, pools: Iterable[Sequence[str]], used: Sequence[str]) -> dict[str, int]:
    """What the subnet and its pools have and use. IPv4's network and broadcast addresses are nobody's."""
    net = ipaddress.ip_network(cidr)
    ranges = [(_number(first), _number(last)) for first, last in pools]
    numbers = [_number(ip) for ip in used]
    reserved = 2 if net.version == 4 and net.prefixlen < 31 else 0  # RFC 3021: both addresses of a /31 are hosts'
    in_pools = sum(any(first <= number <= last for first, last in ranges) for number in numbers)
    totals = (net.num_addresses - reserved, sum(last - first + 1 for first, last in ranges), len(numbers), in_pools)
    return dict(zip(_DETAILS, totals, strict=True))


def _number(address: str) -> int:
    return int(ipaddress.ip_address(address))
