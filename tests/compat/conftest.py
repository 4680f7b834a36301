"""The clouds that the outside judges share: one simulated process, and one real cloud for those marked `engines`.

Simulated ones keep their state in SQLite or, with GUREUM_JUDGES=postgresql in the environment, in PostgreSQL: the same
judges ask the same of both. CI runs them on SQLite.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from tests.compat.judged_cloud import RealUp, SimulatedProcess


@pytest.fixture(scope="session")
def judged_database(request) -> Callable[[], str]:
    """Makes the database of a simulated cloud: its URL, or "" for a file of the cloud's own."""
    kind = os.environ.get("GUREUM_JUDGES", "sqlite")
    assert kind in ("sqlite", "postgresql"), f"GUREUM_JUDGES is sqlite or postgresql, not {kind!r}"
    return request.getfixturevalue("postgresql_server").new_database if kind == "postgresql" else str


@pytest.fixture(scope="session")
def simulated(tmp_path_factory, judged_database):
    with SimulatedProcess(tmp_path_factory.mktemp("cloud"), database=judged_database()) as cloud:
        yield cloud


@pytest.fixture(scope="session")
def real():
    with RealUp("judged") as cloud:
        yield cloud
