"""Pure rules of routers: legs that do not overlap, routes whose next hop is in reach, gateway hosts."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable, Mapping, Sequence

from gureum.services.network import errors
from gureum.services.network.subnets.rules import check_routes

MAX_ROUTES = 30
GATEWAY_HOSTS = 5


def refuse_overlap(router_id: str, cidr: str, others: Iterable[tuple[str, str]]) -> None:
    """Raises BadRequest when `cidr` overlaps with one of (subnet id, cidr) that the router is in already."""
    net = ipaddress.ip_network(cidr)
    for subnet_id, other in others:
        theirs = ipaddress.ip_network(other)
        if theirs.version == net.version and theirs.overlaps(net):
            raise errors.invalid(
                f"Bad router request: Cidr {cidr} of subnet overlaps with cidr {other} of subnet {subnet_id} "
                f"on router {router_id}.",
                "BadRequest",
            )


def routes_of(wanted: Sequence[tuple[str, str]], cidrs: Iterable[str], own: Iterable[str]) -> list[tuple[str, str]]:
    """The routes in their stored form. Raises BadRequest for a next hop that is no neighbour, or is the router."""
    if len(wanted) > MAX_ROUTES:
        raise errors.invalid(
            f"Unable to complete operation. The number of routes exceeds the maximum {MAX_ROUTES}.", "RoutesExhausted"
        )
    routes = check_routes(wanted)
    nets = [ipaddress.ip_network(cidr) for cidr in cidrs]
    mine = set(own)
    for _, hop in routes:
        address = ipaddress.ip_address(hop)
        if not any(address in net for net in nets):
            raise errors.invalid(
                f"Invalid format for routes: the nexthop {hop} is not connected with router.", "InvalidRoutes"
            )
        if hop in mine:
            raise errors.invalid(f"Invalid format for routes: the nexthop {hop} is used by router.", "InvalidRoutes")
    return routes


def gateway_hosts(router_id: str, hosts: Mapping[str, bool]) -> tuple[str, ...]:
    """The hosts for the router's gateway, best first, spread evenly by router; living ones are chosen before others.

    Their order depends on the names alone: the engine itself passes over a dead host, and one that is only thought dead
    for a moment, as after a start of ours, must not lose its place.
    """

    def rank(host: str) -> bytes:
        return hashlib.sha256(f"{router_id}/{host}".encode()).digest()

    chosen = sorted(hosts, key=lambda host: (not hosts[host], rank(host)))[:GATEWAY_HOSTS]
    return tuple(sorted(chosen, key=rank))
