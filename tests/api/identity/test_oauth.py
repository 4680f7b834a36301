"""OAuth: a program asks, a user says yes, the program acts; and what it may not."""

from __future__ import annotations

import base64
import hmac
import uuid
from urllib.parse import parse_qs, quote

import pytest
from sqlalchemy import text
from tests.api.identity.setting import TOKENS, V3, by_credential, by_token, own, password
from tests.api.identity.test_application_credentials import credential

from gureum.foundation import clock

OAUTH = f"{V3}/OS-OAUTH1"
DAY = 86_400


def q(value):
    return quote(str(value), safe="-._~")


class Program:
    """Signs as RFC 5849 says, by hand."""

    def __init__(self, world, secret=None):
        self.world = world
        answer = world.client().post(f"{OAUTH}/consumers", {"consumer": {"description": "a program"}})
        assert answer.status == 201, answer.content
        self.consumer = answer.json()["consumer"]
        self.secret = secret or self.consumer["secret"]

    def sign(self, method, url, token=None, host="http://cloud", **more):
        values = {
            "oauth_consumer_key": self.consumer["id"],
            "oauth_nonce": uuid.uuid4().hex,
            "oauth_signature_method": "HMAC-SHA1",
            "oauth_timestamp": int(clock.now()),
            "oauth_version": "1.0",
            **({"oauth_token": token[0]} if token else {}),
            **more,
        }
        joined = "&".join(f"{q(k)}={q(v)}" for k, v in sorted(values.items()))
        key = f"{q(self.secret)}&{q(token[1]) if token else ''}"
        base = f"{method}&{q(host + url)}&{q(joined)}"
        values["oauth_signature"] = base64.b64encode(hmac.digest(key.encode(), base.encode(), "sha1")).decode()
        return "OAuth " + ", ".join(f'{q(k)}="{q(v)}"' for k, v in values.items())

    def ask(self, project, header=None, **more):
        url = f"{OAUTH}/request_token"
        header = header or self.sign("POST", url, **more)
        return self.world.anonymous.post(url, Authorization=header, Requested_Project_Id=project)

    def request_token(self, project):
        return pair(self.ask(project))

    def exchange(self, token, verifier, **more):
        url = f"{OAUTH}/access_token"
        return self.world.anonymous.post(
            url, Authorization=self.sign("POST", url, token, oauth_verifier=verifier, **more)
        )

    def access(self, user, roles=("member",)):
        """The whole way: an access token of the user's, for its own project."""
        token = self.request_token(own(user)["project"]["id"])
        body = {"roles": [{"id": self.world.role(name)} for name in roles]}
        said = user.put(f"{OAUTH}/authorize/{token[0]}", body)
        assert said.status == 200, said.content
        return pair(self.exchange(token, said.json()["token"]["oauth_verifier"]))

    def login(self, token, **more):
        body = {"auth": {"identity": {"methods": ["oauth1"], "oauth1": {}}}}
        return self.world.anonymous.post(TOKENS, body, Authorization=self.sign("POST", TOKENS, token, **more))


def pair(answer):
    assert answer.status == 201, answer.content
    assert answer.headers["content-type"] == "application/x-www-form-urlencoded"
    values = {k: v[0] for k, v in parse_qs(answer.content.decode()).items()}
    assert set(values) == {"oauth_token", "oauth_token_secret", "oauth_expires_at"}
    return values["oauth_token"], values["oauth_token_secret"]


@pytest.fixture
def program(world):
    return Program(world)


def test_consumers(world, admin, demo, program):
    one = dict(program.consumer)
    assert set(one) == {"id", "description", "secret", "links"}
    one.pop("secret")
    url = f"{OAUTH}/consumers/{one['id']}"
    assert admin.get(url).json()["consumer"] == one
    assert admin.get(f"{OAUTH}/consumers").json()["consumers"] == [one]
    changed = admin.patch(url, {"consumer": {"description": "other"}}).json()["consumer"]
    assert changed == {**one, "description": "other"}
    assert admin.patch(url, {"consumer": {"secret": "x"}}).status == 400
    assert demo.get(url).status == demo.post(f"{OAUTH}/consumers", {"consumer": {}}).status == 403
    with world.database.read() as tx:
        assert program.secret not in tx.scalar(text("select sealed from oauth_consumers"))
    assert admin.delete(url).status == 204
    assert admin.get(url).status == 404


def test_the_whole_way(world, demo, program):
    token = program.access(demo)
    answer = program.login(token)
    assert answer.status == 201, answer.content
    shown = answer.json()["token"]
    me = own(demo)
    assert shown["user"]["id"] == me["user"]["id"]
    assert shown["project"]["id"] == me["project"]["id"]
    assert shown["methods"] == ["oauth1"]
    assert {role["name"] for role in shown["roles"]} == {"member", "reader"}
    assert shown["OS-OAUTH1"] == {"access_token_id": token[0], "consumer_id": program.consumer["id"]}
    assert world.alive(world.with_token(answer.headers["x-subject-token"]))


def test_only_the_roles_that_were_lent(world, program):
    boss = world.member("boss", "manager")
    shown = program.login(program.access(boss, ["reader"])).json()["token"]
    assert {role["name"] for role in shown["roles"]} == {"reader"}
    token = program.request_token(own(boss)["project"]["id"])
    body = {"roles": [{"id": world.role("admin")}]}
    assert boss.put(f"{OAUTH}/authorize/{token[0]}", body).status == 401
    assert boss.put(f"{OAUTH}/authorize/{token[0]}", {"roles": []}).status == 400
    assert (
        world.client("demo").put(f"{OAUTH}/authorize/{token[0]}", {"roles": [{"id": world.role("member")}]}).status
        == 401
    )


def test_signatures_times_and_nonces(world, demo, program):
    project = own(demo)["project"]["id"]
    header = program.sign("POST", f"{OAUTH}/request_token")
    assert program.ask(project, header).status == 201
    assert program.ask(project, header).status == 401
    wrong = Program(world, secret="guessed")
    tampered = program.sign("POST", f"{OAUTH}/request_token").replace("oauth_version", "oauth_v")
    answers = [
        wrong.ask(project),
        program.ask(project, oauth_timestamp=int(clock.now()) - 1000),
        program.ask(project, oauth_timestamp="soon"),
        program.ask(project, oauth_signature_method="PLAINTEXT"),
        program.ask(project, tampered),
        program.ask(project, "OAuth nothing"),
        program.ask(project, "Basic abc"),
        program.ask(project, host="http://elsewhere"),
    ]
    assert {answer.status for answer in answers} == {401}
    assert program.ask("0" * 32).status == 404
    assert world.anonymous.post(f"{OAUTH}/request_token", Authorization=header).status == 400


def test_verifiers_and_spent_request_tokens(world, demo, program):
    token = program.request_token(own(demo)["project"]["id"])
    assert program.exchange(token, "guess").status == 401
    body = {"roles": [{"id": world.role("member")}]}
    verifier = demo.put(f"{OAUTH}/authorize/{token[0]}", body).json()["token"]["oauth_verifier"]
    assert demo.put(f"{OAUTH}/authorize/{token[0]}", body).status == 404
    assert program.exchange(token, "guess").status == 401
    assert Program(world).exchange(token, verifier).status == 401
    assert program.exchange((token[0], "wrong"), verifier).status == 401
    assert program.exchange(token, verifier).status == 201
    assert program.exchange(token, verifier).status == 401


def test_access_tokens_are_their_users(world, admin, demo, program):
    token = program.access(demo)
    url = f"{V3}/users/{own(demo)['user']['id']}/OS-OAUTH1/access_tokens"
    (one,) = demo.get(url).json()["access_tokens"]
    assert set(one) == {"id", "consumer_id", "authorizing_user_id", "project_id", "expires_at", "links"}
    assert demo.get(f"{url}/{token[0]}").json()["access_token"] == one
    (role,) = demo.get(f"{url}/{token[0]}/roles").json()["roles"]
    assert demo.get(f"{url}/{token[0]}/roles/{role['id']}").json()["role"] == role
    assert demo.get(f"{url}/{token[0]}/roles/{world.role('admin')}").status == 404
    other = world.member("other")
    assert other.get(url).status == other.delete(f"{url}/{token[0]}").status == 403
    used = world.with_token(program.login(token).headers["x-subject-token"])
    assert used.get(url).status == used.delete(f"{url}/{token[0]}").status == 403
    assert demo.delete(f"{url}/{token[0]}").status == 204
    assert not world.alive(used)
    assert program.login(token).status == 401


def test_a_consumer_gone_its_tokens_gone(world, admin, demo, program):
    token = program.access(demo)
    used = world.with_token(program.login(token).headers["x-subject-token"])
    assert admin.delete(f"{OAUTH}/consumers/{program.consumer['id']}").status == 204
    assert not world.alive(used)
    assert program.login(token).status == 401


def test_an_end(world, virtual_clock):
    program, demo = Program(world), world.client("demo")
    token = program.access(demo)
    virtual_clock.advance(DAY - 60)
    used = world.with_token(program.login(token).headers["x-subject-token"])
    assert world.alive(used)
    virtual_clock.advance(61)
    assert not world.alive(used)
    assert program.login(token).status == 401


def test_cve_2026_33551_a_programs_token_delegates_nothing(world, demo, program):
    me = own(demo)
    given = credential(demo)
    robot = world.with_token(world.token(by_credential(given)))
    token = program.request_token(me["project"]["id"])
    body = {"roles": [{"id": world.role("member")}]}
    assert robot.put(f"{OAUTH}/authorize/{token[0]}", body).status == 403
    used = world.with_token(program.login(program.access(demo)).headers["x-subject-token"])
    assert used.put(f"{OAUTH}/authorize/{token[0]}", body).status == 403
    assert world.login(by_token(used.headers["X-Auth-Token"])).status == 403
    url = f"{V3}/users/{me['user']['id']}/application_credentials"
    assert used.post(url, {"application_credential": {"name": "x"}}).status == 403
    assert (
        used.post(f"{V3}/users/{me['user']['id']}/credentials/OS-EC2", {"tenant_id": me["project"]["id"]}).status == 403
    )
    trust = {"trustor_user_id": me["user"]["id"], "trustee_user_id": me["user"]["id"], "impersonation": True}
    assert used.post(f"{V3}/OS-TRUST/trusts", {"trust": trust}).status == 403


def test_two_delegations_do_not_add_up(world, demo, program):
    """An application credential of one project and an access token of another make no token together."""
    user = own(demo)["user"]["id"]
    other = world.project("other")
    world.grant(f"projects/{other}", f"users/{user}", "member")
    there = world.with_token(world.token(password("demo"), {"project": {"id": other}}))
    given = credential(there)
    token = program.access(demo)
    identity = {**by_credential(given), "oauth1": {}, "methods": ["application_credential", "oauth1"]}
    header = program.sign("POST", TOKENS, token)
    assert world.anonymous.post(TOKENS, {"auth": {"identity": identity}}, Authorization=header).status == 401


def test_roles_are_lent_by_name_too_and_times_are_readable(world, demo, program):
    asked = program.ask(own(demo)["project"]["id"])
    assert b"%3A" not in asked.content
    authorize = f"{OAUTH}/authorize/{pair(asked)[0]}"
    for role, status in (({"name": "nobody"}, 404), ({}, 400), ({"name": "member", "id": "x"}, 400), ({"x": "y"}, 400)):
        assert demo.put(authorize, {"roles": [role]}).status == status, role
    said = demo.put(authorize, {"roles": [{"name": "member"}]})
    assert said.status == 200, said.content
