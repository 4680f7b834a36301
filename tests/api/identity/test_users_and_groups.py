"""Users and groups."""

from __future__ import annotations

import pytest
from tests.api.identity.setting import V3, found, made, own, password

USERS, GROUPS = f"{V3}/users", f"{V3}/groups"
KEYS = {"id", "name", "domain_id", "enabled", "password_expires_at", "options", "links"}


def test_a_user_from_beginning_to_end(world, admin):
    body = {"name": "eve", "password": "s3cret", "email": "e@x", "description": "d", "nick": "e"}
    answer = admin.post(USERS, {"user": body})
    assert answer.status == 201
    user = answer.json()["user"]
    assert set(user) == KEYS | {"email", "description", "nick"}
    assert b"s3cret" not in answer.content
    one = f"{USERS}/{user['id']}"
    assert admin.get(one).json()["user"] == user
    assert world.login(password("eve", "s3cret")).status == 201
    changed = admin.patch(one, {"user": {"name": "eva", "email": None, "nick": "f"}}).json()["user"]
    assert changed == {**{key: value for key, value in user.items() if key != "email"}, "name": "eva", "nick": "f"}
    assert admin.delete(one).status == 204
    assert admin.get(one).status == admin.delete(one).status == admin.patch(one, {"user": {"name": "x"}}).status == 404


def test_without_a_password_nobody_logs_in(world, admin):
    made(admin, "users", "user", {"name": "eve"})
    for secret in ("", "x"):
        identity = password("eve", "x")
        identity["password"]["user"]["password"] = secret
        assert world.login(identity).status == 401


def test_names_are_unique_within_a_domain(world, admin):
    user, domain = world.user("eve"), world.domain("d")
    assert admin.post(USERS, {"user": {"name": "eve"}}).status == 409
    assert admin.post(USERS, {"user": {"name": "eve", "domain_id": domain}}).status == 201
    assert admin.patch(f"{USERS}/{user}", {"user": {"name": "demo"}}).status == 409
    assert admin.post(USERS, {"user": {"name": "x", "domain_id": "none"}}).status == 404
    assert admin.patch(f"{USERS}/{user}", {"user": {"domain_id": domain}}).status == 400
    assert admin.patch(f"{USERS}/{user}", {"user": {"domain_id": "default"}}).status == 200


def test_users_are_filtered_and_paged(world, admin):
    domain = world.domain("d")
    world.user("eve", domain_id=domain, enabled=False)

    def names(query):
        answer = admin.get(f"{USERS}?{query}")
        assert set(answer.json()) == {"users", "links"}
        return [row["name"] for row in answer.json()["users"]]

    assert sorted(names("")) == ["admin", "demo", "eve"]
    assert names("name=eve") == names(f"domain_id={domain}") == names("enabled=0") == ["eve"]
    first = admin.get(f"{USERS}?limit=2").json()
    assert len(first["users"]) == 2
    rest = admin.get(first["links"]["next"].removeprefix("http://cloud")).json()
    assert (len(rest["users"]), rest["links"]["next"]) == (1, None)


def test_a_users_projects_and_groups(world, admin, demo):
    me = own(demo)["user"]["id"]
    group = made(admin, "groups", "group", {"name": "g"})
    assert admin.put(f"{GROUPS}/{group}/users/{me}").status == 204
    world.grant(f"projects/{world.project('by-group')}", f"groups/{group}", "reader")
    assert [row["name"] for row in demo.get(f"{USERS}/{me}/projects").json()["projects"]] == ["by-group", "demo"]
    assert [row["name"] for row in demo.get(f"{USERS}/{me}/groups").json()["groups"]] == ["g"]
    other = found(admin, "users", "admin")
    assert demo.get(f"{USERS}/{other}/projects").status == demo.get(f"{USERS}/{other}/groups").status == 403


def test_the_own_password_needs_the_old_one(world, demo):
    url = f"{USERS}/{own(demo)['user']['id']}/password"

    def change(old, new, where=url):
        return world.anonymous.post(where, {"user": {"original_password": old, "password": new}})

    wrong, unknown = change("wrong", "new"), change("wrong", "new", f"{USERS}/{'0' * 32}/password")
    assert (wrong.status, wrong.content) == (unknown.status, unknown.content)
    assert wrong.status == 401
    assert change("demo-secret", "").status == 400
    assert change("demo-secret", "new").status == 204
    assert world.login(password("demo", "new")).status == 201


def test_an_administrators_reset_outlives_a_change_of_the_own_password_at_the_same_time(
    world, admin, demo, monkeypatch
):
    """The old password was shown before the reset, the new one stored after it."""
    url = f"{USERS}/{own(demo)['user']['id']}"
    passwords = world.facade._passwords
    hashed = passwords.hash

    def hash_while_reset(text):
        monkeypatch.setattr(passwords, "hash", hashed)
        assert admin.patch(url, {"user": {"password": "by the administrator"}}).status == 200
        return hashed(text)

    monkeypatch.setattr(passwords, "hash", hash_while_reset)
    body = {"user": {"original_password": "demo-secret", "password": "by the user"}}
    assert world.anonymous.post(f"{url}/password", body).status == 401
    assert world.login(password("demo", "by the administrator")).status == 201


def test_a_group_from_beginning_to_end(admin):
    answer = admin.post(GROUPS, {"group": {"name": "g", "description": "d"}})
    assert answer.status == 201
    group = answer.json()["group"]
    assert set(group) == {"id", "name", "domain_id", "description", "links"}
    one = f"{GROUPS}/{group['id']}"
    assert admin.get(one).json()["group"] == group
    assert admin.post(GROUPS, {"group": {"name": "g"}}).status == 409
    assert admin.patch(one, {"group": {"name": "h"}}).json()["group"] == {**group, "name": "h"}
    assert admin.patch(one, {"group": {"domain_id": "other"}}).status == 400
    assert [row["name"] for row in admin.get(f"{GROUPS}?name=h").json()["groups"]] == ["h"]
    assert admin.delete(one).status == 204
    assert admin.get(one).status == admin.delete(one).status == 404


def test_members_of_a_group(world, admin):
    group, user = made(admin, "groups", "group", {"name": "g"}), world.user("eve")
    one = f"{GROUPS}/{group}/users/{user}"
    assert admin.get(one).status == admin.delete(one).status == 404
    assert admin.put(one).status == admin.put(one).status == 204
    assert admin.get(one).status == admin.request("HEAD", one).status == 204
    assert [row["name"] for row in admin.get(f"{GROUPS}/{group}/users").json()["users"]] == ["eve"]
    assert admin.put(f"{GROUPS}/{group}/users/none").status == admin.put(f"{GROUPS}/none/users/{user}").status == 404
    assert admin.delete(one).status == 204
    assert admin.get(f"{GROUPS}/{group}/users").json()["users"] == []


@pytest.mark.parametrize("noun", ["user", "group"])
def test_a_member_sees_none_but_itself(world, demo, noun):
    assert demo.get(f"{V3}/{noun}s").status == 403
    assert demo.get(f"{V3}/{noun}s/none").status == 403
    assert demo.post(f"{V3}/{noun}s", {noun: {"name": "x"}}).status == 403
    assert demo.get(f"{USERS}/{own(demo)['user']['id']}").status == 200
    assert demo.patch(f"{USERS}/{own(demo)['user']['id']}", {"user": {"name": "x"}}).status == 403
