"""Names in any case: found, unique, and shown as they were given."""

from __future__ import annotations

import pytest
from tests.api.identity.setting import DEFAULT, V3, made, password
from tests.api.identity.test_application_credentials import credential


def login(world, user="Eve", domain="Acme", project="Rocket", secret="eve-secret"):
    who = {"name": user, "domain": {"name": domain}, "password": secret}
    scope = {"project": {"name": project, "domain": {"name": domain}}}
    return world.login({"methods": ["password"], "password": {"user": who}}, scope)


def test_sign_in_knows_no_case_but_in_passwords(world):
    domain = world.domain("Acme")
    user = world.user("Eve", domain_id=domain, password="eve-secret")
    world.grant(f"projects/{world.project('Rocket', domain_id=domain)}", f"users/{user}", "member")
    for names in (("Eve", "Acme", "Rocket"), ("eve", "acme", "rocket"), ("EVE", "ACME", "ROCKET")):
        answer = login(world, *names)
        assert answer.status == 201, names
        token = answer.json()["token"]
        assert (token["user"]["name"], token["project"]["name"]) == ("Eve", "Rocket")
        assert token["user"]["domain"] == {"id": domain, "name": "Acme"}
    assert login(world, secret="EVE-SECRET").status == 401
    assert world.login({"methods": ["password"], "password": {"user": {
        "name": "DEMO", "domain": {"name": "default"}, "password": "demo-secret"}}}).status == 201  # fmt: skip


@pytest.mark.parametrize("noun", ["user", "project", "group", "role", "domain"])
def test_names_are_unique_and_found_in_any_case(admin, noun):
    at = f"{V3}/{noun}s"
    one = made(admin, f"{noun}s", noun, {"name": "Straße"})
    other = made(admin, f"{noun}s", noun, {"name": "other"})
    for name in ("Straße", "straße", "STRASSE"):
        assert admin.post(at, {noun: {"name": name}}).status == 409, name
        assert [row["name"] for row in admin.get(f"{at}?name={name}").json()[f"{noun}s"]] == ["Straße"], name
        assert admin.patch(f"{at}/{other}", {noun: {"name": name}}).status == 409
    assert admin.patch(f"{at}/{one}", {noun: {"name": "STRASSE"}}).json()[noun]["name"] == "STRASSE"
    assert admin.patch(f"{at}/{one}", {noun: {"name": "lane"}}).status == 200
    assert admin.patch(f"{at}/{other}", {noun: {"name": "straße"}}).status == 200


def test_no_role_stands_beside_the_clouds_own_in_another_case(world, admin):
    assert admin.post(f"{V3}/roles", {"role": {"name": "Admin"}}).status == 409
    assert admin.post(f"{V3}/roles", {"role": {"name": "SERVICE"}}).status == 409


def test_the_longest_names_keep_their_length(admin):
    name = "ß" * 255
    user = made(admin, "users", "user", {"name": name, "domain_id": DEFAULT["id"], "password": "x"})
    assert admin.get(f"{V3}/users/{user}").json()["user"]["name"] == name


def test_credentials_and_their_owners_are_named_in_any_case(world, demo):
    given = credential(demo, name="robot")
    who = {"name": "robot", "secret": given["secret"], "user": {"name": "DEMO", "domain": DEFAULT}}
    identity = {"methods": ["application_credential"], "application_credential": who}
    assert world.login(identity).status == 201
    assert world.login(password("Demo", "demo-secret")).status == 201
