from __future__ import annotations

import pytest
from tests.api.compute.setting import build


@pytest.fixture
def world(database, tmp_path):
    return build(database, tmp_path)


@pytest.fixture
def alice(world):
    return world.as_("alice")


@pytest.fixture
def root(world):
    return world.as_("root")
