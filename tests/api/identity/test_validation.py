"""Tokens checked: whose, in which form, and for how long."""

from __future__ import annotations

import pytest
from tests.api.identity.setting import TOKENS, own, password


def test_a_token_shows_itself_as_it_was_made(world):
    answer = world.login(password("demo"), {"project": {"name": "demo", "domain": {"id": "default"}}})
    token = answer.headers["x-subject-token"]
    shown = world.with_token(token).get(TOKENS, X_Subject_Token=token)
    assert shown.status == 200
    assert shown.json() == answer.json()
    assert shown.headers["x-subject-token"] == token


def test_head_says_the_same_without_a_body(world, demo):
    token = demo.headers["X-Auth-Token"]
    answer = demo.request("HEAD", TOKENS, X_Subject_Token=token)
    assert (answer.status, answer.content) == (200, b"")
    assert demo.request("HEAD", TOKENS, X_Subject_Token="garbage").status == 404


def test_without_the_catalog(demo):
    token = demo.headers["X-Auth-Token"]
    assert "catalog" not in demo.get(f"{TOKENS}?nocatalog", X_Subject_Token=token).json()["token"]


def test_others_tokens_are_for_admins_and_services_alone(world, admin, demo):
    mine, theirs = demo.headers["X-Auth-Token"], admin.headers["X-Auth-Token"]
    assert demo.get(TOKENS, X_Subject_Token=theirs).status == 403
    assert demo.delete(TOKENS, X_Subject_Token=theirs).status == 403
    assert admin.get(TOKENS, X_Subject_Token=mine).json()["token"]["user"]["name"] == "demo"
    service = world.member("nova", "service")
    assert service.get(TOKENS, X_Subject_Token=mine).status == 200
    assert service.delete(TOKENS, X_Subject_Token=mine).status == 403


@pytest.mark.parametrize("garbage", ["garbage", "gAAAAA", "a" * 5000, "\xff\xfe", "gAAAAABl" + "A" * 200])
def test_garbage_is_not_found_as_a_subject_and_refused_as_a_token(world, admin, garbage):
    assert admin.get(TOKENS, X_Subject_Token=garbage).status == 404
    assert admin.delete(TOKENS, X_Subject_Token=garbage).status == 404
    answer = world.with_token(garbage).get(TOKENS, X_Subject_Token=garbage)
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Keystone uri=")


def test_a_token_cut_or_changed_is_nothing(world, admin, demo):
    token = demo.headers["X-Auth-Token"]
    middle = len(token) // 2
    other = "A" if token[middle] != "A" else "B"
    for forged in (token[:-4], token[:middle] + other + token[middle + 1 :], token + token):
        assert admin.get(TOKENS, X_Subject_Token=forged).status == 404


def test_the_subject_must_be_named(admin):
    assert admin.get(TOKENS).status == 400
    assert admin.delete(TOKENS).status == 400


def test_a_token_ends_with_its_lifetime(world, virtual_clock):
    token = world.token(password("demo"))
    virtual_clock.advance(3599)
    assert world.alive(world.with_token(token))
    virtual_clock.advance(1)
    assert not world.alive(world.with_token(token))
    admin = world.client("admin")
    assert admin.get(TOKENS, X_Subject_Token=token).status == 404


def test_an_expired_token_is_shown_to_those_who_ask_for_it_but_opens_nothing(world, virtual_clock):
    token = world.token(password("demo"))
    virtual_clock.advance(4000)
    admin = world.client("admin")
    assert admin.get(f"{TOKENS}?allow_expired=1", X_Subject_Token=token).status == 200
    assert admin.get(f"{TOKENS}?allow_expired=0", X_Subject_Token=token).status == 404
    assert admin.get(TOKENS, X_Subject_Token=token).status == 404
    assert not world.alive(world.with_token(token))


def test_a_revoked_token_is_not_shown_however_long_ago_it_expired(world, virtual_clock):
    token = world.token(password("demo"))
    assert world.client("admin").delete(TOKENS, X_Subject_Token=token).status == 204
    for hours in (2, 24, 72):
        virtual_clock.advance(hours * 3600)
        world.facade.purge_revocations()
        admin = world.client("admin")
        assert admin.get(f"{TOKENS}?allow_expired=1", X_Subject_Token=token).status == 404


def test_roles_of_the_moment_not_of_the_making(world, admin, demo):
    project = own(demo)["project"]["id"]
    world.grant(f"projects/{project}", f"users/{own(demo)['user']['id']}", "manager")
    assert {role["name"] for role in own(demo)["roles"]} == {"manager", "member", "reader"}
