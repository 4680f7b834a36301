"""Keypairs through HTTP, on the application alone with two callers."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from tests.api.client import Client

from gureum.foundation.caller import Caller
from gureum.foundation.db.types import Row
from gureum.foundation.errors import Unauthorized
from gureum.foundation.http.app import App
from gureum.foundation.http.authentication import Authentication
from gureum.foundation.http.microversions import Versions
from gureum.foundation.http.routes import Api
from gureum.foundation.policy import Policy
from gureum.services.compute.dialect import error_body
from gureum.services.compute.keypairs.api import ROUTES, RULES
from gureum.services.compute.quotas import QUOTAS

CALLERS = {
    "alice": Caller(user_id="alice", project_id="p1", roles=("member", "reader")),
    "bob": Caller(user_id="bob", project_id="p1", roles=("member", "reader")),
    "root": Caller(user_id="root", project_id="p0", roles=("admin", "manager", "member", "reader")),
}
URL = "/compute/v2.1/os-keypairs"
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB6jA+Z8OdLjM+T7ywSCpu7UU3W7tPBNDhT4S1uLCJcN me"


def authenticate(token):
    if token not in CALLERS:
        raise Unauthorized
    return CALLERS[token]


@pytest.fixture
def app(database):
    Row.metadata.create_all(database.engine)
    versions = Versions("compute", (2, 1), (2, 96), "X-OpenStack-Nova-API-Version")
    deps = SimpleNamespace(quotas=QUOTAS)
    api = Api(
        "compute", "/compute", error_body, ROUTES, deps, versions=versions, request_id_header="X-Compute-Request-Id"
    )
    return App([api], database, Policy(RULES), Authentication(authenticate, authenticate), public_url="http://cloud")


@pytest.fixture
def alice(app):
    return Client(app, {"X-Auth-Token": "alice"})


def at(version):
    return {"OpenStack_API_Version": f"compute {version}"}


def test_a_key_is_imported_shown_listed_and_deleted(alice):
    made = alice.post(URL, {"keypair": {"name": "k", "public_key": PUBLIC_KEY}}, **at("2.10"))
    assert made.status == 201
    assert set(made.json()["keypair"]) == {"name", "public_key", "fingerprint", "user_id", "type"}
    assert alice.get(f"{URL}/k").json()["keypair"]["public_key"] == PUBLIC_KEY
    assert [entry["keypair"]["name"] for entry in alice.get(URL).json()["keypairs"]] == ["k"]
    assert alice.delete(f"{URL}/k", **at("2.2")).status == 204
    assert alice.get(f"{URL}/k").status == 404


def test_an_imported_key_is_kept_as_it_was_sent(alice):
    for name, text in (("a", PUBLIC_KEY + "\n"), ("b", f" {PUBLIC_KEY}"), ("c", PUBLIC_KEY)):
        made = alice.post(URL, {"keypair": {"name": name, "public_key": text}}).json()["keypair"]
        assert made["public_key"] == alice.get(f"{URL}/{name}").json()["keypair"]["public_key"] == text
    prints = {entry["keypair"]["fingerprint"] for entry in alice.get(URL).json()["keypairs"]}
    assert len(prints) == 1
    for empty in ("", " ", "\n"):
        assert alice.post(URL, {"keypair": {"name": "d", "public_key": empty}}).status == 400


def test_a_generated_key_comes_with_its_private_half_until_2_92(alice):
    made = alice.post(URL, {"keypair": {"name": "k"}})
    assert made.status == 200
    assert made.json()["keypair"]["private_key"].startswith("-----BEGIN RSA PRIVATE KEY-----")
    assert "type" not in made.json()["keypair"]
    assert alice.post(URL, {"keypair": {"name": "k2"}}, **at("2.92")).status == 400


def test_a_generated_certificate_comes_with_its_key_and_names_its_user(alice):
    made = alice.post(URL, {"keypair": {"name": "k", "type": "x509"}}, **at("2.2"))
    assert made.status == 201
    keypair = made.json()["keypair"]
    certificate = x509.load_pem_x509_certificate(keypair["public_key"].encode())
    key = serialization.load_pem_private_key(keypair["private_key"].encode(), None)
    assert certificate.public_key() == key.public_key()
    assert keypair["fingerprint"] == certificate.fingerprint(hashes.SHA1()).hex(":")
    (name,) = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert name.value[2:] == b"alice@localhost"
    again = alice.post(
        URL, {"keypair": {"name": "k2", "type": "x509", "public_key": keypair["public_key"]}}, **at("2.2")
    )
    assert again.json()["keypair"]["fingerprint"] == keypair["fingerprint"]


@pytest.mark.parametrize(
    "keypair",
    [
        {},
        {"name": ""},
        {"name": "a" * 256},
        {"name": "bad/name"},
        {"name": 5},
        {"name": "k", "colour": "blue"},
        {"name": "k", "public_key": "ssh-rsa nonsense"},
        {"name": "k", "public_key": "a\u0000b"},
        {"name": "k", "type": "ssh"},
    ],
)
def test_bad_bodies_are_refused_and_nothing_is_written(alice, keypair):
    answer = alice.post(URL, {"keypair": keypair})
    assert answer.status == 400
    assert set(answer.json()) == {"badRequest"}
    assert alice.get(URL).json() == {"keypairs": []}


@pytest.mark.parametrize("raw", [b"{", b"\xff\xfe", b"[" * 5000, b'{"keypair": {"name": "\\ud800"}}', b"null"])
def test_what_is_not_json_is_refused(alice, raw):
    assert alice.request("POST", URL, raw=raw).status == 400


def test_keys_of_others_are_neither_seen_nor_touched(app, alice):
    alice.post(URL, {"keypair": {"name": "k", "public_key": PUBLIC_KEY}})
    bob = Client(app, {"X-Auth-Token": "bob"})
    assert bob.get(f"{URL}/k").status == 404
    assert bob.get(f"{URL}/k?user_id=alice", **at("2.10")).status == 403
    root = Client(app, {"X-Auth-Token": "root"})
    assert root.get(f"{URL}/k?user_id=alice", **at("2.10")).status == 200


def test_every_answer_names_its_request_and_version(alice):
    for answer in (alice.get(URL, **at("2.2")), alice.get(f"{URL}/none", **at("2.2"))):
        assert answer.headers["openstack-api-version"] == "compute 2.2"
        assert answer.headers["x-openstack-nova-api-version"] == "2.2"
        assert answer.headers["x-openstack-request-id"] == answer.headers["x-compute-request-id"]
        assert "OpenStack-API-Version" in answer.headers["vary"]
    assert alice.get(URL, **at("2.97")).status == 406
    assert alice.get(URL, **at("two")).status == 400


def test_forged_identity_headers_change_nothing(app):
    stranger = Client(app, {"X-Roles": "admin", "X-User-Id": "alice", "X-Project-Id": "p1"})
    assert stranger.get(URL).status == 401
