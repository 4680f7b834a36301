"""Pass codes, rules of several methods, and receipts for the first of them."""

from __future__ import annotations

import base64

import pytest
from tests.api.identity.setting import DEFAULT, TOKENS, V3, bootstrapped, by_credential, by_token, own, password
from tests.api.identity.test_application_credentials import credential

from gureum.foundation import clock
from gureum.services.identity.config import IdentityConfig
from gureum.services.identity.users.totp import code, secret_of

SECRET = b"12345678901234567890"
BOTH = [["password", "totp"]]


@pytest.mark.parametrize(
    ("moment", "digits"),
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (20000000000, "353130")],
)
def test_codes_are_those_of_rfc_6238(moment, digits):
    assert code(SECRET, moment // 30) == digits


def test_secrets_with_and_without_padding():
    text = base64.b32encode(b"abc").decode()
    assert secret_of(text) == secret_of(text.rstrip("=").lower()) == b"abc"
    assert secret_of("1!") is None


class Eve:
    def __init__(self, world, rules=None):
        self.world = world
        self.client = world.member("eve")
        self.id = own(self.client)["user"]["id"]
        blob = base64.b32encode(SECRET).decode()
        body = {"type": "totp", "blob": blob, "user_id": self.id}
        assert world.client().post(f"{V3}/credentials", {"credential": body}).status == 201
        if rules:
            self.options(multi_factor_auth_rules=rules)

    def options(self, **values):
        answer = self.world.client().patch(f"{V3}/users/{self.id}", {"user": {"options": values}})
        assert answer.status == 200, answer.content

    def now(self, ago=0):
        return code(SECRET, int(clock.now()) // 30 - ago)

    def totp(self, passcode, **who):
        who = who or {"id": self.id}
        return {"methods": ["totp"], "totp": {"user": {**who, "passcode": passcode}}}

    def both(self, passcode):
        return {**password("eve"), **self.totp(passcode), "methods": ["password", "totp"]}

    def login(self, identity, receipt=None):
        headers = {"Openstack_Auth_Receipt": receipt} if receipt else {}
        return self.world.anonymous.post(TOKENS, {"auth": {"identity": identity}}, **headers)


@pytest.fixture
def eve(world, virtual_clock):
    return Eve(world)


def test_a_pass_code_lets_in_once(eve, virtual_clock):
    answer = eve.login(eve.totp(eve.now()))
    assert answer.status == 201
    assert answer.json()["token"]["methods"] == ["totp"]
    assert eve.login(eve.totp(eve.now())).status == 401
    virtual_clock.advance(30)
    assert eve.login(eve.totp(eve.now(), name="eve", domain=DEFAULT)).status == 201
    virtual_clock.advance(60)
    assert eve.login(eve.totp(eve.now(ago=2))).status == 401
    assert eve.login(eve.totp(eve.now(ago=1))).status == 201
    assert eve.login(eve.totp(eve.now(ago=1))).status == 401


@pytest.mark.parametrize("passcode", ["", "000000", "abcdef", "٣٤٥٦٧٨", "1" * 200])
def test_what_is_no_pass_code(eve, passcode):
    assert eve.login(eve.totp(passcode)).status == 401
    assert eve.login(eve.totp(eve.now(), id="0" * 32)).status == 401


def test_wrong_pass_codes_lock_out(database, tmp_path, virtual_clock):
    eve = Eve(bootstrapped(database, tmp_path, IdentityConfig(lockout_failure_attempts=2)))
    assert [eve.login(eve.totp("x")).status for _ in range(2)] == [401, 401]
    assert eve.login(eve.totp(eve.now())).status == 401
    assert eve.login(password("eve")).status == 401


def test_pass_code_that_a_lock_out_refused_lets_in_when_it_is_over(database, tmp_path, virtual_clock):
    rules = IdentityConfig(lockout_failure_attempts=2, lockout_duration_s=10)
    eve = Eve(bootstrapped(database, tmp_path, rules))
    for _ in range(2):
        eve.login(eve.totp("x"))
    passcode = eve.now()
    assert eve.login(eve.totp(passcode)).status == 401
    virtual_clock.advance(11)
    assert eve.login(eve.totp(passcode)).status == 201
    assert eve.login(eve.totp(passcode)).status == 401


def test_pass_code_of_a_disabled_user_is_not_used_up(eve, world):
    passcode = eve.now()
    for enabled, status in ((False, 401), (True, 201)):
        assert world.client().patch(f"{V3}/users/{eve.id}", {"user": {"enabled": enabled}}).status == 200
        assert eve.login(eve.totp(passcode)).status == status


def test_a_receipt_for_the_first_factor(world, virtual_clock):
    eve = Eve(world, BOTH)
    answer = eve.login(password("eve"))
    assert answer.status == 401
    body = answer.json()
    assert body["required_auth_methods"] == BOTH
    receipt = body["receipt"]
    assert set(receipt) == {"methods", "user", "expires_at", "issued_at"}
    assert receipt["methods"] == ["password"]
    assert receipt["user"] == {"id": eve.id, "name": "eve", "domain": {"id": "default", "name": "Default"}}
    assert "x-subject-token" not in answer.headers
    sealed = answer.headers["openstack-auth-receipt"]
    whole = eve.login(eve.totp(eve.now()), sealed)
    assert whole.status == 201
    assert set(whole.json()["token"]["methods"]) == {"password", "totp"}
    again = eve.world.login(by_token(whole.headers["x-subject-token"]))
    assert again.status == 201


def test_both_factors_at_once(world, virtual_clock):
    eve = Eve(world, BOTH)
    assert eve.login(eve.both(eve.now())).status == 201
    virtual_clock.advance(30)
    assert eve.login({**eve.both(eve.now()), **password("eve", "wrong"), "methods": ["password", "totp"]}).status == 401


def test_receipts_end_and_are_their_users(world, virtual_clock):
    eve = Eve(world, BOTH)
    first = eve.login(password("eve")).headers["openstack-auth-receipt"]
    assert (
        world.anonymous.post(TOKENS, {"auth": {"identity": password("demo")}}, Openstack_Auth_Receipt=first).status
        == 401
    )
    assert world.with_token(first).get(f"{V3}/auth/projects").status == 401
    token = world.token(password("demo"))
    assert eve.login(eve.totp(eve.now()), token).status == 401
    virtual_clock.advance(301)
    assert eve.login(eve.totp(eve.now()), first).status == 401
    virtual_clock.advance(30)
    second = eve.login(password("eve")).headers["openstack-auth-receipt"]
    assert world.client().patch(f"{V3}/users/{eve.id}", {"user": {"password": "other"}}).status == 200
    assert eve.login(eve.totp(eve.now()), second).status == 401


def test_a_wrong_first_factor_earns_no_receipt(world, virtual_clock):
    eve = Eve(world, BOTH)
    answer = eve.login(password("eve", "wrong"))
    assert answer.status == 401
    assert "openstack-auth-receipt" not in answer.headers
    assert "required_auth_methods" not in answer.json()


def test_tokens_of_before_the_rule_make_no_more(world, virtual_clock):
    eve = Eve(world)
    token = world.token(password("eve"))
    eve.options(multi_factor_auth_rules=BOTH)
    assert world.login(by_token(token)).status == 401


def test_rules_may_be_switched_off_and_name_programs(world, virtual_clock):
    eve = Eve(world)
    given = credential(eve.client)
    eve.options(multi_factor_auth_rules=BOTH)
    assert world.login(by_credential(given)).status == 401
    eve.options(multi_factor_auth_rules=[*BOTH, ["application_credential"]])
    assert world.login(by_credential(given)).status == 201
    eve.options(multi_factor_auth_enabled=False)
    assert eve.login(password("eve")).status == 201
    eve.options(multi_factor_auth_enabled=True, multi_factor_auth_rules=[["carrier pigeon"]])
    assert eve.login(password("eve")).status == 201
