"""Tokens that stand for a part of somebody's rights, at every route of every service.

An application credential, a trust and an OAuth access token of the member who owns alpha-one's things: none of them does
what the owner could not, none with the role reader writes, none makes or sees what outlives it, and access rules open
what they name and nothing else.
"""

from __future__ import annotations

import pytest
from tests.api.client import Client
from tests.api.policy_matrix.asking import SERVICES, ask, mark, successes
from tests.api.policy_matrix.personas import OWN_PROJECT, PASSWORD, V3, Persona, Place
from tests.api.policy_matrix.things import new
from tests.api.policy_matrix.world import matrix_world

from gureum.foundation.http.routes import PUBLIC

TOKENS = f"{V3}/auth/tokens"
NAMED = "GET /v2.1/servers"
OWN_RULE = {"service": "compute", "method": "GET", "path": "/v2.1/servers"}
READER_WRITES = {
    "POST /v3/auth/tokens": "the same rights again",
    "DELETE /v3/auth/tokens (its own)": "ends itself",
    "DELETE /v3/auth/tokens (the owner's)": "tokens of one user end each other",
    "DELETE /v3/users/{user_id}/access_rules/{rule_id}": "a rule that no credential uses",
    "POST /v2.1/os-keypairs": "keypairs are the user's",
    "DELETE /v2.1/os-keypairs/{name}": "keypairs are the user's",
}
IDENTITY_WRITES = READER_WRITES.keys()


@pytest.fixture(scope="module")
def world(request, tmp_path_factory):
    with matrix_world(request, tmp_path_factory) as world:
        yield world


@pytest.fixture(scope="module")
def delegated(world):
    """Name -> persona. Those called *reader* were given that role alone."""
    owner = world.things.owner
    clients = {
        "credential": application_credential(world, "whole"),
        "credential reader": application_credential(world, "part", roles=[{"name": "reader"}]),
        "credential rules": application_credential(world, "ruled", access_rules=[OWN_RULE]),
        "trust": trust(world, impersonation=True, roles=["member"]),
        "trust reader": trust(world, impersonation=True, roles=["reader"]),
        "trust of the trustee": trust(world, impersonation=False, roles=["member"]),
        "OAuth": world.things.oauth_client,
    }
    users = dict.fromkeys(clients, owner.user_id) | {"trust of the trustee": world.things.ids["trustee"]}
    return {name: Persona(Place(name, "x"), "x", client, users[name]) for name, client in clients.items()}


@pytest.fixture(scope="module", params=SERVICES)
def rows(request, world, delegated):
    """Every route of one service as every delegated token, and as the owner and a reader of the project."""
    reader = next(who for who in world.personas if (who.place, who.letter) == (OWN_PROJECT, "r"))
    return ask(world, request.param, [*delegated.values(), world.things.owner, reader])


def application_credential(world, name, **more):
    owner = world.things.owner
    url = f"{V3}/users/{owner.user_id}/application_credentials"
    made = new(owner.client, url, {"application_credential": {"name": name, **more}}, "application_credential")
    method = {"id": made["id"], "secret": made["secret"]}
    return login(world, {"methods": ["application_credential"], "application_credential": method})


def trust(world, *, impersonation, roles):
    ids, owner = world.things.ids, world.things.owner
    wanted = {
        "trustor_user_id": owner.user_id,
        "trustee_user_id": ids["trustee"],
        "impersonation": impersonation,
        "project_id": ids["project_id"],
        "roles": [{"name": name} for name in roles],
    }
    trust_id = new(owner.client, f"{V3}/OS-TRUST/trusts", {"trust": wanted}, "trust", "id")
    proof = {"methods": ["password"], "password": {"user": {"id": ids["trustee"], "password": PASSWORD}}}
    return login(world, proof, {"OS-TRUST:trust": {"id": trust_id}})


def login(world, identity, scope=None):
    auth = {"identity": identity} | ({"scope": scope} if scope else {})
    answer = Client(world.cloud.control.app).post(TOKENS, {"auth": auth})
    assert answer.status == 201, answer.content
    return Client(world.cloud.control.app, {"X-Auth-Token": answer.headers["x-subject-token"]})


def statuses(row):
    return {persona.place.name + persona.letter: answer.status for persona, _, answer in row.answers}


def test_no_delegated_token_does_what_its_owner_may_not(rows):
    for row in rows:
        answers = statuses(row)
        owner = answers.pop("own projectm")
        answers.pop("own projectr")
        more = [name for name, status in answers.items() if mark(status) == "+" != mark(owner)]
        assert not more, (row.question.name, more)


def test_a_delegated_reader_writes_nothing(rows):
    for question, persona, *_ in successes(rows):
        if "reader" in persona.place.name and question.is_write:
            assert named(question) in READER_WRITES, (question.name, persona.name)


def test_a_delegated_token_makes_nothing_that_outlives_it(rows):
    """No credential, trust, application credential or password by a token that is itself one's part."""
    for question, persona, *_ in successes(rows):
        if persona.letter == "x" and question.is_write and question.api.name == "identity":
            assert named(question) in IDENTITY_WRITES, (question.name, persona.name)


def test_a_delegated_token_sees_no_secret(rows, world):
    for question, persona, _, answer in successes(rows):
        if persona.letter == "x":
            assert world.things.ids["secret"].encode() not in answer.content, (question.name, persona.name)
            assert b"alpha-secret" not in answer.content, (question.name, persona.name)


def test_access_rules_open_what_they_name_and_nothing_else(rows):
    for row in rows:
        question, status = row.question, statuses(row)["credential rulesx"]
        if question.route.policy == PUBLIC or question.name.startswith("GET /v3/auth/tokens"):
            continue  # asks for no token; its own validation
        if named(question) == NAMED:
            assert status == (403 if "all_tenants" in question.query else 200)
        else:
            assert status == 401, question.name


@pytest.mark.parametrize(
    ("name", "status"), [("credential rules", 401), ("credential reader", 403), ("credential", 201)]
)
def test_a_token_made_of_a_delegated_one_is_as_narrow(world, delegated, name, status):
    client = delegated[name].client
    again = login(world, {"methods": ["token"], "token": {"id": client.headers["X-Auth-Token"]}})
    for url in ("/compute/v2.1/servers", "/compute/v2.1/flavors", "/network/v2.0/networks"):
        assert again.get(url).status == client.get(url).status
    assert again.post("/network/v2.0/networks", {"network": {}}).status == status


def named(question):
    """The name without version and query."""
    return question.name.split("@")[0].split("?")[0].replace(" (for the user)", "")
