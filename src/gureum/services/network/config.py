"""What an operator may set of the network service. docs/operate/many-machines.md has every option."""

from __future__ import annotations

import ipaddress
from typing import Annotated, ClassVar

import msgspec

from gureum.foundation.config import Section


class NetworkConfig(Section):
    """A port's MAC begins with the first three octets of `base_mac`, and with the fourth when that is not 00.

    `dns_servers` are the resolvers that guests in subnets without `dns_nameservers` are told of.
    """

    SECTION: ClassVar[str] = "network"

    driver: str = "fake"
    northbound: str = ""
    southbound: str = ""
    owner: str = "gureum"
    mtu: int = 1442
    external_mtu: int = 1500
    base_mac: Annotated[str, msgspec.Meta(pattern="^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$")] = "fa:16:3e:00:00:00"
    dns_servers: list[str] = msgspec.field(default_factory=list)

    def __post_init__(self) -> None:
        for server in self.dns_servers:
            ipaddress.ip_address(server)


class FirstNetworkConfig(Section):
    """Of the section [bootstrap]: the range of the network `public` on the physical network `external`."""

    SECTION: ClassVar[str] = "bootstrap"

    external_cidr: str = "198.18.0.0/24"
