"""One bootstrapped identity for each test."""

from __future__ import annotations

import pytest
from tests.api.identity.setting import bootstrapped


@pytest.fixture
def world(database, tmp_path):
    return bootstrapped(database, tmp_path)


@pytest.fixture
def admin(world):
    return world.client("admin")


@pytest.fixture
def demo(world):
    return world.client("demo")
