"""How many addresses networks and subnets have and use. Source: network API reference, "Network IP availability"."""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

from msgspec import Struct
from sqlalchemy import select

from gureum.foundation.db.engine import Tx
from gureum.foundation.db.prepared import columns_of
from gureum.foundation.http.views import View
from gureum.services.network.ports.model import IpAllocation
from gureum.services.network.subnets.model import Subnet


class Details(View):
    """Addresses of a subnet, or of all of a network."""

    total_ips_in_subnet: int = 0
    total_ips_in_allocation_pool: int = 0
    used_ips_in_subnet: int = 0
    used_ips_in_allocation_pool: int = 0


class SubnetUse(View):
    subnet_id: str
    subnet_name: str
    ip_version: int
    cidr: str
    used_ips: int
    total_ips: int
    ip_availability_details: Details


class NetworkUse(View):
    network_id: str
    network_name: str
    tenant_id: str
    project_id: str
    subnet_ip_availability: list[SubnetUse]
    used_ips: int
    total_ips: int
    ip_availability_details: Details


class NetworkName(Struct, frozen=True, gc=False):
    """What is read of a network."""

    id: str
    name: str
    project_id: str


class _SubnetRange(Struct, frozen=True, gc=False):
    """What is read of a subnet."""

    id: str
    name: str
    network_id: str
    ip_version: int
    cidr: str
    pools: list[tuple[str, str]]


def views(tx: Tx, networks: Sequence[NetworkName], ip_versions: Collection[int]) -> list[NetworkUse]:
    """One for each network; without `ip_versions` subnets of both count."""
    statement = select(*columns_of(Subnet, _SubnetRange)).where(Subnet.network_id.in_([one.id for one in networks]))
    if ip_versions:
        statement = statement.where(Subnet.ip_version.in_(ip_versions))
    rows = [_SubnetRange(*row) for row in tx.execute(statement.order_by(Subnet.created_at, Subnet.id))]
    used = _used(tx, [row.id for row in rows])
    subnets: dict[str, list[SubnetUse]] = {network.id: [] for network in networks}
    for row in rows:
        subnets[row.network_id].append(_subnet_view(row, used[row.id]))
    return [_network_view(network, subnets[network.id]) for network in networks]


def _used(tx: Tx, subnet_ids: Collection[str]) -> dict[str, list[str]]:
    used: dict[str, list[str]] = defaultdict(list)
    asked = select(IpAllocation.subnet_id, IpAllocation.ip).where(IpAllocation.subnet_id.in_(subnet_ids))
    for subnet_id, ip in tx.execute(asked):
        used[subnet_id].append(ip)
    return used


def _subnet_view(row: _SubnetRange, used: Sequence[str]) -> SubnetUse:
    details = details_of(row.cidr, row.pools, used)
    return SubnetUse(
        subnet_id=row.id,
        subnet_name=row.name,
        ip_version=row.ip_version,
        cidr=row.cidr,
        used_ips=details.used_ips_in_subnet,
        total_ips=details.total_ips_in_allocation_pool,
        ip_availability_details=details,
    )


def _network_view(network: NetworkName, subnets: list[SubnetUse]) -> NetworkUse:
    details = [subnet.ip_availability_details for subnet in subnets]
    return NetworkUse(
        network_id=network.id,
        network_name=network.name,
        tenant_id=network.project_id,
        project_id=network.project_id,
        subnet_ip_availability=subnets,
        used_ips=sum(subnet.used_ips for subnet in subnets),
        total_ips=sum(subnet.total_ips for subnet in subnets),
        ip_availability_details=Details(
            sum(use.total_ips_in_subnet for use in details),
            sum(use.total_ips_in_allocation_pool for use in details),
            sum(use.used_ips_in_subnet for use in details),
            sum(use.used_ips_in_allocation_pool for use in details),
        ),
    )


def details_of(cidr: str, pools: Iterable[tuple[str, str]], used: Sequence[str]) -> Details:
    """What the subnet and its pools have and use. IPv4's network and broadcast addresses do not count."""
    net = ipaddress.ip_network(cidr)
    ranges = [(_number(first), _number(last)) for first, last in pools]
    numbers = [_number(ip) for ip in used]
    reserved = 2 if net.version == 4 and net.prefixlen < 31 else 0  # RFC 3021: both addresses of a /31 are hosts'
    in_pools = sum(any(first <= number <= last for first, last in ranges) for number in numbers)
    pooled = sum(last - first + 1 for first, last in ranges)
    return Details(net.num_addresses - reserved, pooled, len(numbers), in_pools)


def _number(address: str) -> int:
    return int(ipaddress.ip_address(address))
