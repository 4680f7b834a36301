"""Names, texts and booleans in bodies: one form for all nouns of compute, as the reference's schemas have them."""

from __future__ import annotations

import pytest
from tests.api.compute.setting import P1, at

V21 = "/compute/v2.1"
BAD_NAMES = ("", " ", " a", "a ", "a\tb", "a\nb", "a\u200b", "a\u2028b", "\x7f", "a" * 256)
GOOD_NAMES = ("a", "a b", "é", "日本", "a/b", "a.b", "-a", "a" * 255)


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_is_printable_and_has_no_blanks_around_it(world, alice, root, name):
    world.hosts("h1")
    server = f"{V21}/servers/{world.server()}"
    new = {"name": name, "flavorRef": "1", "imageRef": "i"}
    refused = {
        "server": alice.post(f"{V21}/servers", {"server": new}),
        "zone": alice.post(f"{V21}/servers", {"server": {**new, "name": "a", "availability_zone": name}}),
        "key": alice.post(f"{V21}/servers", {"server": {**new, "name": "a", "key_name": name}}),
        "renamed server": alice.put(server, {"server": {"name": name}}),
        "rebuilt server": alice.post(f"{server}/action", {"rebuild": {"imageRef": "i", "name": name}}),
        "image": alice.post(f"{server}/action", {"createImage": {"name": name}}),
        "backup": alice.post(
            f"{server}/action", {"createBackup": {"name": name, "backup_type": "daily", "rotation": 1}}
        ),
        "keypair": alice.post(f"{V21}/os-keypairs", {"keypair": {"name": name}}),
        "group": alice.post(f"{V21}/os-server-groups", {"server_group": {"name": name, "policies": ["affinity"]}}),
        "flavor": root.post(f"{V21}/flavors", {"flavor": {"name": name, "ram": 1, "vcpus": 1, "disk": 1}}),
        "aggregate": root.post(f"{V21}/os-aggregates", {"aggregate": {"name": name}}),
        "aggregate's zone": root.post(
            f"{V21}/os-aggregates", {"aggregate": {"name": "a", "availability_zone": name}}
        ),
    }  # fmt: skip
    assert {what: answer.status for what, answer in refused.items()} == dict.fromkeys(refused, 400)


def test_a_refused_name_is_told_in_words(world, alice):
    answer = alice.put(f"{V21}/servers/{world.server()}", {"server": {"name": "a\tb"}})
    said = "Invalid input: Expected `str` of printable characters without blanks around them - at `server.name`"
    assert answer.json()["badRequest"]["message"] == said


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_a_name_may_be_of_any_script(world, alice, root, name):
    server = f"{V21}/servers/{world.server()}"
    assert alice.put(server, {"server": {"name": name}}).json()["server"]["name"] == name
    group = {"name": name, "policies": ["affinity"]}
    assert alice.post(f"{V21}/os-server-groups", {"server_group": group}).status == 200
    assert root.post(f"{V21}/flavors", {"flavor": {"name": name, "ram": 1, "vcpus": 1, "disk": 1}}).status == 200
    assert root.post(f"{V21}/os-aggregates", {"aggregate": {"name": name}}).status == 200


def test_a_description_is_printable(world, alice):
    server = f"{V21}/servers/{world.server()}"
    for text, status in (("", 200), (" a ", 200), (None, 200), ("a\nb", 400), ("a\tb", 400), ("a\u200b", 400)):
        assert alice.put(server, {"server": {"description": text}}, **at("2.19")).status == status, text


@pytest.mark.parametrize(
    ("value", "status"),
    [(True, 200), ("YES", 200), ("On", 200), ("0", 200), ("off", 200), ("t", 400), ("", 400), (1, 400), (None, 400)],
)
def test_a_boolean_has_the_forms_of_the_reference(root, value, status):
    assert root.put(f"{V21}/os-quota-sets/{P1}", {"quota_set": {"cores": 1, "force": value}}).status == status


def test_a_host_name_has_two_characters_at_least_until_2_93(world, alice):
    server = f"{V21}/servers/{world.server()}"
    for hostname, version, status in (("a", "2.90", 400), ("ab", "2.90", 200), ("a", "2.94", 200), ("a-", "2.90", 400)):
        assert alice.put(server, {"server": {"hostname": hostname}}, **at(version)).status == status


def test_bounds_that_are_quotas_and_keys_that_are_gone(world, alice, root):
    group = {"name": "g", "policy": "anti-affinity", "rules": {}}
    made = alice.post(f"{V21}/os-server-groups", {"server_group": group}, **at("2.64"))
    assert made.json()["server_group"]["rules"] == {}
    assert root.put(f"{V21}/os-quota-sets/{P1}", {"quota_set": {"networks": 1}}).status == 400
    item = f"{V21}/servers/{world.server()}/metadata/é"
    assert alice.put(item, {"meta": {"é": "v"}}).status == 400
    flavor = {"name": "f", "ram": 1, "vcpus": 1, "disk": 1, "id": ""}
    assert root.post(f"{V21}/flavors", {"flavor": flavor}).status == 400
