"""Tokens made: by password and token, in every scope."""

from __future__ import annotations

import pytest
from tests.api.identity.setting import DEFAULT, TOKENS, V3, by_token, found, own, password

KEYS = {"methods", "user", "audit_ids", "expires_at", "issued_at"}
SCOPED = KEYS | {"roles", "catalog"}
PROJECT = {"project": {"name": "demo", "domain": DEFAULT}}


def test_by_name_in_a_project(world):
    answer = world.login(password("demo"), PROJECT)
    assert answer.status == 201
    token = answer.json()["token"]
    assert set(token) == SCOPED | {"project", "is_domain"}
    assert token["methods"] == ["password"]
    assert set(token["user"]) == {"id", "name", "domain", "password_expires_at"}
    assert token["user"]["domain"] == {"id": "default", "name": "Default"}
    assert token["project"] == {"id": token["project"]["id"], "name": "demo", "domain": token["user"]["domain"]}
    assert token["is_domain"] is False
    assert {role["name"] for role in token["roles"]} == {"member", "reader"}
    assert all(set(role) == {"id", "name"} for role in token["roles"])
    assert len(token["audit_ids"]) == 1
    assert token["expires_at"].endswith("Z")
    assert answer.headers["x-subject-token"]


def test_by_ids_and_by_names_is_the_same(world, admin):
    user, project = found(admin, "users", "demo"), found(admin, "projects", "demo")
    identity = {"methods": ["password"], "password": {"user": {"id": user, "password": "demo-secret"}}}
    answer = world.login(identity, {"project": {"id": project}})
    assert answer.status == 201
    assert answer.json()["token"]["user"]["name"] == "demo"
    named = {
        "methods": ["password"],
        "password": {"user": {"name": "demo", "domain": {"name": "Default"}, "password": "demo-secret"}},
    }
    assert world.login(named, {"project": {"name": "demo", "domain": {"name": "Default"}}}).status == 201


def test_unscoped(world):
    for scope in (None, "unscoped"):
        token = world.login(password("demo"), scope).json()["token"]
        assert set(token) == KEYS


def test_in_a_domain(world):
    token = world.login(password("admin"), {"domain": {"name": "Default"}}).json()["token"]
    assert set(token) == SCOPED | {"domain"}
    assert token["domain"] == {"id": "default", "name": "Default"}


def test_on_the_system(world):
    token = world.login(password("admin"), {"system": {"all": True}}).json()["token"]
    assert set(token) == SCOPED | {"system"}
    assert token["system"] == {"all": True}


def test_the_catalog_has_every_service_and_interface(world):
    catalog = world.login(password("demo"), PROJECT).json()["token"]["catalog"]
    assert {entry["type"] for entry in catalog} == {"identity", "compute", "network", "image", "placement"}
    for entry in catalog:
        assert set(entry) == {"id", "type", "name", "endpoints"}
        assert {point["interface"] for point in entry["endpoints"]} == {"public", "internal", "admin"}
        assert all(set(point) == {"id", "interface", "region", "region_id", "url"} for point in entry["endpoints"])


def test_without_the_catalog(world):
    token = world.login(password("demo"), PROJECT, "?nocatalog").json()["token"]
    assert set(token) == (SCOPED | {"project", "is_domain"}) - {"catalog"}


def test_the_default_project_is_the_scope_when_none_is_asked_for(world, admin):
    demo, project = found(admin, "users", "demo"), found(admin, "projects", "demo")
    assert admin.patch(f"{V3}/users/{demo}", {"user": {"default_project_id": project}}).status == 200
    assert world.login(password("demo")).json()["token"]["project"]["id"] == project
    assert "project" not in world.login(password("demo"), "unscoped").json()["token"]
    other = found(admin, "projects", "admin")
    assert admin.patch(f"{V3}/users/{demo}", {"user": {"default_project_id": other}}).status == 200
    assert "project" not in world.login(password("demo")).json()["token"]


def test_a_token_that_is_none_is_not_found(world):
    for text in ("garbage", "", "gAAAAA"):
        assert world.login({"methods": ["token"], "token": {"id": text}}, PROJECT).status == 404


@pytest.mark.parametrize(
    "identity",
    [
        password("demo", "wrong"),
        password("nobody", "wrong"),
        password("demo", "demo-secret", domain={"id": "elsewhere"}),
        {"methods": ["password"], "password": {"user": {"id": "0" * 32, "password": "x"}}},
        {"methods": ["application_credential"], "application_credential": {"id": "0" * 32, "secret": "x"}},
        {"methods": ["magic"], "magic": {}},
    ],
)
def test_what_proves_nobody_gets_one_and_the_same_answer(world, identity):
    answer = world.login(identity, PROJECT)
    expected = world.login(password("nobody", "wrong"), PROJECT)
    assert answer.status == 401
    assert answer.content == expected.content
    assert set(answer.json()["error"]) == {"code", "message", "title"}


@pytest.mark.parametrize(
    "scope",
    [
        {"project": {"name": "admin", "domain": DEFAULT}},
        {"project": {"id": "0" * 32}},
        {"project": {"name": "none", "domain": DEFAULT}},
        {"domain": DEFAULT},
        {"domain": {"id": "none"}},
        {"system": {"all": True}},
    ],
)
def test_a_scope_without_a_role_is_refused_like_one_that_does_not_exist(world, scope):
    answer = world.login(password("demo"), scope)
    assert (answer.status, answer.content) == (401, world.login(password("nobody", "x")).content)


@pytest.mark.parametrize(
    "auth",
    [
        {},
        {"identity": {}},
        {"identity": {"methods": []}},
        {"identity": {"methods": ["password"]}},
        {"identity": {"methods": ["password"], "password": {}}},
        {"identity": {"methods": ["password"], "password": {"user": {"name": "demo", "password": "x"}}}},
        {"identity": {"methods": ["password"], "password": {"user": {"id": 5, "password": "x"}}}},
        {"identity": {"methods": "password"}},
        {"identity": password("demo"), "scope": {}},
        {"identity": password("demo"), "scope": "all"},
        {"identity": password("demo"), "scope": {"system": {"all": False}}},
        {"identity": password("demo"), "scope": {"project": {"name": "demo"}}},
        {"identity": password("demo"), "scope": {"project": {"id": "a"}, "domain": {"id": "b"}}},
        {"identity": password("demo", "x" * 5000)},
    ],
)
def test_requests_that_say_too_little_or_too_much_are_bad(world, auth):
    before = world.commits()
    assert world.anonymous.post(TOKENS, {"auth": auth}).status == 400
    assert world.commits() == before


def test_a_disabled_user_is_refused_like_an_unknown_one(world, admin):
    world.user("eve", enabled=False)
    assert world.login(password("eve")).content == world.login(password("nobody")).content


def test_a_rescoped_token_inherits_expiry_and_chain(world, virtual_clock):
    first = world.login(password("demo"), "unscoped")
    virtual_clock.advance(600)
    second = world.login(by_token(first.headers["x-subject-token"]), PROJECT)
    assert second.status == 201
    old, new = first.json()["token"], second.json()["token"]
    assert new["expires_at"] == old["expires_at"]
    assert new["issued_at"] > old["issued_at"]
    assert new["audit_ids"][1:] == old["audit_ids"]
    assert new["methods"] == ["password", "token"]
    third = world.login(by_token(second.headers["x-subject-token"]), "unscoped").json()["token"]
    assert third["audit_ids"][1] == old["audit_ids"][0]
    assert third["methods"] == ["password", "token"]
    virtual_clock.advance(3000)
    assert world.login(by_token(second.headers["x-subject-token"]), PROJECT).status == 404


def test_a_scoped_token_leads_to_another_scope_of_its_user(world):
    token = world.token(password("admin"), {"project": {"name": "admin", "domain": DEFAULT}})
    assert world.login(by_token(token), {"system": {"all": True}}).status == 201
    assert world.login(by_token(token), PROJECT).status == 401


def test_two_methods_must_prove_one_user(world):
    both = {**password("demo"), "methods": ["password", "token"], "token": {"id": world.token(password("demo"))}}
    assert world.login(both, PROJECT).json()["token"]["methods"] == ["password", "token"]
    mixed = {**both, "token": {"id": world.token(password("admin"))}}
    assert world.login(mixed, PROJECT).status == 401


def test_where_a_token_may_go(world, admin, demo):
    assert [row["name"] for row in demo.get(f"{V3}/auth/projects").json()["projects"]] == ["demo"]
    assert demo.get(f"{V3}/auth/domains").json()["domains"] == []
    assert demo.get(f"{V3}/auth/system").json()["system"] == []
    assert [row["id"] for row in admin.get(f"{V3}/auth/domains").json()["domains"]] == ["default"]
    assert admin.get(f"{V3}/auth/system").json()["system"] == [{"all": True}]
    assert {row["type"] for row in demo.get(f"{V3}/auth/catalog").json()["catalog"]} >= {"compute", "identity"}
    assert world.with_token(world.token(password("demo"))).get(f"{V3}/auth/catalog").status == 403
    assert own(demo)["project"]["name"] == "demo"


def test_discovery_needs_no_token(world):
    assert world.anonymous.get("/identity").status == 300
    assert world.anonymous.get("/identity/v3").json()["version"]["id"] == "v3.14"
