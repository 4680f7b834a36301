"""Details of the network API that the Neutron project's own Tempest tests look at."""

from __future__ import annotations

import pytest

AT = "/network/v2.0"


def test_a_change_may_be_for_one_revision_only(alice, make):
    network = make.network()
    one, old = f"{AT}/networks/{network['id']}", network["revision_number"]
    body = {"network": {"name": "new"}}
    stale = alice.put(one, body, **{"if-match": f"revision_number={old - 1}"})
    assert stale.status == 412
    assert stale.json()["NeutronError"]["type"] == "RevisionNumberConstraintFailed"
    assert alice.delete(one, **{"if-match": f"revision_number={old + 1}"}).status == 412
    assert alice.put(one, body, **{"if-match": '"an entity tag"'}).status == 400
    assert alice.get(one).json()["network"]["name"] == network["name"]
    assert alice.put(one, body, **{"if-match": f"revision_number={old}"}).status == 200
    port = make.port(network)
    at_port, changed = f"{AT}/ports/{port['id']}", {"port": {"name": "p"}}
    assert alice.put(at_port, changed, **{"if-match": "revision_number=999"}).status == 412
    assert alice.put(at_port, changed, **{"if-match": f"revision_number={port['revision_number']}"}).status == 200


def test_another_projects_resources_are_made_by_administrators(alice, root, make):
    network = make.network()
    body = {"port": {"network_id": network["id"], "project_id": "p2"}}
    assert alice.post(f"{AT}/ports", body).status == 400
    assert root.post(f"{AT}/ports", body).status == 201


def test_a_ports_groups_are_named_once_and_of_one_kind(alice, make):
    network = make.network()

    def group(**more):
        return alice.post(f"{AT}/security-groups", {"security_group": {"name": "g", **more}}).json()["security_group"][
            "id"
        ]

    stateful, stateless = group(), group(stateful=False)
    port = make.port(network, security_groups=[stateless])
    one = f"{AT}/ports/{port['id']}"
    assert alice.put(one, {"port": {"security_groups": [stateful, stateful]}}).status == 400
    mixed = alice.put(one, {"port": {"security_groups": [stateful, stateless]}})
    assert mixed.status == 409
    assert mixed.json()["NeutronError"]["type"] == "SecurityGroupConflict"
    new = {"port": {"network_id": network["id"], "security_groups": [stateful, stateless]}}
    assert alice.post(f"{AT}/ports", new).status == 409
    assert alice.put(one, {"port": {"security_groups": [stateful]}}).status == 200


def test_an_empty_change_of_a_floating_ip_lets_its_port_go(cloud, alice, make, wan):
    port = make.port(wan[0])
    body = {"floatingip": {"floating_network_id": cloud.public_id(), "port_id": port["id"]}}
    made = alice.post(f"{AT}/floatingips", body).json()["floatingip"]
    one = f"{AT}/floatingips/{made['id']}"
    assert alice.put(one, {"floatingip": {"description": "kept"}}).json()["floatingip"]["port_id"] == port["id"]
    assert alice.put(one, {"floatingip": {}}).json()["floatingip"]["port_id"] is None
    assert alice.get(one).json()["floatingip"]["status"] == "DOWN"


@pytest.mark.parametrize(("version", "smallest", "cidr"), [(4, 68, "10.9.0.0/24"), (6, 1280, "2001:db8::/64")])
def test_a_networks_mtu_is_large_enough_for_its_subnets(alice, make, version, smallest, cidr):
    network = make.network(mtu=smallest - 1)
    body = {"subnet": {"network_id": network["id"], "ip_version": str(version), "cidr": cidr}}
    refused = alice.post(f"{AT}/subnets", body)
    assert refused.status == 409
    assert refused.json()["NeutronError"]["type"] == "NetworkMTUSubnetConflict"
    one = f"{AT}/networks/{network['id']}"
    assert alice.put(one, {"network": {"mtu": smallest}}).status == 200
    made = alice.post(f"{AT}/subnets", body)
    assert (made.status, made.json()["subnet"]["ip_version"]) == (201, version)
    assert alice.put(one, {"network": {"mtu": smallest - 1}}).status == 409
    assert alice.get(one).json()["network"]["mtu"] == smallest


def test_subnets_are_shared_as_their_network_is(cloud, alice, root, make):
    own = make.subnet(make.network())
    network = root.post(f"{AT}/networks", {"network": {"shared": True}}).json()["network"]
    body = {"subnet": {"network_id": network["id"], "ip_version": 4, "cidr": "10.9.0.0/24"}}
    shared = root.post(f"{AT}/subnets", body).json()["subnet"]

    def listed(value):
        return {one["id"] for one in alice.get(f"{AT}/subnets?shared={value}").json()["subnets"]}

    assert shared["id"] in listed("True")
    assert own["id"] not in listed("True")
    assert own["id"] in listed("False")
    assert shared["id"] not in listed("False")
    assert {own["id"], shared["id"]} <= {one["id"] for one in alice.get(f"{AT}/subnets").json()["subnets"]}


def test_subnets_say_whether_their_network_is_external(cloud, alice, make):
    own = make.subnet(make.network())
    assert own["router:external"] is False
    (public,) = alice.get(f"{AT}/subnets?router:external=True").json()["subnets"]
    assert (public["network_id"], public["router:external"]) == (cloud.public_id(), True)
    assert [one["id"] for one in alice.get(f"{AT}/subnets?router:external=False").json()["subnets"]] == [own["id"]]


def test_quotas_may_be_held_to_what_is_there(root, alice, make):
    make.network(), make.network()
    low = {"quota": {"network": 1, "check_limit": True}}
    assert root.put(f"{AT}/quotas/p1", low).status == 400
    assert root.get(f"{AT}/quotas/p1").json()["quota"]["network"] == 100
    assert root.put(f"{AT}/quotas/p1", {"quota": {"network": 2, "check_limit": True}}).status == 200
    assert root.put(f"{AT}/quotas/p1", {"quota": {"network": 1}}).status == 200


def test_a_group_counts_its_first_rules(root, alice):
    alice.post(f"{AT}/security-groups", {"security_group": {"name": "first"}})
    assert root.put(f"{AT}/quotas/p1", {"quota": {"security_group_rule": 7}}).status == 200
    refused = alice.post(f"{AT}/security-groups", {"security_group": {"name": "second"}})
    assert (refused.status, refused.json()["NeutronError"]["type"]) == (409, "OverQuota")
    assert root.put(f"{AT}/quotas/p1", {"quota": {"security_group_rule": 8}}).status == 200
    assert alice.post(f"{AT}/security-groups", {"security_group": {"name": "second"}}).status == 201


def test_an_administrator_sees_a_projects_default_group_before_it_is_written(root, bob):
    mine = bob.get(f"{AT}/security-groups").json()["security_groups"]
    assert root.get(f"{AT}/security-groups?project_id=p2").json()["security_groups"] == mine
    rules = root.get(f"{AT}/security-group-rules?project_id=p2").json()["security_group_rules"]
    assert {rule["id"] for rule in rules} == {rule["id"] for rule in mine[0]["security_group_rules"]}
    other = bob.get(f"{AT}/security-groups?project_id=p1").json()["security_groups"]
    assert other == []


def test_rules_of_others_in_an_own_group_are_seen_and_not_of_other_groups(root, alice, bob):
    group = alice.post(f"{AT}/security-groups", {"security_group": {"name": "g"}}).json()["security_group"]
    rule = {"security_group_id": group["id"], "direction": "ingress", "protocol": "tcp", "project_id": "p9"}
    made = root.post(f"{AT}/security-group-rules", {"security_group_rule": rule}).json()["security_group_rule"]

    def seen(client):
        return {one["id"] for one in client.get(f"{AT}/security-group-rules").json()["security_group_rules"]}

    assert made["id"] in seen(alice)
    assert made["id"] not in seen(bob)
    assert alice.delete(f"{AT}/security-group-rules/{made['id']}").status == 403


def test_a_routers_leg_is_named_by_uuid(alice, make):
    router = make.router()
    for wanted in ({"port_id": "no-uuid"}, {"subnet_id": "no-uuid"}):
        assert alice.put(f"{AT}/routers/{router['id']}/add_router_interface", wanted).status == 400


def test_a_list_without_parameters_is_the_list_that_a_parameter_asks_for(cloud, alice, bob, root, make):
    """The first runs a prepared statement, the second one made for it."""
    network = make.network()
    make.subnet(network)
    make.subnet(make.network())
    for _ in range(3):
        make.port(network)
    make.router()
    make.group()
    public = cloud.public_id()
    inside = make.subnet(make.network(), "10.9.0.0/24")
    make.add_leg(make.router(external_gateway_info={"network_id": public}), subnet_id=inside["id"])
    make.floating_ip(public)
    for client, least in ((alice, 1), (root, 1), (bob, 0)):
        for noun in (
            "networks",
            "subnets",
            "ports",
            "routers",
            "floatingips",
            "security-groups",
            "security-group-rules",
        ):
            key, before = noun.replace("-", "_"), cloud.database.counters.statements
            plain = client.get(f"{AT}/{noun}").json()
            assert cloud.database.counters.statements - before <= 4, noun
            assert plain == {key: client.get(f"{AT}/{noun}?sort_key=id").json()[key]}, noun
            assert len(plain[key]) >= least, noun
