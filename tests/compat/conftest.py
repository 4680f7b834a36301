"""The clouds that the outside judges share: one simulated process, and one real cloud for those marked `engines`."""

from __future__ import annotations

import pytest
from tests.compat.judged_cloud import RealUp, SimulatedProcess


@pytest.fixture(scope="session")
def simulated(tmp_path_factory):
    with SimulatedProcess(tmp_path_factory.mktemp("cloud")) as cloud:
        yield cloud


@pytest.fixture(scope="session")
def real():
    with RealUp("judged") as cloud:
        yield cloud
