"""What only a Ceph pool can promise: the cluster that is gone, what killed writers leave, the trash, hosts that fetch."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from gureum.agents.hypervisor.image_cache import ImageCache
from gureum.agents.hypervisor.protocol import ImageSource
from gureum.agents.hypervisor.rbd_fetch import CephAccess
from gureum.drivers.image.errors import BlobNotFound, ImageStoreError
from gureum.drivers.image.rbd.command import ClusterSilent
from gureum.drivers.image.rbd.store import RbdImageStore
from gureum.foundation.fleet.failure import AgentFailure

pytestmark = pytest.mark.engines
IMAGE = "5f1d7e0c-53a3-4a3e-9a0e-6a4a4d1c6a01"
MIB = 1 << 20
SOURCE = str(Path(__file__).parents[2] / "src")


def put(store, content, image_id=IMAGE):
    writer = store.create(image_id)
    writer.write(content)
    return writer.commit().location


def test_an_image_is_sparse_has_our_chunks_and_a_snapshot_to_clone_from(ceph, rbd_store):
    location = put(rbd_store, os.urandom(MIB) + bytes(30 * MIB) + b"end")
    found = json.loads(ceph.rbd("info", f"images/{location}", "--format=json"))
    assert (found["size"], found["object_size"]) == (31 * MIB + 3, MIB)
    [snapshot] = json.loads(ceph.rbd("snap", "ls", f"images/{location}", "--format=json"))
    assert (snapshot["name"], snapshot["protected"]) == ("snap", "true")
    prefix = found["block_name_prefix"]
    objects = [name for name in ceph.rados("images", "ls").split() if name.startswith(prefix)]
    assert len(objects) == 2, "zeros took room"
    assert b"".join(rbd_store.open(location, 20 * MIB)) == bytes(11 * MIB) + b"end"
    assert rbd_store.direct_url(location) == f"rbd://{ceph.fsid}/images/{location}/snap"


def test_a_cluster_that_is_gone_is_an_error_within_the_limits(ceph, rbd_pool):
    store = RbdImageStore(dataclasses.replace(rbd_pool, answer_s=1, stall_s=1))
    location = put(store, os.urandom(24 * MIB))
    reader = store.open(location)
    next(reader)
    writer = store.create(IMAGE)
    ceph.freeze()
    began = time.monotonic()
    verbs = (
        lambda: store.size(location),
        lambda: writer.write(bytes(40 * MIB)),
        lambda: b"".join(reader),
    )
    for verb in verbs:
        with pytest.raises(ImageStoreError) as caught:
            verb()
        assert not isinstance(caught.value, BlobNotFound)
    writer.abort()
    assert time.monotonic() - began < 30
    assert "did not answer" in str(store.problem())
    ceph.thaw()
    end = time.monotonic() + 20
    while store.problem() and time.monotonic() < end:
        time.sleep(0.2)
    assert store.problem() is None
    assert list(store.locations()) == [location]


def test_what_a_killed_writer_left_is_not_listed_and_is_swept_when_nobody_writes_it(ceph, rbd_pool, rbd_store):
    code = (
        "import sys, time; from pathlib import Path\n"
        "from gureum.drivers.image.rbd.command import RbdPool\n"
        "from gureum.drivers.image.rbd.store import RbdImageStore\n"
        "writer = RbdImageStore(RbdPool('images', 'images', Path(sys.argv[1]))).create('doomed')\n"
        "writer.write(b'x' * 5_000_000); time.sleep(1); print('written', flush=True); time.sleep(60)\n"
    )
    later = RbdImageStore(rbd_pool, now=lambda: time.time() + 3600)
    with subprocess.Popen(
        [sys.executable, "-c", code, str(ceph.conf)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": SOURCE},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        assert later.sweep(30) == 0, "a living writer's image was swept"
        process.send_signal(signal.SIGKILL)
    assert list(rbd_store.locations()) == []
    assert rbd_store.sweep(30) == 0, "it may be a slow writer between two steps"
    end = time.monotonic() + 20
    while not (swept := later.sweep(30)) and time.monotonic() < end:
        time.sleep(0.5)
    assert swept == 1
    assert ceph.rbd("ls", "images").split() == []


def test_a_deleted_image_leaves_the_trash_by_the_sweep_and_others_stay(ceph, rbd_store):
    location, other = put(rbd_store, b"x"), put(rbd_store, b"y")
    ceph.rbd("clone", f"images/{other}@snap", "images/clone")
    rbd_store.delete(location)
    rbd_store.delete(other)
    rbd_store.sweep(0)
    assert len(json.loads(ceph.rbd("trash", "ls", "images", "--format=json"))) == 2, "a reader would be left with zeros"
    for entry in json.loads(ceph.rbd("trash", "ls", "images", "--format=json")):
        ceph.rbd("trash", "restore", f"images/{entry['id']}")
        ceph.rbd("trash", "mv", f"images/{entry['name']}")
    rbd_store.sweep(0)
    [left] = json.loads(ceph.rbd("trash", "ls", "images", "--format=json"))
    assert left["name"] == other, "a clone lives on it"
    assert ceph.rbd("ls", "images").split() == ["clone"]


def test_the_writer_and_its_child_keep_little_memory(ceph):
    """In a process of its own: how much children took at most is never forgotten, whoever's they were."""
    code = (
        "import os, resource, sys; from pathlib import Path\n"
        "from gureum.drivers.image.rbd.command import RbdPool\n"
        "from gureum.drivers.image.rbd.store import RbdImageStore\n"
        "store = RbdImageStore(RbdPool('images', 'images', Path(sys.argv[1])))\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "writer, piece = store.create('large'), os.urandom(2 << 20)\n"
        "for _ in range(32): writer.write(piece)\n"
        "print(sum(map(len, store.open(writer.commit().location))))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, str(ceph.conf)],
        capture_output=True, text=True, check=True, timeout=120, env={**os.environ, "PYTHONPATH": SOURCE},
    )  # fmt: skip
    read_bytes, own_kib, child_kib = map(int, told.stdout.split())
    assert read_bytes == 64 * MIB
    assert own_kib < 32 << 10
    assert child_kib < 256 << 10


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pool": "nothing"}, "ceph osd pool create nothing"),
        ({"user": "nobody"}, "ceph auth get-or-create client.nobody"),
    ],
)
def test_a_pool_that_cannot_be_used_says_what_to_do(rbd_pool, changes, words):
    store = RbdImageStore(dataclasses.replace(rbd_pool, **changes))
    assert words in str(store.problem())
    with pytest.raises(ImageStoreError) as caught:
        store.size(f"{IMAGE}.0123456789abcdef")
    assert not isinstance(caught.value, BlobNotFound | ClusterSilent)


def test_a_host_takes_an_image_from_the_pool_whatever_its_size(ceph, rbd_store, tmp_path):
    content = os.urandom(3 * MIB + 7)
    source = source_of(rbd_store, content)
    cache = ImageCache(tmp_path / "cache", ceph=CephAccess(ceph.conf, "hosts"))
    with cache.base(source) as base:
        assert base.path.read_bytes() == content


def source_of(store, content, **changes):
    fields = {
        "image_id": IMAGE,
        "disk_format": "raw",
        "size_bytes": len(content),
        "sha512": hashlib.sha512(content).hexdigest(),
        "url": store.direct_url(put(store, content)),
    }
    return ImageSource(**{**fields, **changes})


def test_a_host_refuses_what_is_not_what_it_says_or_not_its_own_cluster(ceph, rbd_store, tmp_path):
    content = b"QFI\xfb\0\0\0\3" + bytes(1000)
    mine = CephAccess(ceph.conf, "hosts")
    good = source_of(rbd_store, content)
    parts = good.url.split("/")
    for access, source, words in [
        (mine, good, "out of range"),
        (mine, source_of(rbd_store, b"x" * 600, sha512="0" * 128), "SHA-512"),
        (mine, source_of(rbd_store, b"x" * 600, size_bytes=5), "bytes"),
        (None, good, "ceph_user"),
        (mine, msgspec.structs.replace(good, url="rbd://" + "0" * 36 + "/" + "/".join(parts[3:])), "cluster"),
        (mine, msgspec.structs.replace(good, url=good.url + ":conf=/tmp/x"), "no RBD snapshot"),
        (CephAccess(ceph.folder / "none", "images"), good, "cannot be read"),
        (CephAccess(ceph.conf, "--help"), good, "cannot name"),
    ]:
        with pytest.raises(AgentFailure, match=words) as caught, ImageCache(tmp_path / "c", ceph=access).base(source):
            pass
        assert not caught.value.retry
    gone = source_of(rbd_store, b"gone")
    rbd_store.delete(gone.url.split("/")[4])
    with pytest.raises(AgentFailure), ImageCache(tmp_path / "c", ceph=mine).base(gone):
        pass
    assert list((tmp_path / "c").iterdir()) == []
