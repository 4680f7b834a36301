"""Engines that several contracts share: one Ceph cluster for the session, its pool empty for each test."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import ceph_cluster

from gureum.drivers.image.rbd.command import RbdPool
from gureum.drivers.image.rbd.store import RbdImageStore

POOL = USER = "images"
READER = "hosts"


@pytest.fixture(scope="session")
def ceph_session() -> Iterator[ceph_cluster.CephCluster]:
    if missing := ceph_cluster.absent():
        pytest.skip(f"needs {missing}: apt-get install ceph-mon ceph-osd ceph-common")
    folder = Path(tempfile.mkdtemp(prefix="gureum-ceph-"))
    cluster = ceph_cluster.CephCluster(folder)
    try:
        cluster.start()
        cluster.pool(POOL, USER, READER)
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def ceph(ceph_session: ceph_cluster.CephCluster) -> Iterator[ceph_cluster.CephCluster]:
    ceph_session.empty(POOL)
    yield ceph_session
    ceph_session.thaw()


@pytest.fixture
def rbd_pool(ceph: ceph_cluster.CephCluster) -> RbdPool:
    """Chunks are small: a test's image has several."""
    return RbdPool(POOL, USER, ceph.conf, chunk_bytes=1 << 20)


@pytest.fixture
def rbd_store(rbd_pool: RbdPool) -> RbdImageStore:
    return RbdImageStore(rbd_pool)
