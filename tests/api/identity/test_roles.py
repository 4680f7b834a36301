"""Roles, what they imply, and who has them where."""

from __future__ import annotations

import pytest
from tests.api.identity.setting import V3, found, made, own

ROLES = f"{V3}/roles"
KEYS = {"id", "name", "domain_id", "description", "options", "links"}
ASSIGNMENTS = f"{V3}/role_assignments"


def test_a_role_from_beginning_to_end(admin):
    answer = admin.post(ROLES, {"role": {"name": "r", "description": "d"}})
    assert answer.status == 201
    role = answer.json()["role"]
    assert set(role) == KEYS
    one = f"{ROLES}/{role['id']}"
    assert admin.get(one).json()["role"] == role
    assert admin.post(ROLES, {"role": {"name": "r"}}).status == 409
    assert admin.patch(one, {"role": {"name": "s"}}).json()["role"] == {**role, "name": "s"}
    assert admin.patch(one, {"role": {"name": "reader"}}).status == 409
    assert admin.delete(one).status == 204
    assert admin.get(one).status == admin.delete(one).status == admin.patch(one, {"role": {"name": "t"}}).status == 404


def test_roles_of_a_domain_are_apart(world, admin):
    domain = world.domain("d")
    made(admin, "roles", "role", {"name": "reader", "domain_id": domain})
    assert [row["domain_id"] for row in admin.get(f"{ROLES}?domain_id={domain}").json()["roles"]] == [domain]
    assert [row["domain_id"] for row in admin.get(f"{ROLES}?name=reader").json()["roles"]] == [None]
    assert len(admin.get(f"{ROLES}?limit=2").json()["roles"]) == 2


def test_an_immutable_role(admin):
    role = made(admin, "roles", "role", {"name": "r", "options": {"immutable": True}})
    one = f"{ROLES}/{role}"
    assert admin.patch(one, {"role": {"name": "s"}}).status == admin.delete(one).status == 403
    assert admin.patch(one, {"role": {"options": {"immutable": None}}}).json()["role"]["options"] == {}
    assert admin.delete(one).status == 204


def test_what_a_role_implies(world, admin, demo):
    boss = made(admin, "roles", "role", {"name": "boss"})
    reader = world.role("reader")
    rule = f"{ROLES}/{boss}/implies/{reader}"
    assert admin.get(rule).status == 404
    answer = admin.put(rule)
    assert answer.status == 201
    assert set(answer.json()["role_inference"]) == {"prior_role", "implies"}
    assert admin.get(rule).status == 200
    assert admin.request("HEAD", rule).status == 204
    assert [row["name"] for row in admin.get(f"{ROLES}/{boss}/implies").json()["role_inference"]["implies"]] == [
        "reader"
    ]
    all_rules = admin.get(f"{V3}/role_inferences").json()["role_inferences"]
    assert {item["prior_role"]["name"] for item in all_rules} == {"admin", "manager", "member", "boss"}
    assert admin.put(f"{ROLES}/{reader}/implies/{boss}").status == 403, "a cycle"
    assert admin.put(f"{ROLES}/{boss}/implies/none").status == 404
    eve = world.member("eve", "boss")
    assert {role["name"] for role in own(eve)["roles"]} == {"boss", "reader"}
    assert admin.delete(rule).status == 204
    assert {role["name"] for role in own(eve)["roles"]} == {"boss"}
    assert admin.delete(rule).status == 404


@pytest.mark.parametrize("actor", ["users", "groups"])
@pytest.mark.parametrize("target", ["projects", "domains", "system"])
def test_a_grant_in_every_form(world, admin, actor, target):
    who = world.user("eve") if actor == "users" else made(admin, "groups", "group", {"name": "g"})
    where = {"projects": f"projects/{world.project('p')}", "domains": "domains/default", "system": "system"}[target]
    role = world.role("reader")
    every, one = f"{V3}/{where}/{actor}/{who}/roles", f"{V3}/{where}/{actor}/{who}/roles/{role}"
    assert admin.get(one).status == admin.request("HEAD", one).status == admin.delete(one).status == 404
    assert admin.put(one).status == admin.put(one).status == 204
    assert admin.get(one).status == admin.request("HEAD", one).status == 204
    assert [row["name"] for row in admin.get(every).json()["roles"]] == ["reader"]
    assert admin.put(f"{every}/none").status == 404
    assert admin.put(f"{V3}/{where}/{actor}/none/roles/{role}").status == 404
    if target != "system":
        assert admin.put(f"{V3}/{target}/none/{actor}/{who}/roles/{role}").status == 404
    assert admin.delete(one).status == 204
    assert admin.get(every).json()["roles"] == []


def assignments(client, query=""):
    answer = client.get(f"{ASSIGNMENTS}?{query}")
    assert answer.status == 200, answer.content
    assert set(answer.json()) == {"role_assignments", "links"}
    return answer.json()["role_assignments"]


def brief(rows):
    return {(row.get("user", row.get("group"))["id"], row["role"]["id"], *sorted(row["scope"])) for row in rows}


def test_assignments_as_they_are_written(world, admin):
    (row,) = assignments(admin, f"user.id={found(admin, 'users', 'demo')}")
    assert set(row) == {"role", "user", "scope", "links"}
    assert row["scope"] == {"project": {"id": found(admin, "projects", "demo")}}
    assert row["role"] == {"id": world.role("member")}
    assert set(row["links"]) == {"assignment"}
    assert len(assignments(admin)) == 4


def test_assignments_with_names(world, admin):
    (row,) = assignments(admin, f"include_names&user.id={found(admin, 'users', 'demo')}")
    default = {"id": "default", "name": "Default"}
    assert row["user"] == {"id": row["user"]["id"], "name": "demo", "domain": default}
    assert row["scope"]["project"] == {"id": row["scope"]["project"]["id"], "name": "demo", "domain": default}
    assert row["role"]["name"] == "member"


def test_assignments_as_they_take_effect(world, admin):
    user, group, project = world.user("eve"), made(admin, "groups", "group", {"name": "g"}), world.project("p")
    admin.put(f"{V3}/groups/{group}/users/{user}")
    world.grant(f"projects/{project}", f"groups/{group}", "member")
    rows = assignments(admin, f"effective&user.id={user}&include_names")
    assert {row["role"]["name"] for row in rows} == {"member", "reader"}
    assert all(row["user"]["id"] == user and "group" not in row for row in rows)
    assert all("membership" in row["links"] for row in rows)
    assert assignments(admin, f"group.id={group}")[0]["group"] == {"id": group}
    assert admin.get(f"{ASSIGNMENTS}?effective&group.id={group}").status == 400
    assert {
        row["role"]["name"]
        for row in assignments(admin, f"effective&include_names&role.id={world.role('reader')}&user.id={user}")
    } == {"reader"}


def test_assignments_by_scope_and_role(world, admin):
    assert len(assignments(admin, "scope.system")) == 1
    assert assignments(admin, "scope.system")[0]["scope"] == {"system": {"all": True}}
    assert len(assignments(admin, "scope.domain.id=default")) == 1
    assert len(assignments(admin, f"scope.project.id={found(admin, 'projects', 'demo')}")) == 1
    assert len(assignments(admin, f"role.id={world.role('admin')}")) == 3


def test_inherited_to_the_projects_of_a_domain(world, admin):
    domain = world.domain("d")
    user = world.user("eve", domain_id=domain)
    project = made(admin, "projects", "project", {"name": "p", "domain_id": domain})
    child = made(admin, "projects", "project", {"name": "c", "parent_id": project, "domain_id": domain})
    base = f"{V3}/OS-INHERIT/domains/{domain}/users/{user}/roles"
    one = f"{base}/{world.role('reader')}/inherited_to_projects"
    assert admin.get(one).status == 404
    assert admin.put(one).status == admin.get(one).status == 204
    assert [row["name"] for row in admin.get(f"{base}/inherited_to_projects").json()["roles"]] == ["reader"]
    (row,) = assignments(admin, f"user.id={user}")
    assert row["scope"] == {"domain": {"id": domain}, "OS-INHERIT:inherited_to": "projects"}
    effective = assignments(admin, f"effective&user.id={user}")
    assert {row["scope"]["project"]["id"] for row in effective} == {project, child}
    assert brief(assignments(admin, "scope.OS-INHERIT:inherited_to=projects")) == brief([row])
    identity = {"methods": ["password"], "password": {"user": {"id": user, "password": "eve-secret"}}}
    token = world.login(identity, {"project": {"id": child}})
    assert [role["name"] for role in token.json()["token"]["roles"]] == ["reader"]
    assert world.login(identity, {"domain": {"id": domain}}).status == 401
    assert admin.delete(one).status == 204
    assert world.login(identity, {"project": {"id": child}}).status == 401


def test_assignments_of_a_tree(world, admin):
    parent = world.project("parent")
    child = world.project("child", parent_id=parent)
    user, worker = world.user("boss"), world.user("eve")
    world.grant(f"projects/{parent}", f"users/{user}", "manager")
    world.grant(f"projects/{child}", f"users/{worker}", "member")
    boss = world.client("boss", {"project": {"id": parent}})
    world.grant("system", f"users/{user}", "reader")
    readers = (world.client("boss", {"system": {"all": True}}), world.domain_user("rita", "default", "reader"))
    tree = f"scope.project.id={parent}&include_subtree=1"
    for reader in (admin, *readers):
        assert {row["user"]["id"] for row in assignments(reader, tree)} == {user, worker}
    assert admin.get(f"{ASSIGNMENTS}?include_subtree=1").status == 400
    assert boss.get(f"{ASSIGNMENTS}?{tree}").status == boss.get(ASSIGNMENTS).status == 403
    stranger = world.domain_user("mallory", world.domain("d"), "admin")
    assert stranger.get(f"{ASSIGNMENTS}?{tree}").status == 403


def test_a_domains_reader_sees_its_domains_assignments_alone(world, admin):
    domain = world.domain("d")
    reader = world.domain_user("rita", domain, "reader")
    project = made(admin, "projects", "project", {"name": "p", "domain_id": domain})
    me = own(reader)["user"]["id"]
    world.grant(f"projects/{project}", f"users/{me}", "member")
    for query in (
        "",
        "effective",
        "include_names",
        "scope.system",
        "scope.domain.id=default",
        "scope.project.id=" + found(admin, "projects", "demo"),
    ):
        rows = assignments(reader, query)
        assert {row["user"]["id"] for row in rows} <= {me}, query
    assert len(assignments(reader)) == 2


def test_a_domains_own_role_acts_through_what_it_implies_alone(world, admin):
    domain = world.domain("own-roles")
    lead = made(admin, "roles", "role", {"name": "lead", "domain_id": domain})
    assert admin.put(f"{V3}/roles/{lead}/implies/{world.role('member')}").status == 201
    assert admin.put(f"{V3}/roles/{world.role('service')}/implies/{lead}").status == 403
    assert admin.put(f"{V3}/roles/{lead}/implies/{world.role('admin')}").status == 403
    assert admin.put(f"{V3}/roles/{world.role('service')}/implies/{world.role('admin')}").status == 403
    user, project = world.user("eve", domain_id=domain), world.project("p", domain_id=domain)
    assert admin.put(f"{V3}/projects/{project}/users/{user}/roles/{lead}").status == 204
    assert admin.put(f"{V3}/domains/{domain}/users/{user}/roles/{lead}").status == 204
    assert admin.delete(f"{V3}/domains/{domain}/users/{user}/roles/{lead}").status == 204
    elsewhere = world.project("elsewhere")
    for target in (f"projects/{elsewhere}", "system"):
        assert admin.put(f"{V3}/{target}/users/{user}/roles/{lead}").status == 403
    plain = admin.get(f"{V3}/role_assignments?user.id={user}").json()["role_assignments"]
    assert [row["role"]["id"] for row in plain] == [lead]
    found_ = admin.get(f"{V3}/role_assignments?user.id={user}&effective").json()["role_assignments"]
    assert {row["role"]["id"] for row in found_} == {world.role("member"), world.role("reader")}
