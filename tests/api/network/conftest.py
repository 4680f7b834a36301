"""Fixtures of the network API's tests; what they are made of is in `setting.py`."""

from __future__ import annotations

import shutil

import pytest

from gureum.foundation.db.engine import Database
from tests.api.network.setting import Maker, bootstrap, open_cloud


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """A database as a cloud's start leaves it; each test works on a copy, which is quicker than a start."""
    file = tmp_path_factory.mktemp("network") / "template.sqlite"
    database = Database(f"sqlite:///{file}")
    bootstrap(database)
    database.close()
    return file


@pytest.fixture
def cloud(template, tmp_path):
    database = Database(f"sqlite:///{shutil.copy(template, tmp_path / 'test.sqlite')}")
    cloud = open_cloud(database)
    yield cloud
    cloud.writer.stop()
    database.close()


@pytest.fixture
def alice(cloud):
    return cloud.client("alice")


@pytest.fixture
def bob(cloud):
    return cloud.client("bob")


@pytest.fixture
def root(cloud):
    return cloud.client("root")


@pytest.fixture
def make(alice):
    return Maker(alice)


@pytest.fixture
def wan(cloud, make):
    """A network with a subnet behind a router that leaves through `public`."""
    network = make.network()
    subnet = make.subnet(network)
    router = make.router(external_gateway_info={"network_id": cloud.public_id()})
    make.add_leg(router, subnet_id=subnet["id"])
    return network, subnet, router
