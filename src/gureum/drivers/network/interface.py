"""What Gureum asks of a virtual network: make these things so, tell me what is there, tell me which ports are up.

Level-triggered: a thing carries its id and its revision, and `apply` makes the engine's rows equal to it,
whatever they were before. One `apply` is one transaction of the engine, however many things it carries.
The driver knows no database and no API. Ids are UUID strings, addresses are text, sizes are bytes.
The fake and the real driver pass `tests/contracts/test_network.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Kind = Literal["network", "subnet", "port", "router", "security_group", "floating_ip"]


@dataclass(frozen=True, slots=True)
class Network:
    """A layer 2 segment. `physical_network` joins it to the outside (external or provider networks)."""

    id: str
    revision: int
    mtu: int
    physical_network: str | None = None
    vlan: int | None = None


@dataclass(frozen=True, slots=True)
class Subnet:
    """Address options of a segment: what DHCP tells a port whose fixed address is in it."""

    id: str
    revision: int
    network_id: str
    ip_version: Literal[4, 6]
    cidr: str
    gateway_ip: str | None
    dhcp: bool
    dns_servers: tuple[str, ...] = ()
    host_routes: tuple[tuple[str, str], ...] = ()  # (destination, next hop)
    metadata_ip: str | None = None  # the address of the network's metadata port, next hop for 169.254.169.254
    ipv6_ra_mode: str | None = None
    ipv6_address_mode: str | None = None
    mtu: int = 1500


@dataclass(frozen=True, slots=True)
class FixedIp:
    subnet_id: str
    ip: str


@dataclass(frozen=True, slots=True)
class Port:
    """A port of a segment. `kind` "metadata" is a localport present on every host, "guest" is a server's."""

    id: str
    revision: int
    network_id: str
    mac: str
    fixed_ips: tuple[FixedIp, ...]
    enabled: bool = True
    kind: Literal["guest", "metadata", "other"] = "guest"
    host: str | None = None  # the only host that may claim it
    security_groups: tuple[str, ...] = ()
    port_security: bool = True
    allowed_pairs: tuple[tuple[str, str], ...] = ()  # (ip or cidr, mac)


@dataclass(frozen=True, slots=True)
class SecurityRule:
    """One allowance. `remote_group_id` means the addresses of that group's ports, in the rule's family."""

    id: str
    direction: Literal["ingress", "egress"]
    ethertype: Literal["IPv4", "IPv6"]
    protocol: str | None = None  # "tcp", "udp", "icmp", "icmpv6" or an IP protocol number as text
    port_min: int | None = None  # for icmp: type
    port_max: int | None = None  # for icmp: code
    remote_cidr: str | None = None
    remote_group_id: str | None = None


@dataclass(frozen=True, slots=True)
class SecurityGroup:
    """Stateful allowances; a guest port with port security and no group drops all but DHCP and ARP/ND."""

    id: str
    revision: int
    rules: tuple[SecurityRule, ...]
    stateful: bool = True


@dataclass(frozen=True, slots=True)
class RouterInterface:
    """A router's leg in a segment; `port_id` names the port row that it stands for."""

    port_id: str
    network_id: str
    mac: str
    addresses: tuple[str, ...]  # with prefix length, e.g. "10.0.0.1/24"
    mtu: int = 1500


@dataclass(frozen=True, slots=True)
class RouterGateway:
    """The router's leg in an external network; SNAT for `snat_cidrs` leaves from `addresses`' first IPv4."""

    port_id: str
    network_id: str
    mac: str
    addresses: tuple[str, ...]
    next_hops: tuple[str, ...]
    snat_cidrs: tuple[str, ...]
    hosts: tuple[str, ...]  # gateway candidates, best first


@dataclass(frozen=True, slots=True)
class Router:
    """A distributed router."""

    id: str
    revision: int
    enabled: bool
    interfaces: tuple[RouterInterface, ...]
    gateway: RouterGateway | None
    routes: tuple[tuple[str, str], ...] = ()  # (destination, next hop)


@dataclass(frozen=True, slots=True)
class FloatingIp:
    """A 1:1 address translation. It moves with the guest's port; for one of no guest's, the gateway host does it."""

    id: str
    revision: int
    router_id: str
    floating_ip: str
    fixed_ip: str
    port_id: str | None
    mac: str  # answers ARP for the floating address on the guest's host


Thing = Network | Subnet | Port | Router | SecurityGroup | FloatingIp


class NetworkDriverError(Exception):
    """The engine refused or cannot be reached. The text is for operators."""


class NetworkDriver(Protocol):
    """All methods are synchronous and safe to call from several threads."""

    def apply(self, ensure: Sequence[Thing], remove: Sequence[tuple[Kind, str]] = ()) -> None:
        """Make every thing so and remove the named ones, in one transaction; unknown removals are ignored.

        Order inside the two sequences does not matter. A thing that refers to one that neither exists nor is
        in the batch is refused with NetworkDriverError, and nothing of the batch is written.
        """
        ...

    def observe(self) -> Mapping[tuple[Kind, str], int]:
        """The revision of everything of ours that the engine holds."""
        ...

    def port_states(self) -> Mapping[str, tuple[bool, str | None]]:
        """port id -> (up, host name) for every guest port."""
        ...

    def watch_ports(self, on_change: Callable[[str, bool, str | None], None]) -> Callable[[], None]:
        """Call `on_change(port_id, up, host)` for each change and, once after each reconnect, for every port."""
        ...

    def hosts(self) -> Mapping[str, bool]:
        """Host name -> whether the engine's agent there is alive and can be a gateway."""
        ...

    def close(self) -> None: ...
