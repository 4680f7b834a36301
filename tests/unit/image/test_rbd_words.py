"""Command lines for Ceph's programs are made of names that cannot be taken for options, and their ends are understood."""

from __future__ import annotations

import pytest

from gureum.agents.hypervisor.image_fetch import Sink
from gureum.agents.hypervisor.rbd_fetch import CephAccess, fetch_rbd
from gureum.drivers.image.errors import ImageStoreError, StoreFull
from gureum.drivers.image.rbd.command import ClusterSilent, Missing, RbdPool, refusal
from gureum.foundation.fleet.failure import AgentFailure

FSID = "3e5bdfbc-1398-45da-8dd1-b98216da494e"


@pytest.fixture
def conf(tmp_path):
    file = tmp_path / "ceph.conf"
    file.write_text(f"[global]\n\tfsid = {FSID}\n\tmon_host = v2:127.0.0.1:1/0\n")
    return file


@pytest.mark.parametrize("name", ["", "-p", "--conf=x", "a/b", "a@b", "a b", "a\n", "x" * 129, "é"])
def test_a_name_that_is_more_than_a_name_is_refused(conf, name):
    for pool, user in ((name, "images"), ("images", name)):
        with pytest.raises(ValueError, match="cannot name"):
            RbdPool(pool, user, conf)


@pytest.mark.parametrize("size", [0, 1, 3 << 20, 2048, 64 << 20])
def test_a_chunk_is_what_ceph_takes(conf, size):
    with pytest.raises(ValueError, match="power of two"):
        RbdPool("images", "images", conf, chunk_bytes=size)


def test_the_cluster_is_known_by_its_configuration_file(conf):
    assert RbdPool("images", "images", conf).fsid() == FSID
    conf.write_text("[global]\nmon host = 127.0.0.1\n# fsid = none\n")
    with pytest.raises(ValueError, match="ceph fsid"):
        RbdPool("images", "images", conf).fsid()


@pytest.mark.parametrize(
    ("code", "said", "kind"),
    [
        (2, "rbd: error opening image a: (2) No such file or directory", Missing),
        (1, "error getting images/rbd_data.1.0: (2) No such file or directory", Missing),
        (2, "rbd: error opening pool 'x': (2) No such file or directory", ImageStoreError),
        (13, "unable to find a keyring on /x: (2) No such file or directory", ImageStoreError),
        (28, "rbd: import failed: (28) No space left on device", StoreFull),
        (110, "rbd: couldn't connect to the cluster!", ClusterSilent),
        (-6, "terminate called", ImageStoreError),
    ],
)
def test_what_an_end_means(code, said, kind):
    assert type(refusal("rbd", code, said)) is kind


@pytest.mark.parametrize(
    "url",
    [
        "rbd://",
        f"rbd://{FSID}/images/a",
        f"rbd://{FSID}/images/a/snap:conf=/etc/passwd",
        f"rbd://{FSID}/--config/a/snap",
        f"rbd://{FSID}/images/a/snap\n",
        f"rbd://{FSID}/images/../snap",
        f"rbd://{FSID[::-1]}/images/a/snap",
    ],
)
def test_a_host_opens_only_snapshots_of_its_own_cluster(conf, tmp_path, url):
    sink = Sink(tmp_path / "target", None, lambda: None)
    with pytest.raises(AgentFailure) as caught:
        fetch_rbd(url, sink, CephAccess(conf, "hosts"), limit_bytes=1)
    assert not caught.value.retry
    assert not (tmp_path / "target").exists()
