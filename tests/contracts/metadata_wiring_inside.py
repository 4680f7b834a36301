"""Runs inside namespaces of its own (see `test_metadata_wiring.py`): a real Open vSwitch, a guest, the real wiring.

Prints one JSON object with what was seen. Everything it starts dies with the process namespace.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from gureum.agents.hypervisor.protocol import GuestData, NicSpec, ServerSpec
from gureum.agents.hypervisor.server_store import ServerStore
from gureum.agents.metadata.namespaces import FOLDER, switch_off_checksum_offload
from gureum.agents.metadata.ovs_wiring import OvsSettings, OvsWiring
from gureum.agents.metadata.service import MetadataService

NETWORK = "0f6c1f4e-1111-4222-8333-444455556666"
OTHER = "0f6c1f4e-9999-4222-8333-444455556666"
FETCH = """
import socket, sys
s = socket.create_connection((sys.argv[2], 80), timeout=5)
s.sendall(("GET " + sys.argv[1] + " HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n").encode())
data = b""
while piece := s.recv(65536):
    data += piece
sys.stdout.write(data.decode())
"""


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout


def start_switch(folder: Path) -> None:
    run("ovsdb-tool", "create", f"{folder}/conf.db", "/usr/share/openvswitch/vswitch.ovsschema")
    database = f"unix:{folder}/db.sock"
    for command in (
        ["ovsdb-server", f"{folder}/conf.db", f"--remote=p{database}", f"--unixctl={folder}/ovsdb.ctl"],
        ["ovs-vswitchd", database, "--disable-system", f"--unixctl={folder}/vswitchd.ctl"],
    ):
        log = (folder / f"{command[0]}.log").open("w")
        subprocess.Popen(
            command, stdout=log, stderr=log, env={"OVS_RUNDIR": str(folder), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        )
        deadline = time.monotonic() + 10
        while command[0] == "ovsdb-server" and not (folder / "db.sock").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
    run("ovs-vsctl", f"--db={database}", "--timeout=20", "add-br", "br-int", "--",
        "set", "bridge", "br-int", "datapath_type=netdev")  # fmt: skip


def add_guest(folder: Path) -> None:
    """A namespace that stands for a guest at 10.0.0.5, with the route that DHCP would give it."""
    run("ip", "netns", "add", "guest")
    run("ip", "link", "add", "tapguest", "type", "veth", "peer", "name", "eth0", "netns", "guest")
    run("ip", "link", "set", "tapguest", "up")
    switch_off_checksum_offload("tapguest")
    run("ip", "netns", "exec", "guest", "ethtool", "-K", "eth0", "tx", "off")
    run("ip", "-n", "guest", "link", "set", "eth0", "address", "fa:16:3e:00:00:05")
    run("ip", "netns", "exec", "guest", "sysctl", "-qw", "net.ipv6.conf.eth0.accept_dad=0")
    run("ip", "-n", "guest", "address", "add", "10.0.0.5/24", "dev", "eth0")
    run("ip", "-n", "guest", "link", "set", "eth0", "up")
    run("ip", "-n", "guest", "route", "add", "169.254.169.254/32", "via", "10.0.0.2")
    run("ovs-vsctl", f"--db=unix:{folder}/db.sock", "--timeout=20", "add-port", "br-int", "tapguest")


def fetch(path: str, address: str = "169.254.169.254") -> str:
    return run("ip", "netns", "exec", "guest", sys.executable, "-c", FETCH, path, address)


def fetch_over_ipv6() -> str:
    """The first line of an answer to the guest's own link-local address, which is known by its MAC alone."""
    return fetch("/openstack/latest/meta_data.json", "fe80::a9fe:a9fe%eth0").splitlines()[0]


def spec_of(server_id: str, network_id: str) -> ServerSpec:
    nic = NicSpec(
        "port-1",
        network_id,
        "fa:16:3e:00:00:05",
        mtu=1442,
        fixed_ips=("10.0.0.5",),
        metadata_port_id="metadata-port",
        metadata_mac="fa:16:3e:00:00:02",
        metadata_addresses=("10.0.0.2/24", "fd00::2/64"),
    )
    big = json.dumps({"name": server_id, "fill": "x" * 40_000})
    return ServerSpec(server_id, server_id, 1, 64, 1, "running", 1, nics=(nic,), guest=GuestData(meta_data=big))


def main(folder: Path) -> dict[str, object]:
    start_switch(folder)
    add_guest(folder)
    database = f"unix:{folder}/db.sock"
    wiring = OvsWiring(OvsSettings("wt", database=database, userspace=True))
    store = ServerStore(folder / "servers")
    # What a killed agent and a dead host may leave: a wired network without a guest, a bare file.
    run("ip", "netns", "add", f"wt-md-{OTHER}")
    (FOLDER / f"wt-md-{NETWORK}").touch()
    store.save_spec(spec_of("one", NETWORK))
    seen: dict[str, object] = {}
    first = MetadataService(store, wiring)
    began = time.monotonic()
    first.reconcile()
    seen["wire_s"] = round(time.monotonic() - began, 3)
    seen["answer"] = fetch("/openstack/latest/meta_data.json").splitlines()[0]
    seen["bytes"] = len(fetch("/openstack/latest/meta_data.json"))
    seen["over IPv6"] = fetch_over_ipv6()
    seen["existing"] = sorted(wiring.existing())
    seen["iface-id"] = run("ovs-vsctl", f"--db={database}", "get", "Interface", f"md{NETWORK[:11]}",
                           "external_ids:iface-id").strip()  # fmt: skip
    shown = json.loads(run("ip", "-n", f"wt-md-{NETWORK}", "-json", "address", "show", "eth0"))[0]
    seen["mac"], seen["mtu"] = shown["address"], shown["mtu"]
    first.stop()
    second = MetadataService(store, wiring)
    second.reconcile()
    seen["after restart"] = fetch("/openstack/latest/meta_data.json").splitlines()[0]
    seen["over IPv6 after restart"] = fetch_over_ipv6()
    run("ip", "netns", "delete", f"wt-md-{NETWORK}")
    second.reconcile()
    seen["after loss"] = fetch("/openstack/latest/meta_data.json").splitlines()[0]
    store.remove("one")
    second.release({NETWORK})
    seen["left"] = sorted(wiring.existing()) + [path.name for path in FOLDER.glob("wt-md-*")]
    seen["ports left"] = run("ovs-vsctl", f"--db={database}", "list-ports", "br-int").split()
    second.stop()
    return seen


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))), flush=True)
