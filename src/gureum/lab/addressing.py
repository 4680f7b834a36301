"""Which addresses a lab uses: pure choices over what the machine already routes.

The external range is a /24 of 198.18.0.0/15 (RFC 2544, benchmarks), the only one that the machine's own network
sees. Tunnel endpoints are of 100.64.0.0/16 and live in namespaces, so every lab uses the same.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gureum.lab.refusal import Refusal

BENCHMARK = ipaddress.IPv4Network("198.18.0.0/15")
_RANGES = 1 << (24 - BENCHMARK.prefixlen)
_METRIC = 0x40000000  # worse than any metric that a person or a daemon sets; the lab's number is added


def external_range(lab: str, taken: Iterable[ipaddress.IPv4Network]) -> str:
    """A free /24, first tried at a place that follows from the lab's id. Refusal when all 512 are taken."""
    busy = [network for network in taken if network.overlaps(BENCHMARK)]
    first = int(lab[1:], 16) % _RANGES
    for step in range(_RANGES):
        address = int(BENCHMARK.network_address) + 256 * ((first + step) % _RANGES)
        candidate = ipaddress.IPv4Network((address, 24))
        if not any(candidate.overlaps(network) for network in busy):
            return str(candidate)
    raise Refusal("No /24 of 198.18.0.0/15 is free for the external network.", "End a lab with `gureum down --purge`.")


def route_metric(lab: str) -> int:
    """The metric of the lab's unreachable route: low in preference, and it names whose route it is."""
    return _METRIC + int(lab[1:], 16)


def taken_ranges(routes: Sequence[Mapping[str, Any]], lab: str, link: str) -> list[ipaddress.IPv4Network]:
    """What `ip -json route show table all` says others use; the lab's own link and unreachable route do not count."""
    taken = []
    for route in routes:
        if (
            route.get("dst") in (None, "default")
            or route.get("dev") == link
            or route.get("metric") == route_metric(lab)
        ):
            continue
        try:
            taken.append(ipaddress.IPv4Network(route["dst"], strict=False))
        except ValueError:
            continue  # IPv6
    return taken


def name_servers(resolv_conf: str) -> list[str]:
    """The IPv4 name servers of a resolv.conf(5) that are on another machine's address."""
    words = [line.split() for line in resolv_conf.splitlines()]
    named = [word[1] for word in words if len(word) > 1 and word[0] == "nameserver"]
    return [server for server in named if _is_elsewhere(server)]


def _is_elsewhere(address: str) -> bool:
    try:
        return not ipaddress.IPv4Address(address).is_loopback
    except ValueError:
        return False  # IPv6: the external network has none


def machine_address(cidr: str) -> str:
    """The machine's own address in the external range, with prefix length: the first one."""
    network = ipaddress.IPv4Network(cidr)
    return f"{network[1]}/{network.prefixlen}"


def tunnel_address(index: int) -> str:
    """The tunnel endpoint of host number `index` (from 1), in 100.64.0.0/16."""
    return f"100.64.{index // 250}.{index % 250 + 1}"
