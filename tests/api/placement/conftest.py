from __future__ import annotations

import pytest
from tests.api.placement.setting import build


@pytest.fixture
def world(database):
    world = build(database)
    yield world
    world.check_sums()


@pytest.fixture
def root(world):
    return world.root
