"""What the network tells of what comes and goes."""

from __future__ import annotations

from tests.api.network.setting import AT

from gureum.foundation.events.event import InTransaction
from gureum.services.network import facade


def test_networks_ports_and_floating_ips_are_told_of(cloud, alice, make, wan):
    heard = []
    kinds = ("Network", "Port", "FloatingIp")
    for name in [f"{kind}{verb}" for kind in kinds for verb in ("Created", "Deleted")]:
        cloud.events.subscribe([InTransaction(getattr(facade, name), lambda _tx, event: heard.append(event))])

    network = make.network()
    make.subnet(network, "10.9.0.0/24")
    port = make.port(network)
    floating = make.floating_ip(cloud.public_id())
    for path in (
        f"floatingips/{floating['id']}",
        f"ports/{port['id']}",
        f"networks/{network['id']}",
    ):
        assert alice.delete(f"{AT}/{path}").status == 204
    project = network["project_id"]
    address = (floating["id"], project, cloud.public_id(), floating["floating_ip_address"])
    assert heard == [
        facade.NetworkCreated(network["id"], project),
        facade.PortCreated(port["id"], project, network["id"]),
        facade.FloatingIpCreated(*address),
        facade.FloatingIpDeleted(*address),
        facade.PortDeleted(port["id"], project, network["id"]),
        facade.NetworkDeleted(network["id"], project),
    ], "and not of the ports that the cloud makes for itself"
