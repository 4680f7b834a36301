"""Application credentials narrowed by access rules: what their tokens open, for every service."""

from __future__ import annotations

import pytest
from tests.api.identity.setting import TOKENS, V3, by_credential, by_token, own
from tests.api.identity.test_application_credentials import KEYS, create, credential, one

PROJECTS = {"service": "identity", "method": "GET", "path": "/v3/auth/projects"}


def robot_of(world, given):
    return world.with_token(world.token(by_credential(given)))


def rules_of(client, user=""):
    return f"{V3}/users/{user or own(client)['user']['id']}/access_rules"


def test_a_narrowed_token_opens_what_its_rules_name(world, demo):
    given = credential(demo, access_rules=[PROJECTS])
    assert set(given) == KEYS | {"secret", "access_rules"}
    (rule,) = given["access_rules"]
    assert {key: rule[key] for key in PROJECTS} == PROJECTS
    robot = robot_of(world, given)
    assert robot.get(f"{V3}/auth/projects").status == 200
    assert robot.get(f"{V3}/auth/catalog").status == 401
    assert robot.request("HEAD", f"{V3}/auth/projects").status == 401
    again = world.with_token(world.token(by_token(robot.headers["X-Auth-Token"])))
    assert again.get(f"{V3}/auth/projects").status == 200
    assert again.get(f"{V3}/auth/catalog").status == 401


def test_only_who_enforces_rules_is_shown_a_narrowed_token(world, admin, demo):
    token = world.token(by_credential(credential(demo, access_rules=[PROJECTS])))
    for _ in range(2):  # from the database, then from memory
        assert admin.get(TOKENS, X_Subject_Token=token).status == 404
        shown = admin.get(TOKENS, X_Subject_Token=token, OpenStack_Identity_Access_Rules="1.0").json()["token"]
        (rule,) = shown["application_credential"]["access_rules"]
        assert {key: rule[key] for key in PROJECTS} == PROJECTS
        world.tokens._checked.clear()


def test_rules_are_their_users_and_outlive_the_credential(world, admin, demo):
    given = credential(demo, access_rules=[PROJECTS])
    rule_id = given["access_rules"][0]["id"]
    (listed,) = demo.get(rules_of(demo)).json()["access_rules"]
    assert listed.pop("links")["self"].endswith(f"/access_rules/{rule_id}")
    assert listed == {"id": rule_id, **PROJECTS}
    assert demo.get(f"{rules_of(demo)}/{rule_id}").json()["access_rule"]["id"] == rule_id
    assert demo.delete(f"{rules_of(demo)}/{rule_id}").status == 403
    assert admin.get(f"{rules_of(admin)}/{rule_id}").status == 404
    other = world.member("other")
    assert other.get(f"{rules_of(demo)}").status == 403
    assert other.delete(f"{rules_of(demo)}/{rule_id}").status == 403
    assert credential(demo, name="same", access_rules=[PROJECTS])["access_rules"][0]["id"] == rule_id
    assert credential(demo, name="by-id", access_rules=[{"id": rule_id}])["access_rules"][0]["id"] == rule_id
    for each in demo.get(one(demo, given).rsplit("/", 1)[0]).json()["application_credentials"]:
        assert demo.delete(one(demo, each)).status == 204
    assert demo.delete(f"{rules_of(demo)}/{rule_id}").status == 204
    assert demo.get(rules_of(demo)).json()["access_rules"] == []


@pytest.mark.parametrize(
    "rule",
    [
        {"service": "identity", "method": "GET"},
        {**PROJECTS, "method": "TRACE"},
        {**PROJECTS, "path": ""},
        {**PROJECTS, "path": "v3"},
        {**PROJECTS, "path": "/" + "a" * 128},
        {},
    ],
)
def test_what_is_no_rule(world, demo, rule):
    before = world.commits()
    assert create(demo, access_rules=[rule]).status == 400
    assert create(demo, access_rules=[{"id": "0" * 32}]).status == 404
    assert world.commits() == before


def test_cve_2026_33551_a_narrowed_token_gives_on_no_more_than_it_has(world, demo):
    user = own(demo)["user"]["id"]
    making = {"service": "identity", "method": "POST", "path": "/v3/users/*/application_credentials"}
    given = credential(demo, unrestricted=True, access_rules=[making, PROJECTS])
    robot = robot_of(world, given)
    url = f"{V3}/users/{user}/application_credentials"
    for name, rules, status in (
        ("none", None, 403),
        ("empty", [], 403),
        ("wide", [{**PROJECTS, "path": "**"}], 403),
        ("part", [PROJECTS], 201),
    ):
        body = {"name": name} | ({} if rules is None else {"access_rules": rules})
        assert robot.post(url, {"application_credential": body}).status == status
