"""Who may not: members and readers of a project, managers of a domain beyond it, strangers."""

from __future__ import annotations

import pytest
from tests.api.identity.setting import V3, found, made, own

ADMINISTRATION = [
    ("POST", "users", {"user": {"name": "x"}}),
    ("POST", "groups", {"group": {"name": "x"}}),
    ("POST", "projects", {"project": {"name": "x"}}),
    ("POST", "domains", {"domain": {"name": "x"}}),
    ("POST", "roles", {"role": {"name": "x"}}),
    ("POST", "services", {"service": {"type": "x"}}),
    ("POST", "endpoints", {"endpoint": {"service_id": "x", "interface": "public", "url": "http://x"}}),
    ("POST", "regions", {"region": {"id": "x"}}),
    ("POST", "policies", {"policy": {"type": "x", "blob": "x"}}),
    ("PATCH", "users/USER", {"user": {"enabled": False}}),
    ("PATCH", "projects/PROJECT", {"project": {"enabled": False}}),
    ("PATCH", "domains/default", {"domain": {"name": "x"}}),
    ("PATCH", "roles/ROLE", {"role": {"name": "x"}}),
    ("DELETE", "users/USER", None),
    ("DELETE", "projects/PROJECT", None),
    ("DELETE", "domains/default", None),
    ("DELETE", "roles/ROLE", None),
    ("DELETE", "regions/RegionOne", None),
    ("PUT", "projects/PROJECT/users/USER/roles/ROLE", None),
    ("PUT", "domains/default/users/USER/roles/ROLE", None),
    ("PUT", "system/users/USER/roles/ROLE", None),
    ("PUT", "projects/PROJECT/tags/x", None),
    ("PUT", "roles/ROLE/implies/ROLE", None),
    ("GET", "users", None),
    ("GET", "groups", None),
    ("GET", "projects", None),
    ("GET", "services", None),
    ("GET", "endpoints", None),
    ("GET", "policies", None),
    ("GET", "role_assignments", None),
    ("GET", "role_inferences", None),
    ("GET", "users/OTHER", None),
    ("GET", "projects/OTHERS", None),
    ("GET", "system/users/USER/roles", None),
]


@pytest.mark.parametrize("role", ["reader", "member", "manager"])
def test_a_project_token_administers_nothing(world, admin, role):
    eve = world.member("eve", role)
    names = {
        "USER": own(eve)["user"]["id"],
        "PROJECT": own(eve)["project"]["id"],
        "ROLE": world.role("admin"),
        "OTHERS": found(admin, "projects", "admin"),
        "OTHER": found(admin, "users", "admin"),
    }
    before = world.commits()
    for method, path, body in ADMINISTRATION:
        for name in ("OTHERS", "OTHER", "USER", "PROJECT", "ROLE"):
            path = path.replace(name, names[name])  # noqa: PLW2901
        answer = eve.request(method, f"{V3}/{path}", body)
        assert answer.status == 403, (method, path, answer.content)
        assert world.anonymous.request(method, f"{V3}/{path}", body).status == 401
    assert world.commits() == before


def test_a_system_reader_reads_and_no_more(world):
    user = world.user("rita")
    world.grant("system", f"users/{user}", "reader")
    rita = world.client("rita", {"system": {"all": True}})
    for method, path, body in ADMINISTRATION:
        if method == "GET":
            assert rita.get(f"{V3}/{path.replace('USER', user)}").status in (200, 404), path
        elif method == "POST":
            assert rita.post(f"{V3}/{path}", body).status == 403, path


@pytest.fixture
def domain(world):
    return world.domain("d")


@pytest.fixture
def boss(world, domain):
    return world.domain_user("boss", domain, "manager")


def test_a_domains_manager_manages_its_users_groups_and_projects(world, boss, domain):
    user = made(boss, "users", "user", {"name": "eve", "password": "eve-secret", "domain_id": domain})
    group = made(boss, "groups", "group", {"name": "g"})
    project = made(boss, "projects", "project", {"name": "p"})
    assert boss.put(f"{V3}/groups/{group}/users/{user}").status == 204
    grant = f"{V3}/projects/{project}/users/{user}/roles/{world.role('member')}"
    assert boss.put(grant).status == boss.get(grant).status == boss.delete(grant).status == 204
    assert boss.patch(f"{V3}/users/{user}", {"user": {"enabled": False}}).status == 200
    assert {row["domain_id"] for row in boss.get(f"{V3}/users").json()["users"]} == {domain}
    assert {row["domain_id"] for row in boss.get(f"{V3}/projects").json()["projects"]} == {domain}
    assert boss.get(f"{V3}/users?domain_id=default").json()["users"] == []
    assert [row["id"] for row in boss.get(f"{V3}/domains").json()["domains"]] == [domain]
    for gone in (f"users/{user}", f"groups/{group}", f"projects/{project}"):
        assert boss.delete(f"{V3}/{gone}").status == 204


def test_a_domains_manager_touches_nothing_outside(world, admin, boss):
    demo, project = found(admin, "users", "demo"), found(admin, "projects", "demo")
    group = made(admin, "groups", "group", {"name": "g"})
    mine, member = own(boss)["user"]["id"], world.role("member")
    before = world.commits()
    for method, path, body in [
        ("GET", f"users/{demo}", None),
        ("PATCH", f"users/{demo}", {"user": {"password": "taken"}}),
        ("PATCH", f"users/{demo}", {"user": {"password": "taken", "domain_id": own(boss)["domain"]["id"]}}),
        ("DELETE", f"users/{demo}", None),
        ("GET", f"projects/{project}", None),
        ("PATCH", f"projects/{project}", {"project": {"name": "x"}}),
        ("DELETE", f"projects/{project}", None),
        ("PUT", f"projects/{project}/tags/x", None),
        ("PUT", f"projects/{project}/users/{mine}/roles/{member}", None),
        ("PUT", f"domains/default/users/{mine}/roles/{member}", None),
        ("PUT", f"OS-INHERIT/domains/default/users/{mine}/roles/{member}/inherited_to_projects", None),
        ("PUT", f"system/users/{mine}/roles/{member}", None),
        ("GET", f"groups/{group}", None),
        ("PUT", f"groups/{group}/users/{mine}", None),
        ("DELETE", f"groups/{group}", None),
        ("POST", "users", {"user": {"name": "x", "domain_id": "default"}}),
        ("POST", "groups", {"group": {"name": "x", "domain_id": "default"}}),
        ("POST", "projects", {"project": {"name": "x", "domain_id": "default"}}),
        ("POST", "projects", {"project": {"name": "x", "parent_id": project}}),
        ("POST", "projects", {"project": {"name": "x", "is_domain": True}}),
        ("POST", "domains", {"domain": {"name": "x"}}),
        ("POST", "roles", {"role": {"name": "x"}}),
        ("DELETE", f"domains/{own(boss)['domain']['id']}", None),
    ]:
        assert boss.request(method, f"{V3}/{path}", body).status == 403, (method, path)
    assert world.commits() == before


def test_a_domains_manager_makes_no_administrators(world, admin, boss, domain):
    """Neither by the role itself, nor by one that implies it, nor by the services' own."""
    almighty = made(admin, "roles", "role", {"name": "almighty"})
    assert admin.put(f"{V3}/roles/{almighty}/implies/{world.role('service')}").status == 201
    eve = made(boss, "users", "user", {"name": "eve", "domain_id": domain})
    for role in (world.role("admin"), world.role("service"), almighty):
        one = f"{V3}/domains/{domain}/users/{eve}/roles/{role}"
        assert boss.put(one).status == 403
        assert admin.put(one).status == 204
        assert boss.delete(one).status == 403


def test_a_domains_manager_lets_no_stranger_in(world, admin, boss, domain):
    demo = found(admin, "users", "demo")
    assert boss.put(f"{V3}/domains/{domain}/users/{demo}/roles/{world.role('reader')}").status == 403
    group = made(boss, "groups", "group", {"name": "g"})
    assert boss.put(f"{V3}/domains/{domain}/groups/{group}/roles/{world.role('reader')}").status == 204
    assert boss.put(f"{V3}/groups/{group}/users/{demo}").status == 403


def test_an_unscoped_token_sees_itself(world):
    from tests.api.identity.setting import password

    demo = world.with_token(world.token(password("demo"), "unscoped"))
    assert demo.get(f"{V3}/auth/projects").status == 200
    assert demo.get(f"{V3}/users").status == demo.get(f"{V3}/projects").status == 403
