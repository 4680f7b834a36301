"""A token that access rules narrow, at every service of the cloud: nothing opens but what a rule names."""

from __future__ import annotations

import pytest
from tests.api.client import Client

RULES = [
    {"service": "compute", "method": "GET", "path": "/v2.1/servers/*"},
    {"service": "network", "method": "GET", "path": "/v2.0/networks"},
    {"service": "image", "method": "GET", "path": "/v2/**"},
]
OPEN = ["/compute/v2.1/servers/detail", "/network/v2.0/networks", "/image/v2/images", "/image/v2/schemas/image"]
SHUT = [
    ("GET", "/compute/v2.1/servers"),
    ("GET", "/compute/v2.1/servers/some/ips"),
    ("GET", "/compute/v2.1/flavors"),
    ("POST", "/compute/v2.1/servers"),
    ("GET", "/network/v2.0/networks/some"),
    ("GET", "/network/v2.0/ports"),
    ("POST", "/image/v2/images"),
    ("PUT", "/image/v2/images/some/file"),
    ("GET", "/identity/v3/auth/projects"),
    ("GET", "/placement/resource_providers"),
]


@pytest.fixture
def robot(cloud):
    demo = cloud.client("demo")
    token = demo.headers["X-Auth-Token"]
    user = demo.get("/identity/v3/auth/tokens", X_Subject_Token=token).json()["token"]["user"]["id"]
    body = {"application_credential": {"name": "robot", "access_rules": RULES}}
    given = demo.post(f"/identity/v3/users/{user}/application_credentials", body).json()["application_credential"]
    method = {"id": given["id"], "secret": given["secret"]}
    identity = {"methods": ["application_credential"], "application_credential": method}
    answer = Client(cloud.control.app).post("/identity/v3/auth/tokens", {"auth": {"identity": identity}})
    return Client(cloud.control.app, {"X-Auth-Token": answer.headers["x-subject-token"]})


def test_what_rules_name_is_open_and_all_else_is_shut(robot):
    assert {path: robot.get(path).status for path in OPEN} == dict.fromkeys(OPEN, 200)
    assert {pair: robot.request(*pair).status for pair in SHUT} == dict.fromkeys(SHUT, 401)
