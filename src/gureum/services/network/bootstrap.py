"""The network that is there from the start: `public`, external, joined to the physical network "external"."""

from __future__ import annotations

import ipaddress

from sqlalchemy import select

from gureum.foundation.db.engine import Tx
from gureum.services.network.context import NetworkContext
from gureum.services.network.networks import operations as networks
from gureum.services.network.networks.model import Network
from gureum.services.network.subnets import operations as subnets
from gureum.services.network.subnets.model import Subnet

NAME = "public"
PHYSICAL = "external"
FIRST, LAST = 10, 250


def bootstrap(tx: Tx, ctx: NetworkContext, external_cidr: str, project_id: str) -> None:
    """Make `public` with one subnet unless the physical network is taken already: gateway .1, pool .10 to .250.

    In a range smaller than a /24 the pool is what follows the first nine addresses, or all but the gateway.
    """
    if tx.scalar(select(Network.id).where(Network.physical_network == PHYSICAL)) is not None:
        return
    network = Network(project_id=project_id, name=NAME, external=True, is_default=True, port_security=True)
    networks.create_network(tx, ctx, network, networks.Provider("flat", PHYSICAL), None)
    net = ipaddress.ip_network(external_cidr)
    last = min(LAST, net.num_addresses - 2)
    first = FIRST if last > FIRST else 2
    subnet = Subnet(
        project_id=project_id,
        network_id=network.id,
        name=f"{NAME}-subnet",
        ip_version=net.version,
        cidr=str(net),
        gateway_ip=str(net.network_address + 1),
        enable_dhcp=False,
        pools=[(str(net.network_address + first), str(net.network_address + last))],
    )
    subnets.create_subnet(tx, ctx, subnet)
