"""A project's default group, shown before anything needed it: by whom it is seen, and how old it is."""

from __future__ import annotations

from tests.api.network.setting import AT, Maker


def test_administrators_reach_any_projects_default_group(cloud, bob, root):
    group = bob.get(f"{AT}/security-groups").json()["security_groups"][0]
    assert root.get(f"{AT}/security-groups?project_id=p2").json()["security_groups"] == [group]
    rule = group["security_group_rules"][0]
    for path, key, body in (
        (f"security-groups/{group['id']}", "security_group", group),
        (f"security-group-rules/{rule['id']}", "security_group_rule", rule),
    ):
        assert root.get(f"{AT}/{path}").json()[key] == body
        assert cloud.client("alice").get(f"{AT}/{path}").status == 404
    assert [one["id"] for one in root.get(f"{AT}/security-groups?id={group['id']}").json()["security_groups"]] == [
        group["id"]
    ]
    assert (
        len(root.get(f"{AT}/security-group-rules?security_group_id={group['id']}").json()["security_group_rules"]) == 4
    )
    changed = root.put(f"{AT}/security-groups/{group['id']}", {"security_group": {"description": "by root"}})
    assert changed.status == 200
    shown = bob.get(f"{AT}/security-groups/{group['id']}").json()["security_group"]
    assert (shown["description"], shown["created_at"], shown["project_id"]) == ("by root", group["created_at"], "p2")


def test_a_default_group_is_as_old_as_its_project(cloud, alice, make):
    before = alice.get(f"{AT}/security-groups").json()["security_groups"][0]
    assert before["created_at"] == cloud.project_times["p1"]
    Maker(alice).group()
    assert alice.get(f"{AT}/security-groups/{before['id']}").json()["security_group"] == before


def test_a_project_that_is_not_there_has_no_default_group_until_something_is_its(root):
    at = f"{AT}/security-groups?project_id=nowhere"
    assert root.get(at).json()["security_groups"] == []
    assert root.post(f"{AT}/security-groups", {"security_group": {"project_id": "nowhere"}}).status == 201
    assert "default" in [group["name"] for group in root.get(at).json()["security_groups"]]
