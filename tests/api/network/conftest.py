"""Fixtures of the network API's tests; what they are made of is in `setting.py`."""

from __future__ import annotations

import os
import shutil

import pytest
from tests.api.network.setting import Maker, bootstrap, open_cloud

from gureum.foundation.db.engine import Database
from gureum.foundation.db.types import Row


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
    """Over SQLite, or over the database that GUREUM_TEST_DATABASE names, whose tables are made anew for each test."""
    url = os.environ.get("GUREUM_TEST_DATABASE")
    database = Database(url or f"sqlite:///{shutil.copy(template, tmp_path / 'test.sqlite')}")
    if url:
        Row.metadata.drop_all(database.engine)
        bootstrap(database)
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
