"""Fixtures of the network API's tests; what they are made of is in `setting.py`."""

from __future__ import annotations

import pytest

from tests.api.network.setting import Maker, open_cloud


@pytest.fixture
def cloud(database):
    cloud = open_cloud(database)
    yield cloud
    cloud.writer.stop()


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
