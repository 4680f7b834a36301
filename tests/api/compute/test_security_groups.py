"""Security groups as the compute API has them until 2.35: the network's, translated."""

from __future__ import annotations

import uuid

import pytest

GROUPS = "/compute/v2.1/os-security-groups"
RULES = "/compute/v2.1/os-security-group-rules"
SSH = {"ip_protocol": "tcp", "from_port": 22, "to_port": 22}


@pytest.fixture
def group(alice):
    answer = alice.post(GROUPS, {"security_group": {"name": "web", "description": "of the web"}})
    assert answer.status == 200, answer.content
    return answer.json()["security_group"]


def add(client, parent, **fields):
    return client.post(RULES, {"security_group_rule": {"parent_group_id": parent, **SSH, **fields}})


def test_create_show_update_list_delete(alice, group):
    assert {**group, "id": "", "tenant_id": ""} == {
        "id": "", "name": "web", "description": "of the web", "tenant_id": "", "rules": [],
    }  # fmt: skip
    one = f"{GROUPS}/{group['id']}"
    assert alice.get(one).json()["security_group"] == group
    changed = alice.put(one, {"security_group": {"name": "web2", "description": "still"}})
    assert (changed.status, changed.json()["security_group"]["name"]) == (200, "web2")
    assert [found["name"] for found in alice.get(GROUPS).json()["security_groups"]] == ["default", "web2"]
    assert alice.delete(one).status == 202
    assert alice.get(one).status == alice.delete(one).status == 404


def test_the_default_group_is_shown_before_it_is_written_and_can_be_changed(alice):
    (default,) = alice.get(GROUPS).json()["security_groups"]
    assert [rule["group"]["name"] for rule in default["rules"]] == ["default", "default"]
    assert alice.get(f"{GROUPS}/{default['id']}").json()["security_group"] == default
    assert add(alice, default["id"]).status == 200
    assert len(alice.get(f"{GROUPS}/{default['id']}").json()["security_group"]["rules"]) == 3
    assert alice.delete(f"{GROUPS}/{default['id']}").status == 400


def test_rules_by_range_by_group_and_for_everything(alice, group):
    anywhere = add(alice, group["id"]).json()["security_group_rule"]
    assert anywhere["ip_range"] == {"cidr": "0.0.0.0/0"}
    assert (anywhere["parent_group_id"], anywhere["group"]) == (group["id"], {})
    assert (
        add(alice, group["id"], cidr="10.2.3.124/24").json()["security_group_rule"]["ip_range"]["cidr"]
        == "10.2.3.124/24"
    )
    ping = add(alice, group["id"], ip_protocol="icmp", from_port=-1, to_port=-1).json()["security_group_rule"]
    assert (ping["from_port"], ping["to_port"]) == (-1, -1)
    remote = add(alice, group["id"], group_id=group["id"]).json()["security_group_rule"]
    assert (remote["group"]["name"], remote["ip_range"]) == ("web", {})
    shown = alice.get(f"{GROUPS}/{group['id']}").json()["security_group"]["rules"]
    assert {rule["id"] for rule in shown} >= {anywhere["id"], ping["id"], remote["id"]}
    assert alice.delete(f"{RULES}/{ping['id']}").status == 202
    assert alice.delete(f"{RULES}/{ping['id']}").status == 404


def test_bad_rules_name_what_is_wrong(alice, group):
    assert add(alice, group["id"]).status == 200
    for fields in (
        {},  # the same again
        {"ip_protocol": "999-none"},
        {"from_port": 70000},
        {"from_port": 22, "to_port": 21},
        {"cidr": "300.0.0.0/8"},
        {"cidr": "10.0.0.0/8", "group_id": group["id"]},
        {"ip_protocol": None},
        {"parent_group_id": "not-an-id"},
    ):
        assert add(alice, group["id"], **fields).status == 400, fields
    assert add(alice, str(uuid.uuid4())).status == 404
    assert add(alice, group["id"], group_id=str(uuid.uuid4())).status == 404


def test_another_projects_groups_are_not_there(world, alice, group):
    bob, one = world.as_("bob"), f"{GROUPS}/{group['id']}"
    rule = add(alice, group["id"]).json()["security_group_rule"]
    assert bob.get(one).status == bob.delete(one).status == add(bob, group["id"]).status == 404
    assert bob.delete(f"{RULES}/{rule['id']}").status == 404
    assert group["id"] not in bob.get(f"{GROUPS}?all_tenants=1").content.decode()
    assert group["id"] in world.as_("root").get(f"{GROUPS}?all_tenants=1").content.decode()
    assert world.as_("rita").post(GROUPS, {"security_group": {"name": "n", "description": "d"}}).status == 403


def test_they_end_with_2_35(alice):
    assert alice.get(GROUPS, OpenStack_API_Version="compute 2.35").status == 200
    assert alice.get(GROUPS, OpenStack_API_Version="compute 2.36").status == 404


def test_names_are_needed(alice):
    made = alice.post(GROUPS, {"security_group": {"name": "e", "description": ""}}).json()["security_group"]
    one = f"{GROUPS}/{made['id']}"
    assert alice.get(one).json()["security_group"]["description"] == ""
    for text in (" ", "d" * 255, ""):
        changed = alice.put(one, {"security_group": {"name": "e", "description": text}})
        assert changed.json()["security_group"]["description"] == text
    for wrong in (
        *({"name": "n"}, {"name": " ", "description": "d"}, {"name": "n" * 256, "description": "d"}),
        *({"name": "n", "description": "d" * 256}, {"name": "n", "description": None}),
    ):
        assert alice.post(GROUPS, {"security_group": wrong}).status == 400, wrong
    assert alice.get(f"{GROUPS}/7").status == 400
