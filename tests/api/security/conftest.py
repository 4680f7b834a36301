"""Attacks on identity alone, and on a whole simulated cloud."""

from __future__ import annotations

import pytest
from tests.api.identity.setting import bootstrapped
from tests.api.security.everything import one_of_each
from tests.cloud import SimulatedCloud


@pytest.fixture
def world(database, tmp_path):
    return bootstrapped(database, tmp_path)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    """One cloud for all tests of a module: none of them may leave anything in it."""
    cloud = SimulatedCloud(tmp_path_factory.mktemp("cloud"), hosts=1)
    yield cloud
    cloud.close()


@pytest.fixture(scope="module")
def things(cloud):
    """One of each noun of the project `demo`: path parameter -> id."""
    return one_of_each(cloud)


@pytest.fixture(scope="module")
def stranger(cloud):
    """A member of another project of the same domain."""
    admin, base = cloud.client("admin"), "/identity/v3"
    user = admin.post(f"{base}/users", {"user": {"name": "mallory", "password": "m"}}).json()["user"]["id"]
    project = admin.post(f"{base}/projects", {"project": {"name": "mallory"}}).json()["project"]["id"]
    (role,) = admin.get(f"{base}/roles?name=member").json()["roles"]
    assert admin.put(f"{base}/projects/{project}/users/{user}/roles/{role['id']}").status == 204
    return cloud.client("mallory", password="m")
