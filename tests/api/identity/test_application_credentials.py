"""Application credentials: made, used, bounded, gone."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from tests.api.identity.setting import DEFAULT, TOKENS, V3, by_credential, by_token, made, own

from gureum.foundation import clock

KEYS = {"id", "name", "description", "project_id", "user_id", "unrestricted", "expires_at", "roles", "links"}


def create(client, name="robot", **more):
    url = f"{V3}/users/{own(client)['user']['id']}/application_credentials"
    return client.post(url, {"application_credential": {"name": name, **more}})


def credential(client, **more):
    answer = create(client, **more)
    assert answer.status == 201, answer.content
    return answer.json()["application_credential"]


def one(client, given):
    return f"{V3}/users/{own(client)['user']['id']}/application_credentials/{given['id']}"


def test_the_secret_is_shown_once(demo):
    given = credential(demo, description="for a program")
    assert set(given) == KEYS | {"secret"}
    assert given["unrestricted"] is False
    assert given["expires_at"] is None
    shown = demo.get(one(demo, given)).json()["application_credential"]
    assert set(shown) == KEYS
    listed = demo.get(one(demo, given).rsplit("/", 1)[0]).json()
    assert listed["application_credentials"] == [shown]
    assert all(set(role) == {"id", "name", "domain_id"} for role in shown["roles"])


def test_secrets_are_not_in_the_database(world, demo):
    given = [credential(demo), credential(demo, name="b", secret="chosen-by-me")]
    with world.database.read() as tx:
        stored = tx.scalars(text("select secret_hash from application_credentials")).all()
    assert not any(item["secret"] in hashed for item in given for hashed in stored)


def test_it_opens_its_project_and_says_what_it_is(world, demo):
    given = credential(demo)
    token = world.login(by_credential(given)).json()["token"]
    assert token["project"]["id"] == own(demo)["project"]["id"]
    assert token["methods"] == ["application_credential"]
    assert token["application_credential"] == {"id": given["id"], "name": "robot", "restricted": True}
    named = {
        "methods": ["application_credential"],
        "application_credential": {"name": "robot", "secret": given["secret"]},
    }
    named["application_credential"]["user"] = {"name": "demo", "domain": DEFAULT}
    assert world.login(named).status == 201
    named["application_credential"]["user"] = {"name": "admin", "domain": DEFAULT}
    assert world.login(named).status == 401
    assert world.login(by_credential(given, secret="wrong")).status == 401
    chosen = credential(demo, name="b", secret="chosen-by-me")
    assert world.login(by_credential(chosen)).status == 201


def test_only_the_roles_that_were_given(world):
    boss = world.member("boss", "manager")
    given = credential(boss, roles=[{"name": "reader"}])
    assert [role["name"] for role in given["roles"]] == ["reader"]
    token = world.login(by_credential(given)).json()["token"]
    assert {role["name"] for role in token["roles"]} == {"reader"}
    full = world.login(by_credential(credential(boss, name="all"))).json()["token"]
    assert {role["name"] for role in full["roles"]} == {"manager", "member", "reader"}


def test_roles_that_the_token_does_not_carry_are_refused(world, demo):
    assert create(demo, roles=[{"name": "admin"}]).status == 400
    assert create(demo, roles=[{"id": world.role("manager")}]).status == 400


def test_it_never_has_more_than_its_user_has_now(world, admin, demo):
    given = credential(demo)
    token = world.token(by_credential(given))
    me = own(demo)
    where = f"{V3}/projects/{me['project']['id']}/users/{me['user']['id']}/roles/{world.role('member')}"
    assert admin.delete(where).status == 204
    assert not world.alive(world.with_token(token))
    assert world.login(by_credential(given)).status == 401


def test_it_ends_at_its_time_and_so_do_its_tokens(world, virtual_clock):
    demo = world.client("demo")
    end = clock.iso(clock.from_seconds(clock.now() + 600), "")
    given = credential(demo, expires_at=end)
    assert given["expires_at"] == end + ".000000"
    answer = world.login(by_credential(given))
    assert answer.json()["token"]["expires_at"].startswith(end)
    robot = world.with_token(answer.headers["x-subject-token"])
    virtual_clock.advance(599)
    assert world.alive(robot)
    virtual_clock.advance(2)
    assert not world.alive(robot)
    assert world.login(by_credential(given)).status == 401
    assert create(world.client("demo"), name="late", expires_at=end).status == 400


def test_deleting_it_ends_its_tokens_and_only_those(world, demo):
    given = credential(demo)
    robot = world.with_token(world.token(by_credential(given)))
    assert world.alive(robot)
    assert demo.delete(one(demo, given)).status == 204
    assert not world.alive(robot)
    assert world.alive(demo)
    assert world.login(by_credential(given)).status == 401
    assert demo.get(one(demo, given)).status == demo.delete(one(demo, given)).status == 404


def test_a_delegated_token_makes_and_deletes_no_credentials(world, demo):
    given = credential(demo)
    robot = world.with_token(world.token(by_credential(given)))
    assert create(robot, name="child").status == 403
    assert robot.delete(one(demo, given)).status == 403
    assert robot.get(one(demo, given)).status == 200


def test_an_unrestricted_one_may_and_gives_no_more_than_it_has(world):
    boss = world.member("boss", "manager")
    given = credential(boss, unrestricted=True, roles=[{"name": "member"}])
    robot = world.with_token(world.token(by_credential(given)))
    assert create(robot, name="too-much", roles=[{"name": "manager"}]).status == 400
    child = credential(robot, name="child")
    assert "manager" not in {role["name"] for role in child["roles"]}
    assert robot.delete(one(boss, child)).status == 204


@pytest.mark.parametrize(
    "scope",
    ["unscoped", {"domain": DEFAULT}, {"system": {"all": True}}, {"project": {"name": "demo", "domain": DEFAULT}}],
)
def test_a_delegated_token_stays_in_its_project(world, admin, scope):
    given = credential(admin)
    token = world.token(by_credential(given))
    assert world.login(by_token(token), scope).status == 401
    assert world.login(by_credential(given), scope).status == 401


def test_rescoping_a_delegated_token_keeps_it_delegated(world, virtual_clock):
    demo = world.client("demo")
    first = world.login(by_credential(credential(demo)))
    virtual_clock.advance(100)
    second = world.login(by_token(first.headers["x-subject-token"]))
    assert second.json()["token"]["expires_at"] == first.json()["token"]["expires_at"]
    assert second.json()["token"]["application_credential"]["restricted"] is True
    robot = world.with_token(second.headers["x-subject-token"])
    assert create(robot, name="child").status == 403


def test_two_methods_do_not_carry_a_credential_into_another_project(world, admin):
    demo = world.client("demo")
    user = own(demo)["user"]["id"]
    other = world.project("other")
    world.grant(f"projects/{other}", f"users/{user}", "member")
    elsewhere = world.token(by_token(demo.headers["X-Auth-Token"]), {"project": {"id": other}})
    given = credential(demo)
    both = {**by_token(elsewhere), **by_credential(given), "methods": ["token", "application_credential"]}
    assert world.login(both).json()["token"]["project"]["name"] == "demo"


def test_names_are_the_users_own(world, admin, demo):
    credential(demo)
    assert create(demo).status == 409
    assert create(admin).status == 201


def test_it_needs_a_project(world):
    system = world.client("admin", {"system": {"all": True}})
    assert create(system).status == 403


def test_nobody_lists_or_makes_others_credentials(world, admin, demo):
    given = credential(admin)
    theirs = one(admin, given)
    everyone = theirs.rsplit("/", 1)[0]
    assert demo.get(everyone).status == demo.get(theirs).status == demo.delete(theirs).status == 403
    assert demo.post(everyone, {"application_credential": {"name": "mine"}}).status == 403
    mine = one(demo, given)
    assert demo.get(mine).status == demo.delete(mine).status == 403
    unknown = mine.replace(given["id"], "0" * 32)
    assert demo.get(unknown).status == demo.delete(unknown).status == 404
    assert (
        admin.post(
            f"{V3}/users/{own(demo)['user']['id']}/application_credentials", {"application_credential": {"name": "x"}}
        ).status
        == 403
    )


def test_the_project_gone_the_credential_gone(world, admin):
    eve = world.member("eve")
    given = credential(eve)
    assert admin.delete(f"{V3}/projects/{own(eve)['project']['id']}").status == 204
    assert world.login(by_credential(given)).status == 401
    assert admin.get(TOKENS, X_Subject_Token=eve.headers["X-Auth-Token"]).status == 404


def test_a_domain_role_of_the_same_name_lends_nothing(world, admin, demo):
    domain = world.domain("d")
    twin = made(admin, "roles", "role", {"name": "reader", "domain_id": domain})
    assert twin not in {role["id"] for role in credential(demo)["roles"]}


@pytest.mark.parametrize(
    "bad",
    [
        {"name": ""},
        {"name": "a" * 256},
        {"name": 5},
        {"name": "a", "expires_at": "tomorrow"},
        {"name": "a", "expires_at": "2001-01-01T00:00:00"},
        {"name": "a", "unrestricted": "yes"},
        {"name": "a", "roles": "reader"},
        {"name": "a", "roles": [{"name": "none"}]},
        {"name": "a", "secret": ""},
        {"name": "a", "access_rules": [{"path": "/v2.1/servers", "method": "STEAL", "service": "compute"}]},
        {},
    ],
)
def test_bad_bodies_are_refused_and_nothing_is_written(world, demo, bad):
    url = f"{V3}/users/{own(demo)['user']['id']}/application_credentials"
    before = world.commits()
    assert demo.post(url, {"application_credential": bad}).status == 400
    assert world.commits() == before
