from __future__ import annotations

import pytest
from tests.api.compute.setting import build
from tests.cloud import SimulatedCloud


@pytest.fixture
def world(database, tmp_path):
    return build(database, tmp_path)


@pytest.fixture
def alice(world):
    return world.as_("alice")


@pytest.fixture
def root(world):
    return world.as_("root")


@pytest.fixture
def cloud(tmp_path):
    """A whole cloud of one host, where `world` is compute alone."""
    cloud = SimulatedCloud(tmp_path, hosts=1)
    yield cloud
    cloud.close()


@pytest.fixture
def demo(cloud):
    return cloud.client("demo")


@pytest.fixture
def image(cloud):
    return cloud.image()
