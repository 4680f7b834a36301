"""Tokens that take neither a hash nor the database are made on the event loop, and what they are made from follows changes."""

from __future__ import annotations

import pytest
from tests.api.identity.setting import DEFAULT, V3, build, by_credential, by_token, own, password

ADMINS = {"project": {"name": "admin", "domain": DEFAULT}}


@pytest.fixture
def threads(world, monkeypatch):
    """How often a thread was asked since the last look."""
    asked = []
    submit = world.app.login_pool.submit
    monkeypatch.setattr(world.app.login_pool, "submit", lambda *work: asked.append(work) or submit(*work))

    def since():
        count = len(asked)
        asked.clear()
        return count

    return since


def credential(client, name="robot", **more):
    url = f"{V3}/users/{own(client)['user']['id']}/application_credentials"
    answer = client.post(url, {"application_credential": {"name": name, **more}})
    assert answer.status == 201, answer.content
    return answer.json()["application_credential"]


@pytest.mark.parametrize("proof", ["token", "credential"])
def test_what_is_remembered_takes_no_thread_and_no_statement(world, admin, threads, proof):
    identity = by_token(admin.headers["X-Auth-Token"]) if proof == "token" else by_credential(credential(admin))
    assert world.login(identity, ADMINS).status == 201
    threads()
    before = world.database.counters.statements
    answer = world.login(identity, ADMINS)
    assert (answer.status, threads(), world.database.counters.statements) == (201, 0, before)
    assert answer.json()["token"]["project"]["name"] == "admin"
    project = own(admin)["project"]["id"]
    assert admin.patch(f"{V3}/projects/{project}", {"project": {"description": "changed"}}).status == 200
    threads()
    assert (world.login(identity, ADMINS).status, threads()) == (201, 1), "an event makes it forget"
    assert (world.login(identity, ADMINS).status, threads()) == (201, 0)


def test_a_wrong_secret_is_refused_there_too(world, admin, threads):
    given = credential(admin)
    assert world.login(by_credential(given)).status == 201
    threads()
    assert world.login(by_credential({**given, "secret": "guessed"})).status == 401
    assert threads() == 0


def test_what_has_to_wait_is_done_on_a_thread(world, admin, threads):
    chosen = credential(admin, "chosen", secret="chosen-by-me")
    named = by_credential(credential(admin))
    del named["application_credential"]["id"]
    named["application_credential"] |= {"name": "robot", "user": {"name": "admin", "domain": DEFAULT}}
    for identity in (by_credential(chosen), named, password("admin")):
        assert world.login(identity).status == 201
        threads()
        assert (world.login(identity).status, threads()) == (201, 1), identity["methods"]


def test_a_deleted_credential_makes_no_more_tokens(world, tmp_path, admin):
    other = build(world.database, tmp_path / "keys")
    given = credential(admin)
    for process in (world, other):
        assert [process.login(by_credential(given)).status for _ in range(2)] == [201, 201]
    user = own(admin)["user"]["id"]
    assert admin.delete(f"{V3}/users/{user}/application_credentials/{given['id']}").status == 204
    assert world.login(by_credential(given)).status == 401
    other.facade.read_revocations()
    assert other.login(by_credential(given)).status == 401


def test_a_name_is_the_one_that_a_project_has_now(world, tmp_path, admin):
    other = build(world.database, tmp_path / "keys")
    first, scope = world.project("first"), {"project": {"name": "first", "domain": DEFAULT}}
    user = own(admin)["user"]["id"]
    world.grant(f"projects/{first}", f"users/{user}", "member")

    def reached(process, where=scope):
        answer = process.login(password("admin"), where)
        return answer.json()["token"]["project"]["id"] if answer.status == 201 else answer.status

    assert [reached(process) for process in (world, other, world, other)] == [first] * 4
    assert admin.patch(f"{V3}/projects/{first}", {"project": {"name": "second"}}).status == 200
    assert reached(world) == 401
    assert reached(world, {"project": {"name": "second", "domain": {"name": "Default"}}}) == first
    again = world.project("first")
    world.grant(f"projects/{again}", f"users/{user}", "member")
    other.facade.read_revocations()
    assert [reached(world), reached(other)] == [again, again]
    assert admin.patch(f"{V3}/domains/default", {"domain": {"name": "Renamed"}}).status == 200
    by_name = {"project": {"name": "first", "domain": {"name": "Default"}}}
    assert reached(world, by_name) == 401
    assert reached(world, {"project": {"name": "first", "domain": {"name": "Renamed"}}}) == again
