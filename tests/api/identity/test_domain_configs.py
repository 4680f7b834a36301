"""Domain configuration: whole, groups, options, defaults; secrets that are never shown."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from tests.api.identity.setting import V3, bootstrapped

from gureum.services.identity.config import IdentityConfig

CONFIG = {
    "identity": {"driver": "ldap"},
    "ldap": {"url": "ldap://there", "user_tree_dn": "ou=Users,dc=root,dc=org", "password": "very-secret"},
}
SHOWN = {"identity": {"driver": "ldap"}, "ldap": {"url": "ldap://there", "user_tree_dn": "ou=Users,dc=root,dc=org"}}


@pytest.fixture
def at(world, admin):
    url = f"{V3}/domains/{world.domain('d')}/config"
    answer = admin.put(url, {"config": CONFIG})
    assert (answer.status, answer.json()) == (201, {"config": SHOWN})
    return url


def test_whole_groups_and_options(admin, at):
    assert admin.get(at).json()["config"] == SHOWN
    assert admin.request("HEAD", at).status == 200
    assert admin.get(f"{at}/ldap").json()["config"] == {"ldap": SHOWN["ldap"]}
    assert admin.get(f"{at}/ldap/url").json()["config"] == {"url": "ldap://there"}
    for missing in ("ldap/password", "ldap/suffix", "identity/list_limit"):
        assert admin.get(f"{at}/{missing}").status == 404
    assert admin.get(f"{at}/token").status == 403
    assert admin.put(at, {"config": {"identity": {"driver": "sql"}}}).status == 200
    assert admin.get(at).json()["config"] == {"identity": {"driver": "sql"}}


def test_changes(admin, at):
    changed = admin.patch(at, {"config": {"ldap": {"url": "ldap://here"}, "identity": {"list_limit": 5}}})
    wanted = {
        "identity": {"driver": "ldap", "list_limit": 5},
        "ldap": {"url": "ldap://here", "user_tree_dn": SHOWN["ldap"]["user_tree_dn"]},
    }
    assert changed.json()["config"] == wanted
    wanted["identity"]["driver"] = "new"
    assert admin.patch(f"{at}/identity", {"config": {"identity": {"driver": "new"}}}).json()["config"] == wanted
    wanted["identity"]["driver"] = "newer"
    assert admin.patch(f"{at}/identity/driver", {"config": {"driver": "newer"}}).json()["config"] == wanted
    assert admin.patch(f"{at}/ldap/suffix", {"config": {"suffix": "x"}}).status == 404
    assert admin.patch(f"{at}/ldap", {"config": {"identity": {"driver": "x"}}}).status == 403
    assert admin.patch(f"{at}/ldap/url", {"config": {"user": "x"}}).status == 403
    assert admin.get(at).json()["config"] == wanted


def test_deletion(admin, at):
    assert admin.delete(f"{at}/ldap/url").status == 204
    assert admin.get(f"{at}/ldap").json()["config"]["ldap"] == {"user_tree_dn": SHOWN["ldap"]["user_tree_dn"]}
    assert admin.delete(f"{at}/ldap/url").status == 404
    assert admin.delete(f"{at}/ldap").status == 204
    assert admin.get(f"{at}/ldap").status == admin.delete(f"{at}/ldap").status == 404
    assert admin.delete(at).status == 204
    assert admin.get(at).status == admin.delete(at).status == admin.patch(at, {"config": CONFIG}).status == 404


def test_secrets_are_sealed_and_kept(world, admin, at):
    assert admin.patch(at, {"config": {"ldap": {"url": "ldap://here"}}}).status == 200
    with world.database.read() as tx:
        (row,) = tx.execute(text("select settings, sealed from domain_configs")).all()
    assert "very-secret" not in str(row)
    assert row.sealed
    assert admin.patch(f"{at}/ldap/password", {"config": {"password": "new-secret"}}).status == 200


@pytest.mark.parametrize(
    ("config", "status"),
    [
        ({}, 403),
        ({"token": {"provider": "x"}}, 403),
        ({"ldap": {"nothing": 1}}, 403),
        ({"ldap": {}}, 403),
        ({"ldap": "url"}, 403),
        ({"ldap": {"url": "x" * 20_000}}, 403),
        ("ldap", 400),
    ],
)
def test_what_is_no_configuration(world, admin, config, status):
    before = world.commits()
    assert admin.put(f"{V3}/domains/default/config", {"config": config}).status == status
    assert admin.put(f"{V3}/domains/none/config", {"config": CONFIG}).status == 404
    assert world.commits() == before


def test_defaults(admin, demo):
    url = f"{V3}/domains/config"
    whole = admin.get(f"{url}/default").json()["config"]
    assert set(whole) == {"identity", "ldap"}
    for group, values in whole.items():
        assert admin.get(f"{url}/{group}/default").json()["config"] == {group: values}
        for option, value in values.items():
            assert admin.get(f"{url}/{group}/{option}/default").json()["config"] == {option: value}
    for path in ("token/default", "ldap/nothing/default", "ldap/password/default"):
        assert admin.get(f"{url}/{path}").status == 403
    assert demo.get(f"{url}/default").status == 403


def test_a_member_neither_sees_nor_changes(demo, at):
    assert demo.get(at).status == demo.delete(at).status == demo.put(at, {"config": CONFIG}).status == 403


def test_everybody_may_read_the_rules_for_passwords(database, tmp_path):
    world = bootstrapped(database, tmp_path, IdentityConfig(password_regex="^.{7,}$", password_regex_description="7"))
    demo, url = world.client("demo"), f"{V3}/domains/default/config/security_compliance"
    rules = {"password_regex": "^.{7,}$", "password_regex_description": "7"}
    assert demo.get(url).json()["config"] == {"security_compliance": rules}
    assert demo.get(f"{url}/password_regex").json()["config"] == {"password_regex": "^.{7,}$"}
    assert demo.get(f"{url}/lockout_failure_attempts").status == 403
    assert demo.get(url.replace("default", world.domain("d"), 1)).status == 403
