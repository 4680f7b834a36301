"""What the metadata service may rely on in a wiring: the loopback stand-in here, the real one with real packets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gureum.agents.metadata.wiring import LoopbackWiring, MetadataPort, WiringFailed

INSIDE = Path(__file__).with_name("metadata_wiring_inside.py")
NETWORK = "0f6c1f4e-1111-4222-8333-444455556666"


def test_loopback_wiring_may_be_repeated():
    wiring = LoopbackWiring()
    port = MetadataPort("net", "port", "fa:16:3e:00:00:02", ("10.0.0.2/24",))
    with pytest.raises(WiringFailed):
        wiring.open_sockets("net")
    wiring.ensure(port)
    wiring.ensure(port)
    [listening] = wiring.open_sockets("net")
    with listening:
        assert listening.getsockname() == wiring.address("net")
    assert wiring.existing() == {"net"}
    wiring.remove("net")
    wiring.remove("net")
    assert wiring.existing() == set()


@pytest.mark.engines
def test_a_guest_reaches_metadata_through_open_vswitch(tmp_path):
    script = 'mount --make-rprivate /; mount -t tmpfs tmpfs /run; mkdir /run/netns; ip link set lo up; exec "$@"'
    command = [
        "unshare",
        "--net",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "sh",
        "-ec",
        script,
        "sh",
    ]
    done = subprocess.run(
        [*command, sys.executable, str(INSIDE), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["answer"] == "HTTP/1.1 200 OK"
    assert seen["bytes"] > 40_000, "a document of many packets arrives whole"
    assert seen["over IPv6"] == seen["over IPv6 after restart"] == "HTTP/1.1 200 OK"
    assert seen["after restart"] == seen["after loss"] == "HTTP/1.1 200 OK"
    assert seen["existing"] == [NETWORK], "the leftover network is gone"
    assert seen["iface-id"] == "metadata-port"
    assert (seen["mac"], seen["mtu"]) == ("fa:16:3e:00:00:02", 1442)
    assert seen["left"] == []
    assert seen["ports left"] == ["tapguest"]
    print(seen["wire_s"])
