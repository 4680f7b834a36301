"""Credentials and policy documents on a whole simulated cloud, with the attacks that they have suffered elsewhere."""

from __future__ import annotations

import hashlib
import json

import pytest
from sqlalchemy import text
from tests.api.client import Client
from tests.cloud import SimulatedCloud

ALL = "/identity/v3/credentials"
BLOB = json.dumps({"access": "an-access", "secret": "a-secret"})


@pytest.fixture
def cloud(tmp_path):
    cloud = SimulatedCloud(tmp_path, hosts=1)
    yield cloud
    cloud.close()


@pytest.fixture
def admin(cloud):
    return cloud.client("admin")


@pytest.fixture
def demo(cloud):
    return cloud.client("demo")


def own(client):
    """The caller's user id and project id."""
    token = client.get("/identity/v3/auth/tokens", X_Subject_Token=client.headers["X-Auth-Token"]).json()["token"]
    return token["user"]["id"], token["project"]["id"]


def create(client, **fields):
    return client.post(ALL, {"credential": {"type": "ec2", "blob": BLOB, "project_id": own(client)[1], **fields}})


def test_create_show_change_list_delete(demo):
    answer = create(demo)
    assert answer.status == 201, answer.content
    made = answer.json()["credential"]
    assert (made["blob"], made["type"], made["user_id"]) == (BLOB, "ec2", own(demo)[0])
    assert made["id"] == hashlib.sha256(b"an-access").hexdigest()
    one = f"{ALL}/{made['id']}"
    assert demo.get(one).json()["credential"] == made
    blob = BLOB.replace("a-secret", "another")
    changed = demo.patch(one, {"credential": {"blob": blob}})
    assert (changed.status, changed.json()["credential"]["blob"]) == (200, blob)
    assert [c["id"] for c in demo.get(ALL).json()["credentials"]] == [made["id"]]
    assert demo.get(f"{ALL}?type=totp").json()["credentials"] == []
    assert demo.delete(one).status == 204
    assert demo.get(one).status == 403


def test_secrets_are_sealed_in_the_database(cloud, demo):
    assert create(demo).status == 201
    with cloud.control.database.read() as tx:
        (sealed,) = tx.scalars(text("select sealed from credentials")).all()
    assert "secret" not in sealed


@pytest.mark.parametrize(
    "fields", [{"project_id": None}, {"blob": "no json"}, {"blob": "[]"}, {"blob": '{"access": "a"}'}, {"type": ""}]
)
def test_bad_ec2_credentials_are_refused(demo, fields):
    assert create(demo, **fields).status == 400


def test_the_same_access_key_twice_is_a_conflict(admin, demo):
    assert create(demo).status == 201
    assert create(admin).status == 409


def test_cve_2019_19687_everyone_lists_everyones_credentials(admin, demo):
    made = create(admin).json()["credential"]
    assert demo.get(ALL).json()["credentials"] == []
    assert demo.get(f"{ALL}?user_id={made['user_id']}").json()["credentials"] == []
    one = f"{ALL}/{made['id']}"
    assert demo.get(one).status == demo.delete(one).status == 403
    assert demo.patch(one, {"credential": {"blob": BLOB}}).status == 403
    assert demo.get(f"{ALL}/unknown").status == demo.delete(f"{ALL}/unknown").status == 403
    assert admin.get(f"{ALL}/unknown").status == admin.delete(f"{ALL}/unknown").status == 404
    assert create(demo, user_id=made["user_id"], blob=BLOB.replace("an-", "x-")).status == 403
    assert [c["id"] for c in admin.get(ALL).json()["credentials"]] == [made["id"]]


def test_cve_2020_12691_owner_or_project_of_a_credential_changed(admin, demo):
    made = create(demo).json()["credential"]
    other_user, other_project = own(admin)
    for change in ({"user_id": other_user}, {"project_id": other_project}, {"type": "totp"}, {"id": "x"}):
        assert demo.patch(f"{ALL}/{made['id']}", {"credential": change}).status == 400, change
    assert demo.get(f"{ALL}/{made['id']}").json()["credential"] == made


def test_cve_2026_33551_a_delegated_token_makes_edits_or_reads_what_leaves_its_project(cloud, demo):
    """An application credential, unrestricted even, touches no credential and sees none."""
    made = create(demo).json()["credential"]
    loose = create(demo, type="totp", project_id=None).json()["credential"]
    user_id, _ = own(demo)
    new = {"application_credential": {"name": "a", "unrestricted": True}}
    granted = demo.post(f"/identity/v3/users/{user_id}/application_credentials", new).json()["application_credential"]
    method = {"id": granted["id"], "secret": granted["secret"]}
    identity = {"methods": ["application_credential"], "application_credential": method}
    answer = Client(cloud.control.app).post("/identity/v3/auth/tokens", {"auth": {"identity": identity}})
    delegated = Client(cloud.control.app, {"X-Auth-Token": answer.headers["x-subject-token"]})
    assert create(delegated, blob=BLOB.replace("an-", "x-")).status == 403
    assert delegated.patch(f"{ALL}/{made['id']}", {"credential": {"blob": BLOB}}).status == 403
    assert delegated.delete(f"{ALL}/{made['id']}").status == 403
    assert delegated.get(f"{ALL}/{loose['id']}").status == delegated.get(f"{ALL}/{made['id']}").status == 403
    assert delegated.get(ALL).status == 403


def test_policy_documents(admin, demo):
    at = "/identity/v3/policies"
    made = admin.post(at, {"policy": {"type": "application/json", "blob": {"foobar_user": ["role:compute-user"]}}})
    assert made.status == 201, made.content
    policy = made.json()["policy"]
    one = f"{at}/{policy['id']}"
    assert admin.get(one).json()["policy"] == policy
    changed = admin.patch(one, {"policy": {"type": "text/plain"}}).json()["policy"]
    assert (changed["type"], changed["blob"]) == ("text/plain", policy["blob"])
    assert [p["id"] for p in admin.get(f"{at}?type=text/plain").json()["policies"]] == [policy["id"]]
    assert admin.post(at, {"policy": {"blob": "b"}}).status == 400
    assert demo.get(at).status == demo.post(at, {"policy": {"type": "t", "blob": "b"}}).status == 403
    assert admin.delete(one).status == 204
    assert admin.get(one).status == 404
