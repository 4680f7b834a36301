"""Fixtures shared by every tier: databases of both kinds and a moving clock."""

from __future__ import annotations

import os
import shutil

import pytest

from gureum.foundation import clock
from gureum.foundation.db.engine import Database


def pytest_collection_modifyitems(config, items):
    missing = [tool for tool in ("libvirtd", "ovs-vswitchd", "ovn-northd", "qemu-system-x86_64") if not shutil.which(tool)]
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
