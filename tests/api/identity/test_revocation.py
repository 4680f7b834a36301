"""Tokens ended before their time, in this process and in another one over the same database."""

from __future__ import annotations

import pytest
from tests.api.identity.setting import DEFAULT, TOKENS, V3, build, by_token, found, made, own, password


@pytest.fixture
def other(world, tmp_path):
    """A second process: same database, same keys, its own memory."""
    return build(world.database, tmp_path / "keys")


@pytest.fixture
def ended(world, other):
    """Whether a client's token is worth nothing here, nor there after the revocations were read there."""

    def check(client):
        there = other.with_token(client.headers["X-Auth-Token"])
        before = other.alive(there)
        other.facade.read_revocations()
        return before, (world.alive(client), other.alive(there))

    return check


def seen_by(world, *clients):
    """Both processes remember the tokens."""
    for client in clients:
        assert world.alive(client)
        assert (
            world.with_token(client.headers["X-Auth-Token"])
            .get(TOKENS, X_Subject_Token=client.headers["X-Auth-Token"])
            .status
            == 200
        )


GONE = (False, False)
ALIVE = (True, True)


def test_by_its_owner(world, other, ended):
    demo, second = world.client("demo"), world.client("demo")
    seen_by(other, demo, second)
    assert demo.delete(TOKENS, X_Subject_Token=demo.headers["X-Auth-Token"]).status == 204
    before, after = ended(demo)
    assert (before, after) == (True, GONE), "the other process learns of it by reading revocations"
    assert ended(second)[1] == ALIVE
    assert world.login(by_token(demo.headers["X-Auth-Token"])).status == 404


def test_ending_one_token_leaves_those_made_from_it(world):
    first = world.token(password("demo"))
    second = world.with_token(world.token(by_token(first), {"project": {"name": "demo", "domain": DEFAULT}}))
    assert world.client("admin").delete(TOKENS, X_Subject_Token=first).status == 204
    assert not world.alive(world.with_token(first))
    assert world.alive(second)


def test_by_an_administrator(world, admin, demo, ended):
    assert admin.delete(TOKENS, X_Subject_Token=demo.headers["X-Auth-Token"]).status == 204
    assert ended(demo)[1] == GONE


def change(admin, noun, id_, **fields):
    answer = admin.patch(f"{V3}/{noun}s/{id_}", {noun: fields})
    assert answer.status == 200, answer.content


def test_by_a_new_password(world, admin, demo, other, ended):
    seen_by(other, demo)
    change(admin, "user", own(demo)["user"]["id"], password="fresh")
    assert ended(demo)[1] == GONE
    assert world.login(password("demo")).status == 401
    assert world.login(password("demo", "fresh")).status == 201


def test_by_the_users_own_new_password(world, demo, ended):
    url = f"{V3}/users/{own(demo)['user']['id']}/password"
    body = {"user": {"original_password": "demo-secret", "password": "fresh"}}
    assert world.anonymous.post(url, {"user": {**body["user"], "original_password": "wrong"}}).status == 401
    assert world.alive(demo)
    assert world.anonymous.post(url, body).status == 204
    assert ended(demo)[1] == GONE
    assert world.alive(world.client("demo", secret="fresh"))


def test_by_disabling_the_user_and_enabling_does_not_bring_it_back(world, admin, demo, other, ended):
    seen_by(other, demo)
    user = own(demo)["user"]["id"]
    change(admin, "user", user, enabled=False)
    assert ended(demo)[1] == GONE
    change(admin, "user", user, enabled=True)
    assert ended(demo)[1] == GONE
    assert world.alive(world.client("demo"))


def test_by_deleting_the_user(world, admin, demo, ended):
    assert admin.delete(f"{V3}/users/{own(demo)['user']['id']}").status == 204
    assert ended(demo)[1] == GONE


def test_by_disabling_the_project_and_only_there(world, admin, demo, other, ended):
    unscoped = world.with_token(world.token(password("demo")))
    seen_by(other, demo, unscoped)
    project = own(demo)["project"]["id"]
    change(admin, "project", project, enabled=False)
    assert ended(demo)[1] == GONE
    assert ended(unscoped)[1] == ALIVE
    assert world.login(password("demo"), {"project": {"id": project}}).status == 401
    change(admin, "project", project, enabled=True)
    assert ended(demo)[1] == GONE


def test_by_deleting_the_project(world, admin, demo, ended):
    assert admin.delete(f"{V3}/projects/{own(demo)['project']['id']}").status == 204
    assert ended(demo)[1] == GONE


def test_by_disabling_the_parent(world, admin, ended):
    parent, user = world.project("parent"), world.user("eve")
    child = world.project("child", parent_id=parent)
    world.grant(f"projects/{child}", f"users/{user}", "member")
    eve = world.client("eve", {"project": {"id": child}})
    change(admin, "project", parent, enabled=False)
    assert ended(eve)[1] == GONE


def test_by_disabling_the_domain(world, admin, ended):
    domain = world.domain("d")
    eve = world.domain_user("eve", domain, "member")
    project = made(admin, "projects", "project", {"name": "p", "domain_id": domain})
    world.grant(f"projects/{project}", f"users/{own(eve)['user']['id']}", "member")
    inside = world.with_token(world.token(by_token(eve.headers["X-Auth-Token"]), {"project": {"id": project}}))
    change(admin, "domain", domain, enabled=False)
    assert ended(eve)[1] == GONE
    assert ended(inside)[1] == GONE
    change(admin, "domain", domain, enabled=True)
    assert ended(eve)[1] == GONE


def test_by_taking_the_role(world, admin, demo, other, ended):
    seen_by(other, demo)
    me = own(demo)
    one = f"{V3}/projects/{me['project']['id']}/users/{me['user']['id']}/roles/{world.role('member')}"
    assert admin.delete(one).status == 204
    assert ended(demo)[1] == GONE
    assert world.login(password("demo"), {"project": {"id": me["project"]["id"]}}).status == 401


def test_taking_one_of_two_roles_lessens_the_token(world, admin, demo):
    me = own(demo)
    where, who = f"projects/{me['project']['id']}", f"users/{me['user']['id']}"
    world.grant(where, who, "admin")
    assert demo.get(f"{V3}/users").status == 200
    assert admin.delete(f"{V3}/{where}/{who}/roles/{world.role('admin')}").status == 204
    assert demo.get(f"{V3}/users").status == 403
    assert world.alive(demo)


@pytest.mark.parametrize("how", ["member", "group", "role", "grant"])
def test_by_what_a_group_loses(world, admin, other, ended, how):
    user, project = world.user("eve"), world.project("p")
    group = made(admin, "groups", "group", {"name": "g", "domain_id": "default"})
    role = made(admin, "roles", "role", {"name": "special"})
    assert admin.put(f"{V3}/groups/{group}/users/{user}").status == 204
    assert admin.put(f"{V3}/projects/{project}/groups/{group}/roles/{role}").status == 204
    eve = world.client("eve", {"project": {"id": project}})
    seen_by(other, eve)
    url = {
        "member": f"groups/{group}/users/{user}",
        "group": f"groups/{group}",
        "role": f"roles/{role}",
        "grant": f"projects/{project}/groups/{group}/roles/{role}",
    }[how]
    assert admin.delete(f"{V3}/{url}").status == 204
    assert ended(eve)[1] == GONE


def test_old_revocations_are_forgotten_when_no_token_can_be_theirs(world, virtual_clock):
    token = world.token(password("demo"))
    world.client("admin").delete(TOKENS, X_Subject_Token=token)
    virtual_clock.advance(30 * 86400)
    world.facade.purge_revocations()
    assert not world.tokens.revocations._before
    assert world.alive(world.client("admin"))


def test_a_new_process_knows_what_was_revoked_before_it(world, tmp_path):
    demo = world.client("demo")
    demo.delete(TOKENS, X_Subject_Token=demo.headers["X-Auth-Token"])
    later = build(world.database, tmp_path / "keys")
    assert not later.alive(later.with_token(demo.headers["X-Auth-Token"]))


def test_an_event_while_a_token_is_being_checked_is_not_lost(world, admin, demo):
    """What was read before the event must not be remembered after it."""
    token = demo.headers["X-Auth-Token"]
    tokens = world.tokens
    tokens._checked.clear()
    evaluate = tokens._evaluate

    def slow(payload_token, payload):
        checked = evaluate(payload_token, payload)
        if payload_token == token:
            tokens._evaluate = evaluate
            assert admin.delete(TOKENS, X_Subject_Token=token).status == 204
        return checked

    tokens._evaluate = slow
    world.alive(demo)
    assert not world.alive(demo)
    assert found(admin, "users", "demo")
