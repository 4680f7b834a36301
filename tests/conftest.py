"""Fixtures shared by every tier: databases of both kinds and a moving clock."""

from __future__ import annotations

import os
import shutil

import hypothesis
import pytest

from gureum.foundation import clock
from gureum.foundation.db.engine import Database
from tests.postgresql_server import PostgresqlServer, binaries

# How long an example takes says how busy the machine is, not whether the rule holds.
hypothesis.settings.register_profile("gureum", deadline=None)
hypothesis.settings.load_profile("gureum")


def pytest_collection_modifyitems(config, items):
    missing = [
        tool for tool in ("libvirtd", "ovs-vswitchd", "ovn-northd", "qemu-system-x86_64") if not shutil.which(tool)
    ]
    for item in items:
        if "engines" in item.keywords and (missing or os.geteuid() != 0):
            item.add_marker(pytest.mark.skip(reason=f"needs root and the engines: {', '.join(missing) or 'not root'}"))


@pytest.fixture
def virtual_clock():
    moving = clock.VirtualClock()
    with clock.use(moving):
        yield moving


@pytest.fixture
def database(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/test.sqlite")
    yield database
    database.close()


@pytest.fixture(scope="session")
def postgresql_server():
    """One PostgreSQL for the whole session, gone after it. `new_database()` gives the URL of an empty database."""
    folder = binaries()
    if folder is None:
        pytest.skip("needs PostgreSQL's own programs: apt-get install postgresql")
    server = PostgresqlServer(folder)
    yield server
    server.stop()


@pytest.fixture
def own_postgresql():
    """A PostgreSQL for one test, which may stop and start it."""
    folder = binaries()
    if folder is None:
        pytest.skip("needs PostgreSQL's own programs: apt-get install postgresql")
    server = PostgresqlServer(folder)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def postgresql_url(postgresql_server):
    """A database on PostgreSQL, empty when the test module begins: `SimulatedCloud(folder, database=postgresql_url)`."""
    return postgresql_server.new_database()
