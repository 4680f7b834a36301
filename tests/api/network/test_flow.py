"""The newcomer's flow, from a network to a floating IP, down to what the engine is told."""

from __future__ import annotations

from tests.api.network.setting import AT


def test_from_network_to_floating_ip_and_back(cloud, alice, make, wan):
    network, subnet, router = wan
    assert subnet["gateway_ip"] == "10.0.0.1"
    assert subnet["allocation_pools"] == [{"start": "10.0.0.2", "end": "10.0.0.254"}]
    group = alice.get(f"{AT}/security-groups?name=default").json()["security_groups"][0]
    make.rule(group["id"], protocol="tcp", port_range_min=22, port_range_max=22, remote_ip_prefix="0.0.0.0/0")
    port = make.port(network)
    assert port["security_groups"] == [group["id"]]
    assert port["fixed_ips"] == [{"subnet_id": subnet["id"], "ip_address": "10.0.0.3"}]
    floating = make.floating_ip(cloud.public_id(), port_id=port["id"])
    assert (floating["status"], floating["router_id"], floating["fixed_ip_address"]) == (
        "ACTIVE",
        router["id"],
        "10.0.0.3",
    )

    assert cloud.held("network")[network["id"]].mtu == 1442
    assert cloud.held("subnet")[subnet["id"]].metadata_ip == "10.0.0.2"
    held = cloud.held("router")[router["id"]]
    assert held.interfaces[0].addresses == ("10.0.0.1/24",)
    assert held.gateway.snat_cidrs == ("10.0.0.0/24",)
    assert held.gateway.next_hops == ("198.18.0.1",)
    assert set(held.gateway.hosts) == {"h1", "h2"}
    assert cloud.held("floating_ip")[floating["id"]].port_id == port["id"]
    rules = cloud.held("security_group")[group["id"]].rules
    assert {(rule.direction, rule.protocol, rule.port_min) for rule in rules} >= {
        ("ingress", "tcp", 22),
        ("egress", None, None),
    }

    assert alice.delete(f"{AT}/networks/{network['id']}").status == 409
    assert alice.delete(f"{AT}/routers/{router['id']}").status == 409
    away = {"subnet_id": subnet["id"]}
    answer = alice.put(f"{AT}/routers/{router['id']}/remove_router_interface", away)
    assert answer.json()["NeutronError"]["type"] == "RouterInterfaceInUseByFloatingIP"
    assert alice.delete(f"{AT}/floatingips/{floating['id']}").status == 204
    assert alice.put(f"{AT}/routers/{router['id']}/remove_router_interface", away).status == 200
    assert alice.delete(f"{AT}/routers/{router['id']}").status == 204
    assert alice.delete(f"{AT}/ports/{port['id']}").status == 204
    assert alice.delete(f"{AT}/networks/{network['id']}").status == 204
    assert cloud.held("floating_ip") == cloud.held("router") == cloud.held("port") == {}
    assert list(cloud.held("network")) == [cloud.public_id()]
    assert len(cloud.held("subnet")) == 1
