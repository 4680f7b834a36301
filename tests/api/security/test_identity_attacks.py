"""Attacks that identity services have suffered, each refused here."""

from __future__ import annotations

import statistics
import time

import pytest
from tests.api.client import Client
from tests.api.identity.setting import DEFAULT, TOKENS, V3, by_credential, by_token, found, own, password

from gureum.foundation.caller import Caller
from gureum.foundation.errors import Unauthorized
from gureum.foundation.http.app import App
from gureum.foundation.http.authentication import Authentication
from gureum.foundation.http.routes import Api, Reply, Route, Runs
from gureum.foundation.policy import Policy, Rule
from gureum.services.identity.dialect import error_body

FORGED = {
    "X-Roles": "admin",
    "X-Role": "admin",
    "X-Is-Admin": "True",
    "X-User-Id": "ADMIN",
    "X-User": "ADMIN",
    "X-Project-Id": "PROJECT",
    "X-Tenant-Id": "PROJECT",
    "X-Domain-Id": "default",
    "X-Identity-Status": "Confirmed",
    "X-System-Scope": "all",
    "OpenStack-System-Scope": "all",
    "X-Service-Roles": "service,admin",
    "X-Service-Identity-Status": "Confirmed",
}


def credential(client, **more):
    url = f"{V3}/users/{own(client)['user']['id']}/application_credentials"
    return client.post(url, {"application_credential": {"name": "robot", **more}}).json()["application_credential"]


def test_cve_2026_22797_forged_role_headers(world):
    admin, demo = world.client("admin"), world.client("demo")
    names = {"ADMIN": own(admin)["user"]["id"], "PROJECT": own(admin)["project"]["id"]}
    forged = {key: names.get(value, value) for key, value in FORGED.items()}
    stranger = Client(world.app, forged)
    liar = Client(world.app, {**forged, **demo.headers})
    for path in ("users", "projects", "role_assignments", f"users/{names['ADMIN']}"):
        assert stranger.get(f"{V3}/{path}").status == 401
        assert liar.get(f"{V3}/{path}").status == 403
    assert own(liar)["roles"] == own(demo)["roles"]


def test_cve_2019_19687_everyone_lists_everyones_application_credentials(world):
    admin, demo = world.client("admin"), world.client("demo")
    given = credential(admin)
    theirs = f"{V3}/users/{own(admin)['user']['id']}/application_credentials"
    for url in (theirs, f"{theirs}/{given['id']}"):
        assert demo.get(url).status == 403
    mine = f"{V3}/users/{own(demo)['user']['id']}/application_credentials"
    assert demo.get(mine).json()["application_credentials"] == []
    assert demo.get(f"{mine}/{given['id']}").status == 403
    assert demo.get(f"{mine}?user_id={own(admin)['user']['id']}").json()["application_credentials"] == []


def test_cve_2026_42999_body_overwrites_policy_target(world):
    """A manager of one domain names another one's user in the path and its own domain in the body."""
    domain = world.domain("d")
    boss = world.domain_user("boss", domain, "manager")
    demo = found(world.client(), "users", "demo")
    before = world.commits()
    for lie in (
        {"domain_id": domain},
        {"target": {"user": {"domain_id": domain, "id": demo}}},
        {"target.user.domain_id": domain},
        {"user_id": own(boss)["user"]["id"]},
    ):
        assert boss.patch(f"{V3}/users/{demo}", {"user": {"password": "taken", **lie}}).status == 403
        assert boss.patch(f"{V3}/users/{demo}?target.user.domain_id={domain}", {"user": {**lie}}).status == 403
    assert (
        boss.post(
            f"{V3}/projects", {"project": {"name": "p", "domain_id": "default", "target.project.domain_id": domain}}
        ).status
        == 403
    )
    assert world.commits() == before


def test_cve_2026_44394_rescoping_renews_expiry(world, virtual_clock):
    answer = world.login(password("demo"), "unscoped")
    end = answer.json()["token"]["expires_at"]
    for _ in range(5):
        virtual_clock.advance(600)
        answer = world.login(
            by_token(answer.headers["x-subject-token"]), {"project": {"name": "demo", "domain": DEFAULT}}
        )
        assert answer.json()["token"]["expires_at"] == end
    virtual_clock.advance(601)
    assert world.login(by_token(answer.headers["x-subject-token"])).status == 404


def test_cve_2026_42998_a_caller_supplies_user_with_an_application_credential(world):
    demo, admin = world.client("demo"), world.client("admin")
    given = credential(demo)
    lies = [{"id": own(admin)["user"]["id"]}, {"name": "admin", "domain": DEFAULT}]
    for lie in lies:
        answer = world.login(by_credential(given, user=lie))
        assert answer.status == 401 or answer.json()["token"]["user"]["name"] == "demo"
        by_name = {"name": "robot", "secret": given["secret"], "user": lie}
        assert world.login({"methods": ["application_credential"], "application_credential": by_name}).status == 401


def test_cve_2026_33551_a_delegated_token_makes_or_deletes_credentials(world):
    demo = world.client("demo")
    given = credential(demo)
    robot = world.with_token(world.token(by_credential(given)))
    url = f"{V3}/users/{own(demo)['user']['id']}/application_credentials"
    before = world.commits()
    assert robot.post(url, {"application_credential": {"name": "child", "unrestricted": True}}).status == 403
    assert robot.delete(f"{url}/{given['id']}").status == 403
    ec2 = {"type": "ec2", "blob": '{"access": "a", "secret": "s"}', "project_id": own(demo)["project"]["id"]}
    assert robot.post(f"{V3}/credentials", {"credential": ec2}).status == 403
    assert world.commits() == before


@pytest.mark.parametrize(
    "scope",
    ["unscoped", {"project": {"name": "other", "domain": DEFAULT}}, {"domain": DEFAULT}, {"system": {"all": True}}],
)
def test_cve_2026_43001_a_delegated_token_leaves_its_project(world, scope):
    admin = world.client("admin")
    other = world.project("other")
    world.grant(f"projects/{other}", f"users/{own(admin)['user']['id']}", "admin")
    token = world.token(by_credential(credential(admin)))
    assert world.login(by_token(token), scope).status == 401
    assert (
        world.login(
            {
                **by_token(token),
                **by_credential(credential(admin, name="b")),
                "methods": ["token", "application_credential"],
            },
            scope,
        ).status
        == 401
    )
    rescoped = world.login(by_token(token)).json()["token"]
    assert rescoped["project"]["name"] == "admin"
    assert "application_credential" in rescoped


def test_cve_2021_38155_texts_reveal_which_users_exist(world):
    world.user("off", enabled=False)
    answers = {
        world.login(identity).content
        for identity in (
            password("demo", "wrong"),
            password("nobody", "wrong"),
            password("off"),
            password("off", "wrong"),
            {"methods": ["password"], "password": {"user": {"id": "0" * 32, "password": "x"}}},
            {
                "methods": ["password"],
                "password": {"user": {"name": "demo", "domain": {"name": "none"}, "password": "x"}},
            },
        )
    }
    assert len(answers) == 1


def test_cve_2021_38155_time_reveals_which_users_exist(database, tmp_path):
    """An unknown user's password is hashed like a known one's. The hash is dear enough here to tell."""
    from gureum.services.identity.config import AuthConfig
    from gureum.services.identity.tokens.passwords import Passwords

    passwords = Passwords(AuthConfig(hash_time_cost=4, hash_memory_kib=4096))
    stored = passwords.hash("right")
    passwords.fits("warm", None)

    def spent(hashed):
        times = []
        for _ in range(15):
            started = time.thread_time()
            assert not passwords.fits("wrong", hashed)
            times.append(time.thread_time() - started)
        return statistics.median(times)

    known, unknown = spent(stored), spent(None)
    assert 0.5 < unknown / known < 2


def test_cve_2021_38155_projects_and_domains_are_not_told_apart_from_nothing(world):
    answers = {
        (answer.status, answer.content)
        for scope in (
            {"project": {"name": "admin", "domain": DEFAULT}},
            {"project": {"name": "nothing", "domain": DEFAULT}},
            {"project": {"id": "0" * 32}},
            {"domain": DEFAULT},
            {"domain": {"id": "nothing"}},
        )
        for answer in [world.login(password("demo"), scope)]
    }
    assert len(answers) == 1
    demo = world.client("demo")
    for kind in ("users", "projects", "groups"):
        there = found(world.client(), kind, "admin") if kind != "groups" else "x"
        one, none = demo.get(f"{V3}/{kind}/{there}"), demo.get(f"{V3}/{kind}/{'0' * 32}")
        assert (one.status, one.content) == (none.status, none.content) == (403, none.content)


# -- policy ----------------------------------------------------------------------------------------------


def application(database, routes, rules=()):
    api = Api("identity", "/identity", error_body, tuple(routes))
    caller = Caller(user_id="u", project_id="p", roles=("admin", "manager", "member", "reader"))

    def authenticate(token):
        if token != "good":
            raise Unauthorized
        return caller

    return App([api], database, Policy(rules), Authentication(authenticate, authenticate), public_url="http://cloud")


def test_cve_2024_53916_route_without_policy_fails_start(database):
    with pytest.raises(ValueError, match="unknown rule"):
        application(database, [Route("GET", "/things", lambda call: {}, "get_thing")])
    with pytest.raises(ValueError, match="unknown rule"):
        application(database, [Route("GET", "/things", lambda call: {}, "")])


def test_cve_2026_49299_misnamed_policy_fails_start(database):
    with pytest.raises(ValueError, match="get_things"):
        application(database, [Route("GET", "/things", lambda call: {}, "get_things")], [Rule("get_thing", "@")])


def add_region(call):
    from gureum.services.identity.catalog.model import Region

    call.tx.add(Region(id="x"))


def add_region_after_asking(call):
    """Asks what the caller may do, as views do, and refuses nothing."""
    call.allows("make_thing", **call.own_target())
    add_region(call)


async def stream_without_a_rule(_call, _content):
    return {"thing": {}}


def answer_from_memory_without_a_rule(_call):
    return Reply({"thing": {}})


@pytest.mark.parametrize(
    "way",
    [
        {"handler": add_region},
        {"handler": add_region_after_asking},
        {"handler": stream_without_a_rule, "runs": Runs.STREAM},
        {"handler": add_region, "fast": answer_from_memory_without_a_rule},
    ],
    ids=["transaction", "allows alone", "stream", "fast"],
)
def test_cve_2026_40213_a_handler_that_forgets_its_policy_answers_500_and_writes_nothing(database, way):
    from gureum.foundation.db.types import Row

    Row.metadata.create_all(database.engine)
    route = Route("POST", "/things", policy="make_thing", target="handler", **way)
    app = application(database, [route], [Rule("make_thing", "@", unbounded="a test")])
    before = database.counters.commits
    answer = Client(app, {"X-Auth-Token": "good"}).post("/identity/things")
    assert answer.status == 500
    assert b"policy" not in answer.content, "the inner reason is for operators"
    assert database.counters.commits == before


def test_a_rule_that_bounds_nobody_refuses_to_start(database):
    route = Route("GET", "/things", add_region, "read_things")
    with pytest.raises(ValueError, match="names nothing of its target"):
        application(database, [route], [Rule("read_things", "role:reader")])


def test_a_rule_that_nobody_registered_denies_even_administrators():
    caller = Caller(user_id="u", roles=("admin",), system=True)
    assert not Policy([Rule("one", "@")]).allows("another", caller, {})
    assert not Policy([Rule("one", "rule:missing")]).allows("one", caller, {})


def test_an_absent_scope_is_not_equal_to_an_absent_target():
    """`domain_id:%(domain_id)s` with None on both sides must not match."""
    policy = Policy([Rule("one", "domain_id:%(domain_id)s or project_id:%(project_id)s")])
    assert not policy.allows("one", Caller(user_id="u"), {"domain_id": None, "project_id": None})
    assert not policy.allows("one", Caller(user_id="u"), {})
    assert not policy.allows("one", Caller(user_id="u", domain_id="None"), {"domain_id": None})


def test_every_route_of_the_cloud_names_a_rule_and_public_ones_are_few(cloud):
    public = {
        (route.method, api.prefix + route.path)
        for api in cloud.control.app.apis
        for route in api.routes
        if route.policy == "public" and route.method != "GET"
    }
    assert public == {
        ("POST", "/identity/v3/auth/tokens"),
        ("POST", "/identity/v3/users/{user_id}/password"),
        ("POST", "/identity/v3/OS-OAUTH1/request_token"),  # signed with the consumer's secret
        ("POST", "/identity/v3/OS-OAUTH1/access_token"),
        ("POST", "/identity/v3/OS-OAUTH2/token"),  # shows an application credential's secret
    }
    assert TOKENS == "/identity/v3/auth/tokens"
