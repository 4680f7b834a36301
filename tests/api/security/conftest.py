"""Attacks on identity alone, and on a whole simulated cloud."""

from __future__ import annotations

import pytest
from tests.api.identity.setting import bootstrapped
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
