"""Limits, quota sets, server groups, discovery, and what a day later is left of deleted servers."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.api.compute.setting import P1, P2, at

from gureum.foundation import clock
from gureum.services.compute.service import purge_deleted

V21 = "/compute/v2.1"
SETS = f"{V21}/os-quota-sets"
GROUPS = f"{V21}/os-server-groups"


def test_limits_show_what_is_used(world, alice, root):
    world.server()
    world.server(deleted_at=clock.utcnow())
    used = alice.get(f"{V21}/limits").json()["limits"]["absolute"]
    assert (used["totalInstancesUsed"], used["totalCoresUsed"], used["totalRAMUsed"]) == (1, 1, 512)
    assert used["maxTotalCores"] == 20
    assert alice.get(f"{V21}/limits?tenant_id={P2}").status == 403
    assert root.get(f"{V21}/limits?tenant_id={P1}").json()["limits"]["absolute"]["totalInstancesUsed"] == 1


def test_quotas_are_changed_shown_and_reset(world, alice, root):
    assert root.put(f"{SETS}/{P1}", {"quota_set": {"cores": 7, "ram": "-1"}}).json()["quota_set"]["cores"] == 7
    shown = alice.get(f"{SETS}/{P1}").json()["quota_set"]
    assert (shown["id"], shown["cores"], shown["ram"], shown["instances"]) == (P1, 7, -1, 10)
    assert alice.get(f"{SETS}/{P1}/defaults").json()["quota_set"]["cores"] == 20
    assert alice.get(f"{V21}/limits").json()["limits"]["absolute"]["maxTotalCores"] == 7
    assert root.delete(f"{SETS}/{P1}").status == 202
    assert alice.get(f"{SETS}/{P1}").json()["quota_set"]["cores"] == 20


def test_the_default_class_is_every_projects_default(alice, root):
    answer = root.put(f"{V21}/os-quota-class-sets/default", {"quota_class_set": {"cores": 33}})
    assert answer.json()["quota_class_set"]["cores"] == 33
    assert alice.get(f"{SETS}/{P1}").json()["quota_set"]["cores"] == 33
    assert alice.get(f"{V21}/os-quota-class-sets/default").status == 403


def test_a_class_of_another_name_is_kept_and_limits_nobody(alice, root):
    gold = f"{V21}/os-quota-class-sets/gold"
    assert root.get(gold).json()["quota_class_set"]["cores"] == 20
    assert root.put(gold, {"quota_class_set": {"cores": 33}}).json()["quota_class_set"]["cores"] == 33
    shown = root.get(gold).json()["quota_class_set"]
    assert (shown["id"], shown["cores"], shown["ram"]) == ("gold", 33, 51200)
    assert alice.get(f"{SETS}/{P1}").json()["quota_set"]["cores"] == 20
    assert root.put(f"{V21}/os-quota-class-sets/{'g' * 256}", {"quota_class_set": {"cores": 1}}).status == 400


def test_the_quotas_of_a_user_are_changed_shown_and_reset_beside_the_projects(world, alice, root):
    world.server()
    of_alice, of_bob = f"{SETS}/{P1}?user_id=alice", f"{SETS}/{P1}?user_id=bob"
    root.put(f"{SETS}/{P1}", {"quota_set": {"cores": 7}})
    changed = root.put(of_alice, {"quota_set": {"cores": 3, "instances": 2}}).json()["quota_set"]
    assert (changed["cores"], changed["instances"], changed["ram"]) == (3, 2, 51200)
    assert alice.get(of_alice).json()["quota_set"] == {"id": P1, **changed}
    assert root.get(of_bob).json()["quota_set"]["cores"] == 7
    detail = root.get(f"{SETS}/{P1}/detail?user_id=alice").json()["quota_set"]
    assert detail["cores"] == {"limit": 3, "in_use": 1, "reserved": 0}
    assert root.get(f"{SETS}/{P1}/detail?user_id=bob").json()["quota_set"]["cores"]["in_use"] == 0
    assert root.delete(of_alice).status == 202
    assert root.get(of_alice).json()["quota_set"]["cores"] == 7
    assert root.get(f"{SETS}/{P1}").json()["quota_set"]["cores"] == 7
    root.put(of_alice, {"quota_set": {"cores": 3}})
    assert root.delete(f"{SETS}/{P1}").status == 202
    assert root.get(of_alice).json()["quota_set"]["cores"] == 20


def test_the_quotas_of_users_stay_within_the_projects(world, root):
    world.server()

    def put(user_id, amount, **more):
        whose = f"?user_id={user_id}" if user_id else ""
        return root.put(f"{SETS}/{P1}{whose}", {"quota_set": {"cores": amount, **more}}).status

    assert put("alice", 0) == 400, "below what the user uses"
    assert put("alice", 21) == 400, "above the project's 20"
    assert put("alice", -1) == 400
    assert put("alice", 15) == 200
    assert put("bob", 6) == 400, "the users' limits together are above the project's"
    assert put("bob", 5) == 200
    assert put("alice", 15) == 200, "its own limit is no hindrance"
    assert put("", 19) == 400, "below what its users may use together"
    assert put("", 19, force=True) == 200
    assert put("alice", 100, force=True) == 200
    assert put("", -1) == 200
    assert put("alice", -1) == 200
    assert put("a" * 65, 1) == 400


def test_an_empty_user_is_not_the_whole_project(alice, root):
    root.put(f"{SETS}/{P1}", {"quota_set": {"cores": 7}})
    for answer in (
        root.delete(f"{SETS}/{P1}?user_id="),
        root.put(f"{SETS}/{P1}?user_id=", {"quota_set": {"cores": 9}}),
        root.get(f"{SETS}/{P1}?user_id="),
    ):
        assert answer.status == 400
    assert alice.get(f"{SETS}/{P1}").json()["quota_set"]["cores"] == 7


def test_the_quota_of_a_user_is_enforced_beside_the_projects(world, alice, root):
    policy = {"name": "g", "policies": ["affinity"]}
    root.put(f"{SETS}/{P1}?user_id=alice", {"quota_set": {"server_groups": 1, "metadata_items": 1, "key_pairs": 0}})
    assert alice.post(GROUPS, {"server_group": policy}).status == 200
    refused = alice.post(GROUPS, {"server_group": policy})
    assert refused.status == 403
    assert "by this user" in refused.json()["forbidden"]["message"]
    server = world.server()
    assert alice.post(f"{V21}/servers/{server}/metadata", {"metadata": {"a": "1", "b": "2"}}).status == 403
    assert alice.post(f"{V21}/os-keypairs", {"keypair": {"name": "k"}}).status == 403


def test_a_quota_below_its_use_needs_force(world, root):
    world.server()
    assert root.put(f"{SETS}/{P1}", {"quota_set": {"instances": 0}}).status == 400
    assert root.put(f"{SETS}/{P1}", {"quota_set": {"instances": 0, "force": True}}).status == 200
    detail = root.get(f"{SETS}/{P1}/detail").json()["quota_set"]["instances"]
    assert detail == {"limit": 0, "in_use": 1, "reserved": 0}


@pytest.mark.parametrize("change", [{"cores": -2}, {"cores": 2**31}, {"cores": "x"}, {"colour": 1}, {"cores": None}])
def test_bad_quotas_are_refused(root, change):
    assert root.put(f"{SETS}/{P1}", {"quota_set": change}).status == 400


def test_quotas_of_others_are_not_shown(world, alice, root):
    assert world.as_("bob").get(f"{SETS}/{P1}").status == 403
    assert alice.put(f"{SETS}/{P1}", {"quota_set": {"cores": 99}}).status == 403
    assert root.get(f"{SETS}/{'f' * 32}").status == 400
    assert root.put(f"{SETS}/{P1}", {"quota_set": {"floating_ips": 1}}, **at("2.36")).status == 400
    assert root.put(f"{SETS}/{P1}", {"quota_set": {"injected_files": 1}}, **at("2.57")).status == 400


def test_server_groups_live_and_die(world, alice):
    new = {"name": "g", "policy": "anti-affinity", "rules": {"max_server_per_host": "3"}}
    made = alice.post(GROUPS, {"server_group": new}, **at("2.64")).json()["server_group"]
    assert made["rules"] == {"max_server_per_host": 3}
    old = alice.get(f"{GROUPS}/{made['id']}").json()["server_group"]
    assert old == {"id": made["id"], "name": "g", "policies": ["anti-affinity"], "members": [], "metadata": {}}
    assert [g["id"] for g in alice.get(GROUPS).json()["server_groups"]] == [made["id"]]
    bob = world.as_("bob")
    assert bob.get(f"{GROUPS}/{made['id']}").status == 404
    assert bob.delete(f"{GROUPS}/{made['id']}").status == 404
    assert bob.get(f"{GROUPS}?all_projects=1").status == 403
    assert alice.delete(f"{GROUPS}/{made['id']}").status == 204
    assert alice.get(f"{GROUPS}/{made['id']}").status == 404


def test_bad_server_groups_are_refused(alice, root):
    def post(group, version):
        return alice.post(GROUPS, {"server_group": group}, **at(version)).status

    assert post({"name": "g", "policies": ["soft-affinity"]}, "2.14") == 400
    assert post({"name": "g", "policies": ["soft-affinity"]}, "2.15") == 200
    assert post({"name": "g", "policies": ["affinity", "anti-affinity"]}, "2.1") == 400
    assert post({"name": "g", "policies": ["affinity"]}, "2.64") == 400
    assert post({"name": "", "policy": "affinity"}, "2.64") == 400
    assert post({"name": "g", "policy": "affinity", "rules": {"max_server_per_host": 3}}, "2.64") == 400
    assert post({"name": "g", "policy": "anti-affinity", "rules": {"max_server_per_host": 0}}, "2.64") == 400
    root.put(f"{SETS}/{P1}", {"quota_set": {"server_groups": 1}})
    assert post({"name": "g", "policy": "affinity"}, "2.64") == 403


def test_the_version_documents_need_no_token(world):
    anyone = world.as_("nobody")
    legacy, version = anyone.get("/compute/").json()["versions"]
    assert (legacy["id"], legacy["status"], legacy["version"]) == ("v2.0", "SUPPORTED", "")
    assert anyone.get("/compute/v2/").json()["version"]["links"][0]["href"] == "http://cloud/compute/v2/"
    assert (version["id"], version["status"]) == ("v2.1", "CURRENT")
    assert (version["min_version"], version["version"]) == ("2.1", "2.96")
    assert anyone.get("/compute/v2.1/").json()["version"]["links"][0]["href"] == "http://cloud/compute/v2.1/"
    assert anyone.get("/compute/v2.1/extensions").status == 401
    aliases = [e["alias"] for e in world.as_("alice").get("/compute/v2.1/extensions").json()["extensions"]]
    assert {"os-keypairs", "os-admin-actions", "os-user-quotas", "OS-SCH-HNT", "os-personality"} <= set(aliases)
    assert not {"os-shelve", "os-volumes", "os-rescue"} & set(aliases), "not offered"
    hints = world.as_("alice").get("/compute/v2.1/extensions/OS-SCH-HNT").json()["extension"]
    assert (hints["alias"], hints["name"]) == ("OS-SCH-HNT", "SchedulerHints")
    assert world.as_("alice").get("/compute/v2.1/extensions/os-keypairs").status == 200
    assert world.as_("alice").get("/compute/v2.1/extensions/os-none").status == 404


def test_the_api_from_before_microversions_is_the_first_of_them(world):
    answer = world.as_("alice").get("/compute/v2/os-keypairs", OpenStack_API_Version="compute 2.79")
    assert answer.status == 200
    assert answer.headers["openstack-api-version"] == "compute 2.1"
    assert world.as_("alice").get("/compute/v2/os-keypairs", OpenStack_API_Version="compute 9.99").status == 200
    assert world.as_("nobody").get("/compute/v2/os-keypairs").status == 401


def test_deleted_servers_are_forgotten_after_a_day(world):
    old = world.server(vm_state="deleted", deleted_at=clock.utcnow() - timedelta(hours=25))
    young = world.server(vm_state="deleted", deleted_at=clock.utcnow() - timedelta(hours=23))
    living = world.server()
    world.action(old, "req-1")
    assert purge_deleted(world.database) == 1
    assert world.row(old) is None
    assert world.row(young) is not None
    assert world.row(living) is not None
