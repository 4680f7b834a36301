"""Security groups and rules: the default group before and after it is written, rules and their refusals."""

from __future__ import annotations

import pytest
from tests.api.network.setting import AT, Maker, absent_id, fault

GROUPS, RULES = f"{AT}/security-groups", f"{AT}/security-group-rules"


def default_of(client):
    return client.get(
        f"{GROUPS}?name=default&project_id={ {'alice': 'p1', 'bob': 'p2'}[client.headers['X-Auth-Token']] }"
    ).json()["security_groups"][0]


def test_reading_shows_the_default_group_and_writes_nothing(cloud, alice):
    before = cloud.database.counters.commits
    group = default_of(alice)
    assert {(rule["direction"], rule["ethertype"]) for rule in group["security_group_rules"]} == {
        (direction, family) for direction in ("ingress", "egress") for family in ("IPv4", "IPv6")
    }
    assert alice.get(f"{GROUPS}/{group['id']}").json()["security_group"] == group
    listed = alice.get(f"{RULES}?security_group_id={group['id']}&direction=ingress").json()["security_group_rules"]
    assert {rule["remote_group_id"] for rule in listed} == {group["id"]}
    assert alice.get(f"{RULES}/{listed[0]['id']}").status == 200
    assert alice.get(f"{GROUPS}?name=other").json()["security_groups"] == []
    assert cloud.database.counters.commits == before
    assert cloud.held("security_group") == {}


def test_the_first_write_makes_the_default_group_real_under_the_same_ids(cloud, alice, make):
    before = default_of(alice)
    make.rule(before["id"], protocol="icmp")
    after = default_of(alice)
    assert after["id"] == before["id"]
    ids = {rule["id"] for rule in before["security_group_rules"]}
    assert ids < {rule["id"] for rule in after["security_group_rules"]}
    assert len(cloud.held("security_group")[after["id"]].rules) == 5
    assert len(alice.get(GROUPS).json()["security_groups"]) == 1


def test_each_project_has_a_default_group_of_its_own(alice, bob):
    mine, theirs = default_of(alice), default_of(bob)
    assert mine["id"] != theirs["id"]
    assert alice.get(f"{GROUPS}/{theirs['id']}").status == 404
    answer = alice.post(RULES, {"security_group_rule": {"security_group_id": theirs["id"], "direction": "ingress"}})
    assert fault(answer) == (404, "SecurityGroupNotFound")


def test_an_unwritten_rule_of_the_default_group_can_be_deleted(alice):
    group = default_of(alice)
    rule = group["security_group_rules"][0]
    assert alice.delete(f"{RULES}/{rule['id']}").status == 204
    assert rule["id"] not in {one["id"] for one in default_of(alice)["security_group_rules"]}


def test_the_default_group_is_kept(alice, root, make):
    group = default_of(alice)
    at = f"{GROUPS}/{group['id']}"
    assert fault(alice.delete(at)) == (409, "SecurityGroupCannotRemoveDefault")
    assert fault(alice.put(at, {"security_group": {"name": "x"}})) == (409, "SecurityGroupCannotUpdateDefault")
    assert fault(alice.post(GROUPS, {"security_group": {"name": "default"}})) == (
        409,
        "SecurityGroupDefaultAlreadyExists",
    )
    other = make.group()
    assert alice.put(f"{GROUPS}/{other['id']}", {"security_group": {"name": "default"}}).status == 409
    assert root.delete(at).status == 204


def test_a_new_group_lets_out_all_and_in_nothing(make):
    group = make.group(description="d")
    assert set(group) == {
        *(
            "id",
            "name",
            "description",
            "tenant_id",
            "project_id",
            "tags",
            "revision_number",
            "created_at",
            "updated_at",
        ),
        *("stateful", "shared", "security_group_rules"),
    }
    rules = group["security_group_rules"]
    assert [(rule["direction"], rule["ethertype"]) for rule in rules].count(("egress", "IPv4")) == 1
    assert len(rules) == 2


def test_a_rule_has_the_documented_keys_and_is_listed(alice, make):
    group = make.group()
    rule = make.rule(group["id"], protocol="tcp", port_range_min=80, port_range_max=90, remote_ip_prefix="10.0.0.9/24")
    assert set(rule) == {
        *("id", "tenant_id", "project_id", "security_group_id", "direction", "ethertype", "protocol"),
        *("port_range_min", "port_range_max", "remote_ip_prefix", "normalized_cidr", "remote_group_id"),
        *("remote_address_group_id", "description", "tags", "revision_number", "created_at", "updated_at"),
    }
    assert (rule["remote_ip_prefix"], rule["normalized_cidr"]) == ("10.0.0.9/24", "10.0.0.0/24")
    shown = alice.get(f"{GROUPS}/{group['id']}").json()["security_group"]
    assert rule["id"] in {one["id"] for one in shown["security_group_rules"]}
    assert shown["revision_number"] > group["revision_number"]
    assert [one["id"] for one in alice.get(f"{RULES}?protocol=tcp").json()["security_group_rules"]] == [rule["id"]]
    assert alice.delete(f"{RULES}/{rule['id']}").status == 204
    assert alice.get(f"{RULES}/{rule['id']}").status == 404


@pytest.mark.parametrize(
    ("attributes", "expected", "said"),
    [
        ({"protocol": "magic"}, (400, "SecurityGroupRuleInvalidProtocol"), "magic"),
        ({"protocol": 256}, (400, "SecurityGroupRuleInvalidProtocol"), "256"),
        (
            {"protocol": "tcp", "port_range_min": -16, "port_range_max": 80},
            (400, "SecurityGroupInvalidPortValue"),
            "Invalid value for port -16",
        ),
        (
            {"protocol": "tcp", "port_range_min": 80, "port_range_max": 79},
            (400, "SecurityGroupInvalidPortRange"),
            "port_range_min must be <= port_range_max",
        ),
        (
            {"protocol": "tcp", "port_range_max": 6},
            (400, "SecurityGroupInvalidPortRange"),
            "port_range_min must be <= port_range_max",
        ),
        (
            {"protocol": "tcp", "port_range_min": 80, "port_range_max": 65536},
            (400, "SecurityGroupInvalidPortValue"),
            "65536",
        ),
        ({"port_range_min": 80, "port_range_max": 80}, (400, "SecurityGroupProtocolRequiredWithPorts"), "protocol"),
        (
            {"protocol": "icmp", "port_range_min": 1, "port_range_max": 256},
            (400, "SecurityGroupInvalidIcmpValue"),
            "Invalid value for ICMP code",
        ),
        (
            {"protocol": "icmp", "port_range_min": 300, "port_range_max": 1},
            (400, "SecurityGroupInvalidIcmpValue"),
            "Invalid value for ICMP type",
        ),
        (
            {"protocol": "icmp", "port_range_max": 6},
            (400, "SecurityGroupMissingIcmpType"),
            "ICMP type (port-range-min) is missing",
        ),
        (
            {"protocol": "gre", "port_range_min": 1, "port_range_max": 2},
            (400, "SecurityGroupInvalidProtocolForPort"),
            "gre",
        ),
        ({"ethertype": "IPX"}, (400, "SecurityGroupRuleInvalidEtherType"), "IPX"),
        ({"protocol": "icmpv6"}, (400, "SecurityGroupEthertypeConflictWithProtocol"), "icmpv6"),
        ({"remote_ip_prefix": "192.168.1.1/33"}, (400, "InvalidInput"), "192.168.1.1/33"),
        ({"remote_ip_prefix": "fd00::/64"}, (400, "SecurityGroupRuleParameterConflict"), "IPv4"),
        ({"remote_group_id": "bad"}, (404, "SecurityGroupNotFound"), "bad"),
        ({"direction": "sideways"}, (400, "HTTPBadRequest"), "direction"),
        ({"colour": 1}, (400, "HTTPBadRequest"), "colour"),
    ],
)
def test_rules_that_cannot_be_are_refused_by_name(alice, make, attributes, expected, said):
    group = make.group()
    body = {"security_group_id": group["id"], "direction": "ingress", **attributes}
    answer = alice.post(RULES, {"security_group_rule": body})
    assert fault(answer) == expected
    assert said in answer.json()["NeutronError"]["message"]
    assert len(alice.get(f"{GROUPS}/{group['id']}").json()["security_group"]["security_group_rules"]) == 2


def test_a_rule_has_one_remote(alice, make):
    group = make.group()
    body = {
        "security_group_id": group["id"],
        "direction": "ingress",
        "remote_ip_prefix": "10.0.0.0/8",
        "remote_group_id": group["id"],
    }
    assert fault(alice.post(RULES, {"security_group_rule": body})) == (400, "SecurityGroupRemoteGroupAndRemoteIpPrefix")
    assert fault(alice.post(RULES, {"security_group_rule": body | {"security_group_id": absent_id()}}))[0] in (400, 404)


@pytest.mark.parametrize(
    ("one", "same"),
    [
        (
            {"protocol": "tcp", "port_range_min": 5, "port_range_max": 5},
            {"protocol": 6, "port_range_min": "5", "port_range_max": 5},
        ),
        ({"remote_ip_prefix": "10.0.0.1/24"}, {"remote_ip_prefix": "10.0.0.0/24", "description": "other"}),
        ({"protocol": "any"}, {}),
        ({"protocol": 0}, {"protocol": "any"}),
        ({"protocol": "ICMP"}, {"protocol": "icmp"}),
        ({"ethertype": "IPv6", "protocol": 1}, {"ethertype": "IPv6", "protocol": "ipv6-icmp"}),
    ],
)
def test_the_same_rule_is_not_added_twice(alice, make, one, same):
    group = make.group()
    first = make.rule(group["id"], **one)
    body = {"security_group_id": group["id"], "direction": "ingress", **same}
    answer = alice.post(RULES, {"security_group_rule": body})
    assert fault(answer) == (409, "SecurityGroupRuleExists")
    assert first["id"] in answer.json()["NeutronError"]["message"]


def test_deleting_a_group_takes_the_rules_that_name_it_and_spares_groups_in_use(cloud, alice, make):
    group, remote = make.group("g"), make.group("remote")
    make.rule(group["id"], remote_group_id=remote["id"])
    assert len(cloud.held("security_group")[group["id"]].rules) == 3
    network = make.network()
    port = make.port(network, security_groups=[remote["id"]])
    assert fault(alice.delete(f"{GROUPS}/{remote['id']}")) == (409, "SecurityGroupInUse")
    assert fault(alice.put(f"{GROUPS}/{remote['id']}", {"security_group": {"stateful": False}})) == (
        409,
        "SecurityGroupInUse",
    )
    alice.delete(f"{AT}/ports/{port['id']}")
    assert alice.delete(f"{GROUPS}/{remote['id']}").status == 204
    assert len(cloud.held("security_group")[group["id"]].rules) == 2
    assert remote["id"] not in cloud.held("security_group")


def test_rules_in_bulk_are_for_one_group_and_all_or_nothing(alice, make):
    one, two = make.group("one"), make.group("two")
    rule = {"direction": "ingress", "protocol": "tcp", "port_range_min": 1, "port_range_max": 1}
    mixed = [{**rule, "security_group_id": group["id"]} for group in (one, two)]
    assert alice.post(RULES, {"security_group_rules": mixed}).status == 400
    double = [{**rule, "security_group_id": one["id"]}] * 2
    assert alice.post(RULES, {"security_group_rules": double}).status == 409
    good = [{**rule, "security_group_id": one["id"], "protocol": name} for name in ("tcp", "udp")]
    assert len(alice.post(RULES, {"security_group_rules": good}).json()["security_group_rules"]) == 2


def test_group_changes_and_foreign_groups(alice, bob, make):
    group = make.group()
    at = f"{GROUPS}/{group['id']}"
    changed = alice.put(at, {"security_group": {"name": "new", "description": "x", "stateful": False}}).json()
    assert (changed["security_group"]["name"], changed["security_group"]["stateful"]) == ("new", False)
    for answer in (bob.get(at), bob.put(at, {"security_group": {}}), bob.delete(at)):
        assert fault(answer) == (404, "SecurityGroupNotFound")
    assert group["id"] not in {one["id"] for one in bob.get(GROUPS).json()["security_groups"]}
    assert alice.get(f"{GROUPS}?shared=True").json()["security_groups"] == []
    assert Maker(bob).group()["project_id"] == "p2"


def test_protocols_reach_the_engine_in_its_own_words(cloud, make):
    group = make.group()
    for family, name in (("IPv4", "icmp"), ("IPv6", "ipv6-icmp"), ("IPv4", "gre"), ("IPv4", 132), ("IPv4", "vrrp")):
        make.rule(group["id"], ethertype=family, protocol=name)
    held = {rule.protocol for rule in cloud.held("security_group")[group["id"]].rules}
    assert held == {None, "icmp", "icmpv6", "47", "132", "112"}


@pytest.mark.parametrize(("wanted", "shown"), [("icmp", "ipv6-icmp"), ("icmpv6", "ipv6-icmp"), (1, "58"), (58, "58")])
def test_icmp_in_an_ipv6_rule_is_icmpv6_by_its_one_name(make, wanted, shown):
    assert make.rule(make.group()["id"], ethertype="IPv6", protocol=wanted)["protocol"] == shown
