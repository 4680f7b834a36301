"""OAuth 2.0's client credentials: an application credential for a bearer token."""

from __future__ import annotations

import base64
import threading
from urllib.parse import urlencode

import pytest
from tests.api.client import Client
from tests.api.identity.setting import V3
from tests.api.identity.test_application_credentials import credential

from gureum.services.identity.oauth import client_credentials
from gureum.services.identity.tokens.granting import grant_token

URL = f"{V3}/OS-OAUTH2/token"
FORM = {"Content_Type": "application/x-www-form-urlencoded"}


def ask(world, grant="client_credentials", basic=None, **form):
    headers = dict(FORM)
    if basic:
        headers["Authorization"] = "Basic " + base64.b64encode(":".join(basic).encode()).decode()
    return world.anonymous.request("POST", URL, raw=urlencode({"grant_type": grant, **form}).encode(), **headers)


@pytest.mark.parametrize("way", ["basic", "form"])
def test_a_bearer_token(world, demo, way):
    given = credential(demo)
    who = (given["id"], given["secret"])
    answer = ask(world, basic=who) if way == "basic" else ask(world, client_id=who[0], client_secret=who[1])
    assert answer.status == 200, answer.content
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert set(body) == {"access_token", "expires_in", "token_type"}
    assert body["token_type"] == "Bearer"
    assert 3500 < body["expires_in"] <= 3600
    bearer = Client(world.app, {"Authorization": f"Bearer {body['access_token']}"})
    assert world.alive(bearer)
    assert not world.alive(Client(world.app, {"Authorization": f"Basic {body['access_token']}"}))


def test_what_gets_none(world, demo):
    given = credential(demo)
    answers = [
        ask(world, basic=(given["id"], "wrong")),
        ask(world, basic=("0" * 32, given["secret"])),
        ask(world, client_id=given["id"]),
        ask(world, basic=("no colon",)),
    ]
    assert {(a.status, a.content) for a in answers} == {(401, answers[0].content)}
    assert answers[0].json()["error"] == "invalid_client"
    assert "www-authenticate" in answers[0].headers
    assert ask(world, grant="password").json()["error"] == "unsupported_grant_type"
    nothing = world.anonymous.request("POST", URL, raw=b"", **FORM)
    assert (nothing.status, nothing.json()["error"]) == (400, "invalid_request")
    assert world.anonymous.request("POST", URL, raw=b"a" * 20_000, **FORM).status == 413


def test_secrets_are_hashed_on_the_threads_of_logins(world, demo, monkeypatch):
    """Whoever has no token waits there, and holds up nobody else."""
    given, threads = credential(demo, secret="chosen by a person"), []

    def noting(call, proof, scope):
        threads.append(threading.current_thread().name)
        return grant_token(call, proof, scope)

    monkeypatch.setattr(client_credentials, "grant_token", noting)
    assert ask(world, basic=(given["id"], "chosen by a person")).status == 200
    assert [name.rpartition("_")[0] for name in threads] == ["http-login"]
