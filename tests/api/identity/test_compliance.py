"""Rules for accounts: lock-out, a password's life, history, age and strength, inactivity; and who is exempt."""

from __future__ import annotations

import pytest
from tests.api.identity.setting import V3, bootstrapped, found, made, password

from gureum.foundation import clock
from gureum.services.identity.config import IdentityConfig

DAY = 86_400
USERS = f"{V3}/users"


@pytest.fixture
def ruled(database, tmp_path, virtual_clock):
    """A world under the rules given."""

    def make(**rules):
        return bootstrapped(database, tmp_path, IdentityConfig(**rules))

    return make


def change(world, user, old, new):
    return world.anonymous.post(
        f"{USERS}/{user}/password", {"user": {"original_password": old, "password": new}}
    ).status


def options(world, user, **values):
    answer = world.client().patch(f"{USERS}/{user}", {"user": {"options": values}})
    assert answer.status == 200, answer.content
    return answer.json()["user"]["options"]


def tries(world, user, secret):
    return world.login(password(user, secret)).status


def test_cve_2021_38155_lockout_reveals_nothing_and_ends(ruled, virtual_clock):
    world = ruled(lockout_failure_attempts=3, lockout_duration_s=600)
    user = world.user("eve")
    wrong = [world.login(password("eve", "wrong")) for _ in range(3)]
    locked = [world.login(password("eve")), world.login(password("eve", "wrong"))]
    unknown = world.login(password("nobody", "wrong"))
    assert {answer.status for answer in (*wrong, *locked, unknown)} == {401}
    assert len({answer.content for answer in (*wrong, *locked, unknown)}) == 1
    assert change(world, user, "eve-secret", "new") == 401
    virtual_clock.advance(599)
    assert tries(world, "eve", "") == 401
    virtual_clock.advance(2)
    assert tries(world, "eve", "") == 201
    assert tries(world, "eve", "wrong") == 401
    assert tries(world, "eve", "") == 201


def test_a_right_password_starts_the_count_anew(ruled):
    world = ruled(lockout_failure_attempts=2)
    world.user("eve")
    for _ in range(3):
        assert tries(world, "eve", "wrong") == 401
        assert tries(world, "eve", "") == 201


def test_changing_a_password_counts_failures_too(ruled):
    world = ruled(lockout_failure_attempts=2)
    user = world.user("eve")
    assert [change(world, user, "wrong", "new") for _ in range(2)] == [401, 401]
    assert tries(world, "eve", "") == 401


@pytest.mark.parametrize("mend", [{"enabled": True}, {"password": "eve-secret"}])
def test_a_lockout_without_end_is_ended_by_an_administrator(ruled, virtual_clock, mend):
    world = ruled(lockout_failure_attempts=1, lockout_duration_s=0)
    user = world.user("eve")
    assert tries(world, "eve", "wrong") == 401
    virtual_clock.advance(365 * DAY)
    assert tries(world, "eve", "") == 401
    assert world.client().patch(f"{USERS}/{user}", {"user": mend}).status == 200
    assert tries(world, "eve", "") == 201


def test_users_that_are_never_locked_out(ruled):
    world = ruled(lockout_failure_attempts=1)
    options(world, world.user("service"), ignore_lockout_failure_attempts=True)
    assert tries(world, "service", "wrong") == 401
    assert tries(world, "service", "") == 201


def test_without_rules_nothing_is_written_on_failure(ruled):
    world = ruled(lockout_failure_attempts=0)
    before = world.commits()
    assert tries(world, "demo", "wrong") == 401
    assert world.commits() == before


def test_a_passwords_life(ruled, virtual_clock):
    world = ruled(password_expires_days=30)
    user = world.user("eve")
    free = world.user("free", options={"ignore_password_expiry": True})
    admin = world.client()
    end = clock.iso_micro(clock.from_seconds(clock.now() + 30 * DAY), "")
    assert admin.get(f"{USERS}/{user}").json()["user"]["password_expires_at"] == end
    assert admin.get(f"{USERS}/{free}").json()["user"]["password_expires_at"] is None
    assert world.login(password("eve")).json()["token"]["user"]["password_expires_at"] == end
    virtual_clock.advance(30 * DAY)
    answer = world.login(password("eve"))
    assert answer.status == 401
    assert user in answer.json()["error"]["message"]
    assert b"expired" not in world.login(password("eve", "wrong")).content
    assert tries(world, "free", "") == 201
    assert change(world, user, "eve-secret", "next") == 204
    assert tries(world, "eve", "next") == 201
    options(world, user, ignore_password_expiry=True)
    virtual_clock.advance(90 * DAY)
    assert tries(world, "eve", "next") == 201


def test_a_password_that_an_administrator_set_is_changed_first(ruled):
    world = ruled(change_password_upon_first_use=True)
    user = world.user("eve")
    assert tries(world, "eve", "") == 401
    assert change(world, user, "eve-secret", "mine") == 204
    assert tries(world, "eve", "mine") == 201
    assert world.client().patch(f"{USERS}/{user}", {"user": {"password": "reset"}}).status == 200
    assert tries(world, "eve", "reset") == 401
    exempt = {"ignore_change_password_upon_first_use": True}
    world.user("free", options=exempt)
    assert tries(world, "free", "") == 201


def test_history(ruled):
    world = ruled(unique_last_password_count=3)
    user = world.user("eve", password="one")
    assert change(world, user, "one", "one") == 400
    assert change(world, user, "one", "two") == 204
    assert change(world, user, "two", "one") == 400
    assert change(world, user, "two", "three") == 204
    assert [change(world, user, "three", old) for old in ("one", "two", "three")] == [400, 400, 400]
    assert change(world, user, "three", "four") == 204
    assert change(world, user, "four", "one") == 204
    assert tries(world, "eve", "one") == 201
    with world.database.read() as tx:
        from sqlalchemy import text

        assert tx.scalar(text("select count(*) from past_passwords")) == 2


def test_a_password_is_kept_for_a_while(ruled, virtual_clock):
    world = ruled(minimum_password_age_days=2)
    user = world.user("eve")
    assert change(world, user, "eve-secret", "two") == 204
    assert change(world, user, "two", "three") == 400
    virtual_clock.advance(2 * DAY - 1)
    assert change(world, user, "two", "three") == 400
    virtual_clock.advance(1)
    assert change(world, user, "two", "three") == 204
    assert world.client().patch(f"{USERS}/{user}", {"user": {"password": "reset"}}).status == 200
    assert change(world, user, "reset", "four") == 204


def test_strength(ruled):
    world = ruled(password_regex=r"^(?=.*\d)(?=.*[a-z]).{7,}$", password_regex_description="7 with a digit")
    admin = world.client()
    refused = admin.post(USERS, {"user": {"name": "eve", "password": "short1"}})
    assert refused.status == 400
    assert "7 with a digit" in refused.json()["error"]["message"]
    user = made(admin, "users", "user", {"name": "eve", "password": "longer1"})
    assert admin.patch(f"{USERS}/{user}", {"user": {"password": "weak"}}).status == 400
    assert change(world, user, "longer1", "weak") == 400
    assert change(world, user, "longer1", "another2") == 204


def test_a_locked_password(world):
    user = world.user("eve")
    assert options(world, user, lock_password=True) == {"lock_password": True}
    assert change(world, user, "eve-secret", "mine") == 400
    assert options(world, user, lock_password=None) == {}
    assert change(world, user, "eve-secret", "mine") == 204


def test_who_sleeps_too_long_is_disabled(ruled, virtual_clock):
    world = ruled(disable_user_account_days_inactive=10)
    user = world.user("eve")
    options(world, world.user("free"), ignore_user_inactivity=True)
    options(world, found(world.client(), "users", "admin"), ignore_user_inactivity=True)
    for _ in range(3):
        virtual_clock.advance(9 * DAY)
        assert tries(world, "eve", "") == 201
    virtual_clock.advance(10 * DAY)
    assert tries(world, "eve", "") == 401
    admin = world.client()
    assert admin.get(f"{USERS}/{user}").json()["user"]["enabled"] is False
    assert tries(world, "free", "") == 201
    assert admin.patch(f"{USERS}/{user}", {"user": {"enabled": True}}).json()["user"]["enabled"] is True
    assert tries(world, "eve", "") == 201


def test_users_by_the_end_of_their_password(ruled):
    world = ruled(password_expires_days=30)
    group = made(world.client(), "groups", "group", {"name": "g"})
    user = world.user("eve")
    world.user("free", options={"ignore_password_expiry": True})
    admin = world.client()
    assert admin.put(f"{V3}/groups/{group}/users/{user}").status == 204
    end = admin.get(f"{USERS}/{user}").json()["user"]["password_expires_at"]

    def names(query, where="users"):
        answer = admin.get(f"{V3}/{where}?{query}")
        assert answer.status == 200, answer.content
        return {row["name"] for row in answer.json()["users"]}

    assert names(f"password_expires_at=eq:{end}Z") >= {"eve"}
    assert names(f"password_expires_at=gt:{end}Z") == set()
    assert "eve" in names(f"password_expires_at=lte:{end}Z")
    assert names(f"password_expires_at=lt:{end}Z&password_expires_at=gt:{end}Z") == set()
    assert names(f"password_expires_at=gte:{end}Z", f"groups/{group}/users") == {"eve"}
    for bad in ("soon", "lt:soon", "near:2026-01-01T00:00:00Z"):
        assert admin.get(f"{USERS}?password_expires_at={bad}").status == 400


@pytest.mark.parametrize(
    "bad",
    [
        {"nothing": True},
        {"lock_password": "yes"},
        {"multi_factor_auth_rules": "password"},
        {"multi_factor_auth_rules": [["password", 5]]},
        {"ignore_password_expiry": 1},
    ],
)
def test_options_are_a_closed_list(world, admin, bad):
    before = world.commits()
    assert admin.post(USERS, {"user": {"name": "eve", "options": bad}}).status == 400
    assert admin.post(f"{V3}/projects", {"project": {"name": "p", "options": {"nothing": True}}}).status == 400
    assert admin.post(f"{V3}/roles", {"role": {"name": "r", "options": {"immutable": "no"}}}).status == 400
    assert world.commits() == before
