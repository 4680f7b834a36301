"""EC2 access keys, and the tokens of what they signed."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from tests.api.identity.setting import V3, by_credential, by_token, own
from tests.api.identity.test_application_credentials import credential

from gureum.foundation import clock

EC2 = f"{V3}/ec2tokens"
S3 = f"{V3}/s3tokens"
KEYS = {"access", "secret", "user_id", "tenant_id", "trust_id", "links"}


def keys_of(client, user=""):
    return f"{V3}/users/{user or own(client)['user']['id']}/credentials/OS-EC2"


def key(client):
    answer = client.post(keys_of(client), {"tenant_id": own(client)["project"]["id"]})
    assert answer.status == 201, answer.content
    return answer.json()["credential"]


def stamp(ago=0):
    return clock.iso(clock.from_seconds(clock.now() - ago))


def signed_2(given, moment, **params):
    """A request of version 2, signed by hand."""
    params = {"AWSAccessKeyId": given["access"], "SignatureMethod": "HmacSHA256", "SignatureVersion": "2", **params}
    params["Timestamp"] = moment
    query = "&".join(f"{k}={v.replace(':', '%3A')}" for k, v in sorted(params.items()))
    digest = hmac.digest(given["secret"].encode(), f"GET\ncloud\n/\n{query}".encode(), "sha256")
    request = {"access": given["access"], "signature": base64.b64encode(digest).decode(), "params": params}
    return {"credentials": {**request, "host": "cloud:8773", "verb": "GET", "path": "/"}}


def signed_s3(given, ago=0, service="s3"):
    moment = clock.from_seconds(clock.now() - ago).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{moment[:8]}/RegionOne/{service}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(b'request').hexdigest()}"
    secret = f"AWS4{given['secret']}".encode()
    for part in scope.split("/"):
        secret = hmac.digest(secret, part.encode(), "sha256")
    signature = hmac.digest(secret, text.encode(), "sha256").hex()
    token = base64.urlsafe_b64encode(text.encode()).decode()
    return {"credentials": {"access": given["access"], "signature": signature, "token": token}}


@pytest.fixture
def service(world):
    return world.member("swift", "service")


def test_keys_and_their_documents(admin, demo):
    given = key(demo)
    assert set(given) == KEYS
    assert given["trust_id"] is None
    assert demo.get(f"{keys_of(demo)}/{given['access']}").json()["credential"] == given
    assert demo.get(keys_of(demo)).json()["credentials"] == [given]
    assert admin.get(keys_of(demo)).json()["credentials"] == [given]
    assert demo.delete(f"{keys_of(demo)}/{given['access']}").status == 204
    assert demo.get(f"{keys_of(demo)}/{given['access']}").status == 404
    assert demo.post(keys_of(demo), {"tenant_id": "0" * 32}).status == 404
    assert demo.post(keys_of(demo), {}).status == 400


def test_keys_are_their_users(world, admin, demo):
    given = key(admin)
    theirs = keys_of(admin)
    assert demo.get(theirs).status == demo.get(f"{theirs}/{given['access']}").status == 403
    assert demo.delete(f"{theirs}/{given['access']}").status == 403
    assert demo.post(theirs, {"tenant_id": given["tenant_id"]}).status == 403
    assert demo.get(f"{keys_of(demo)}/{given['access']}").status == 403
    assert demo.get(f"{keys_of(demo)}/unknown").status == demo.get(f"{theirs}/unknown").status == 404


def test_cve_2026_33551_delegated_tokens_make_and_see_no_keys(world, demo):
    robot = world.with_token(world.token(by_credential(credential(demo, unrestricted=True))))
    given = key(demo)
    assert robot.post(keys_of(demo), {"tenant_id": given["tenant_id"]}).status == 403
    assert robot.delete(f"{keys_of(demo)}/{given['access']}").status == 403
    assert robot.get(keys_of(demo)).status == robot.get(f"{keys_of(demo)}/{given['access']}").status == 403


def test_the_token_of_a_signed_request(world, service, demo):
    given = key(demo)
    answer = service.post(EC2, signed_2(given, stamp()))
    assert answer.status == 200, answer.content
    token = answer.json()["token"]
    assert token["methods"] == ["ec2credential"]
    assert token["project"]["id"] == given["tenant_id"]
    assert token["user"]["name"] == "demo"
    assert world.alive(world.with_token(answer.headers["x-subject-token"]))
    elder = {"ec2Credentials": signed_2(given, stamp(5))["credentials"]}
    assert service.post(EC2, elder).status == 200


def test_the_token_of_a_signed_request_does_not_leave_the_project_of_its_key(world, service, demo):
    given, me = key(demo), own(demo)["user"]["id"]
    other = world.project("other")
    world.grant(f"projects/{other}", f"users/{me}", "member")
    answer = service.post(EC2, signed_2(given, stamp()))
    signed = world.with_token(answer.headers["x-subject-token"])
    rescoped = world.with_token(world.token(by_token(answer.headers["x-subject-token"])))
    trust = {"trustor_user_id": me, "trustee_user_id": me, "project_id": other, "impersonation": True}
    for client in (signed, rescoped):
        assert client.post(keys_of(demo), {"tenant_id": other}).status == 403
        assert client.get(keys_of(demo)).status == client.get(f"{V3}/credentials").status == 403
        made = client.post(f"{V3}/OS-TRUST/trusts", {"trust": {**trust, "roles": [{"name": "member"}]}})
        assert made.status == 403
        new = {"application_credential": {"name": "a", "unrestricted": True}}
        assert client.post(f"{V3}/users/{me}/application_credentials", new).status == 403
        listed = client.get(f"{V3}/auth/projects").json()["projects"]
        assert [project["id"] for project in listed] == [given["tenant_id"]]


def test_cve_2020_12692_signatures_end_and_are_good_once(service, demo):
    given = key(demo)
    request = signed_2(given, stamp())
    assert service.post(EC2, request).status == 200
    assert service.post(EC2, request).status == 401
    for ago in (1000, -1000, 86_400):
        assert service.post(EC2, signed_2(given, stamp(ago))).status == 401
    assert service.post(S3, signed_s3(given, ago=8 * 86_400)).status == 401
    assert service.post(S3, signed_s3(given, ago=-1000)).status == 401


def test_cve_2025_65073_signatures_are_for_services_to_exchange(world, admin, demo):
    given = key(demo)
    for client, status in ((world.anonymous, 401), (demo, 403), (world.member("boss", "manager"), 403), (admin, 200)):
        assert client.post(EC2, signed_2(given, stamp(status))).status == status
        assert client.post(S3, signed_s3(given)).status == status


def test_s3(world, service, demo):
    given = key(demo)
    answer = service.post(S3, signed_s3(given, ago=3600))
    assert answer.json()["token"]["project"]["id"] == given["tenant_id"]
    assert service.post(S3, signed_s3(given, service="iam")).status == 401


@pytest.mark.parametrize("path", [EC2, S3])
def test_wrong_signatures_all_get_one_answer(service, demo, path):
    given = key(demo)
    make = (lambda g: signed_2(g, stamp())) if path == EC2 else signed_s3
    answers = [
        service.post(path, make({**given, "secret": "wrong"})),
        service.post(path, make({**given, "access": "0" * 32})),
        service.post(path, {"credentials": {"access": given["access"], "signature": "x"}}),
    ]
    assert {(answer.status, answer.content) for answer in answers} == {(401, answers[0].content)}
    assert service.post(path, {"credentials": {"access": "a"}}).status == 400
    assert service.post(path, {}).status == 400


def test_who_may_not_act_gets_no_token(world, service, admin):
    eve = world.member("eve")
    given = key(eve)
    held = f"{V3}/projects/{given['tenant_id']}/users/{given['user_id']}/roles/{world.role('member')}"
    assert admin.delete(held).status == 204
    assert service.post(EC2, signed_2(given, stamp())).status == 401
    assert admin.put(held).status == 204
    assert admin.patch(f"{V3}/users/{given['user_id']}", {"user": {"enabled": False}}).status == 200
    assert service.post(EC2, signed_2(given, stamp(1))).status == 401
