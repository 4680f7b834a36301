"""The cloud of the matrix with its personas and things: made once for a test module."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.api.policy_matrix.personas import People, Persona
from tests.api.policy_matrix.things import Things
from tests.cloud import SimulatedCloud

from gureum.foundation import clock


@dataclass(frozen=True)
class World:
    """`things` are those of the project alpha-one; every persona has no part in them but as its place says."""

    cloud: SimulatedCloud
    people: People
    personas: list[Persona]
    things: Things


@contextmanager
def matrix_world(request, tmp_path_factory) -> Iterator[World]:
    """Time stands still in it: no host falls silent, no token ends. `GUREUM_MATRIX=postgresql` puts it on PostgreSQL."""
    url = request.getfixturevalue("postgresql_url") if os.environ.get("GUREUM_MATRIX") == "postgresql" else ""
    logging.disable(logging.ERROR)  # thousands of refusals, each a line with its reason
    try:
        with clock.use(clock.VirtualClock()):
            cloud = SimulatedCloud(tmp_path_factory.mktemp("matrix"), hosts=1, database=url)
            people = People(cloud)
            personas = people.personas()
            yield World(cloud, people, personas, Things(cloud, people, personas))
            cloud.close()
    finally:
        logging.disable(logging.NOTSET)
