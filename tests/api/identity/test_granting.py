"""Every way to a token is asked the same questions: methods, lock-out, work for a wrong name, limits of a delegation."""

from __future__ import annotations

import json

import pytest
from tests.api.identity.setting import DEFAULT, V3, bootstrapped, by_credential, by_token, own, password
from tests.api.identity.test_application_credentials import credential
from tests.api.identity.test_client_credentials import ask
from tests.api.identity.test_ec2 import EC2, S3, key, keys_of, signed_2, signed_s3, stamp
from tests.api.identity.test_multi_factor import BOTH, Eve

from gureum.foundation import clock
from gureum.services.identity.config import IdentityConfig
from gureum.services.identity.credentials.api import access_digest


def test_methods_that_are_missing_are_asked_for_on_every_way(world, virtual_clock):
    """401 by OAuth 2.0, EC2 and S3, as at /v3/auth/tokens; each may be named in a rule of its own."""
    eve, service = Eve(world), world.member("swift", "service")
    robot, keys = credential(eve.client), key(eve.client)
    ways = {
        "application_credential": [
            lambda: world.login(by_credential(robot)).status,
            lambda: ask(world, basic=(robot["id"], robot["secret"])).status,
        ],
        "ec2credential": [
            lambda: service.post(EC2, signed_2(keys, stamp())).status,
            lambda: service.post(S3, signed_s3(keys)).status,
        ],
    }
    eve.options(multi_factor_auth_rules=BOTH)
    assert [[way() for way in group] for group in ways.values()] == [[401, 401], [401, 401]]
    for method, group in ways.items():
        virtual_clock.advance(1)
        eve.options(multi_factor_auth_rules=[*BOTH, [method]])
        assert [way() in (200, 201) for way in group] == [True, True], method


def test_pass_codes_cannot_be_guessed_with_a_known_password(database, tmp_path, virtual_clock):
    """A right first factor, shown again and again, does not start the count of wrong second ones anew."""
    eve = Eve(bootstrapped(database, tmp_path, IdentityConfig(lockout_failure_attempts=3)), BOTH)
    for _ in range(3):
        receipt = eve.login(password("eve")).headers["openstack-auth-receipt"]
        assert eve.login(eve.totp("000000"), receipt).status == 401
    answer = eve.login(eve.both(eve.now()))
    assert answer.status == 401
    assert "openstack-auth-receipt" not in answer.headers


def test_wrong_secrets_of_all_methods_count_together(database, tmp_path, virtual_clock):
    eve = Eve(bootstrapped(database, tmp_path, IdentityConfig(lockout_failure_attempts=3, lockout_duration_s=60)))
    chosen = credential(eve.client, name="chosen", secret="a chosen one")
    made = credential(eve.client, name="made")
    assert eve.login(password("eve", "wrong")).status == 401
    assert eve.login(eve.totp("000000")).status == 401
    assert eve.login(by_credential(chosen, secret="wrong")).status == 401
    assert eve.login(password("eve")).status == eve.login(eve.totp(eve.now())).status == 401
    assert eve.login(by_credential(chosen)).status == 401
    assert eve.login(by_credential(made)).status == 201, "a made secret cannot be guessed, nor locked"
    virtual_clock.advance(61)
    assert eve.login(by_credential(chosen)).status == 201
    assert [eve.login(by_credential(made, secret="wrong")).status for _ in range(4)] == [401] * 4
    assert eve.login(password("eve")).status == 201


def test_a_lock_out_is_on_by_default(world, virtual_clock):
    eve = Eve(world)
    assert {eve.login(eve.totp("000000")).status for _ in range(10)} == {401}
    assert eve.login(eve.totp(eve.now())).status == 401
    virtual_clock.advance(301)
    assert eve.login(eve.totp(eve.now())).status == 201


class Hashes:
    """Counts slow hashes."""

    def __init__(self, monkeypatch, passwords):
        self.count, checked = 0, passwords._checked

        def counted(*arguments):
            self.count += 1
            return checked(*arguments)

        monkeypatch.setattr(passwords, "_checked", counted)

    def during(self, action):
        before = self.count
        action()
        return self.count - before


def test_a_refused_name_of_an_application_credential_costs_one_hash_whatever_the_reason(world, demo, monkeypatch):
    """The name, the user and the kind of the secret cannot be told from the time of a refusal."""
    made = credential(demo, name="made")
    credential(demo, name="chosen", secret="a chosen one")
    hashes = Hashes(monkeypatch, world.facade._passwords)
    world.login(password("nobody"))  # the hash that no secret fits is made once

    def named(name, user="demo"):
        who = {"name": name, "user": {"name": user, "domain": DEFAULT}, "secret": "wrong"}
        return {"methods": ["application_credential"], "application_credential": who}

    refused = [*(named(name) for name in ("made", "chosen", "unknown")), named("made", "nobody")]
    answers = []
    assert [hashes.during(lambda one=one: answers.append(world.login(one))) for one in refused] == [1] * len(refused)
    assert {(answer.status, answer.content) for answer in answers} == {(401, answers[0].content)}
    assert hashes.during(lambda: world.token(by_credential(made))) == 0


def test_a_refusal_takes_one_commit_whatever_the_reason(world, demo):
    """Unknown, wrong, locked and disabled: a commit more for one of them would tell which users there are."""
    eve = Eve(world)
    credential(demo, name="chosen", secret="a chosen one")
    credential(demo, name="made")
    off = world.user("off", enabled=False)
    named = {"user": {"name": "demo", "domain": DEFAULT}, "secret": "wrong"}
    refused = {
        "unknown user": password("nobody"),
        "wrong password": password("eve", "wrong"),
        "disabled": password("off"),
        "wrong pass code": eve.totp("000000"),
        "pass code of a user without one": eve.totp("000000", id=off),
        "pass code of nobody": eve.totp("000000", id="0" * 32),
        **{
            name: {"methods": ["application_credential"], "application_credential": {"name": name, **named}}
            for name in ("chosen", "made", "unknown")
        },
    }
    for reason, identity in refused.items():
        before = world.commits()
        assert eve.login(identity).status == 401
        assert world.commits() == before + 1, reason
    for _ in range(10):
        eve.login(password("eve", "wrong"))
    before = world.commits()
    assert eve.login(password("eve")).status == 401
    assert world.commits() == before + 1, "locked out"


def test_a_token_of_an_ec2_key_stays_in_the_keys_project(world, demo):
    service, other = world.member("swift", "service"), world.project("other")
    world.grant(f"projects/{other}", f"users/{own(demo)['user']['id']}", "member")
    token = service.post(EC2, signed_2(key(demo), stamp())).headers["x-subject-token"]
    assert world.login(by_token(token), {"project": {"id": other}}).status == 401
    assert world.login(by_token(token), "unscoped").status == 401
    again = world.login(by_token(token))
    assert again.json()["token"]["project"]["id"] == own(demo)["project"]["id"]
    assert world.login(by_token(again.headers["x-subject-token"]), {"project": {"id": other}}).status == 401


@pytest.mark.parametrize("roles", [[{"name": "member", "domain_id": "x"}], [{}], [{"name": "member", "id": "x"}]])
def test_roles_of_an_application_credential_are_named_by_id_or_name(demo, roles):
    mine = f"{V3}/users/{own(demo)['user']['id']}/application_credentials"
    assert demo.post(mine, {"application_credential": {"name": "a", "roles": roles}}).status == 400
    rule = {"service": "compute", "method": "GET", "path": "/v2.1/servers", "verb": "x"}
    assert demo.post(mine, {"application_credential": {"name": "a", "access_rules": [rule]}}).status == 400


@pytest.mark.parametrize("unrestricted", [False, True])
def test_a_delegated_token_reads_no_secret_of_its_owner(world, demo, unrestricted):
    """A narrowed token that reads an EC2 key would sign with all the roles of its owner."""
    given = key(demo)
    roles = [{"name": "reader"}]
    robot = world.with_token(world.token(by_credential(credential(demo, roles=roles, unrestricted=unrestricted))))
    every = f"{V3}/credentials"
    (stored,) = demo.get(every).json()["credentials"]
    for path in (keys_of(demo), f"{keys_of(demo)}/{given['access']}", every, f"{every}/{stored['id']}"):
        answer = robot.get(path)
        assert answer.status == 403, path
        assert given["secret"] not in answer.content.decode()


def test_an_application_credential_makes_none_that_outlives_it(world, demo):
    soon = clock.iso(clock.from_seconds(clock.now() + 600))
    robot = world.with_token(world.token(by_credential(credential(demo, unrestricted=True, expires_at=soon))))
    mine = f"{V3}/users/{own(demo)['user']['id']}/application_credentials"

    def make(name, **more):
        return robot.post(mine, {"application_credential": {"name": name, **more}})

    later = clock.iso(clock.from_seconds(clock.now() + 1200))
    assert make("later", expires_at=later).status == 403
    ends = make("same").json()["application_credential"]["expires_at"]
    assert ends == demo.get(mine).json()["application_credentials"][0]["expires_at"]
    assert ends is not None


@pytest.mark.parametrize("change", ["access", "trust_id", "app_cred_id", "access_token_id", "access_id"])
def test_what_an_ec2_key_is_bound_to_is_for_life(demo, change):
    given = key(demo)
    (stored,) = demo.get(f"{V3}/credentials").json()["credentials"]
    one = f"{V3}/credentials/{stored['id']}"
    blob = json.loads(stored["blob"])
    answer = demo.patch(one, {"credential": {"blob": json.dumps({**blob, change: "other"})}})
    assert answer.status == 400
    assert demo.get(one).json()["credential"] == stored
    assert demo.delete(f"{keys_of(demo)}/{given['access']}").status == 204


def test_an_ec2_key_is_replaced_as_a_pair_that_signs_and_is_deleted(world, demo):
    service, given, other = world.member("swift", "service"), key(demo), key(demo)
    one = f"{V3}/credentials/{access_digest(given['access'])}"
    pair = {"access": "a" * 32, "secret": "b" * 32}
    taken = {**pair, "access": other["access"]}
    assert demo.patch(one, {"credential": {"blob": json.dumps(taken)}}).status == 409
    answer = demo.patch(one, {"credential": {"blob": json.dumps(pair)}})
    assert (answer.status, json.loads(answer.json()["credential"]["blob"])) == (200, pair)
    assert service.post(EC2, signed_2(pair, stamp())).status == 200
    assert service.post(EC2, signed_2(given, stamp())).status == 401
    assert demo.get(f"{keys_of(demo)}/{given['access']}").status == 404
    shown = {row["access"] for row in demo.get(keys_of(demo)).json()["credentials"]}
    assert shown == {pair["access"], other["access"]}
    assert demo.delete(f"{keys_of(demo)}/{pair['access']}").status == 204


def test_a_key_that_says_it_is_bound_signs_nothing(world, demo):
    service, project = world.member("swift", "service"), own(demo)["project"]["id"]
    given = {"access": "a" * 32, "secret": "b" * 32}
    body = {"type": "ec2", "project_id": project, "blob": json.dumps({**given, "trust_id": "c" * 32})}
    assert demo.post(f"{V3}/credentials", {"credential": body}).status == 201
    assert service.post(EC2, signed_2(given, stamp())).status == 401
