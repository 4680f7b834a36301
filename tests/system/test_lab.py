"""A lab on the real engines, with stand-ins for Gureum's own processes: wires, restarts, adoption, and nothing left.

Needs root and the Debian packages of a real cloud. Everything is named after the lab of a folder that is made here.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gureum.lab import packages
from gureum.lab.launch import SOURCE, bring_down, bring_up, read_status
from gureum.lab.process import Process, inside, read_pid_file
from gureum.lab.refusal import Refusal
from gureum.lab.state import StateFolder, open_state

pytestmark = [
    pytest.mark.engines,
    pytest.mark.skipif(
        os.geteuid() != 0 or bool(packages.missing(packages.ENGINES)), reason="needs root and the engines' packages"
    ),
]
STAND_INS = Path(__file__).parent / "standins"


class Silent:
    """A report that shows nothing."""

    @contextmanager
    def step(self, _title: str) -> Iterator[None]:
        yield

    def done(self, title: str, seconds: float) -> None: ...

    def waiting(self, what: str) -> None: ...


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def up(state: StateFolder, **asked: object) -> None:
    bring_up(state, asked, Silent(), STAND_INS)


@pytest.fixture(scope="module")
def machine_before() -> dict[str, str]:
    return seen_of_the_machine()


@pytest.fixture(scope="module")
def lab(machine_before: dict[str, str]) -> Iterator[StateFolder]:
    """Three hosts, up."""
    state = open_state(tempfile.mkdtemp(prefix="gureum-lab-", dir="/tmp"))
    try:
        prepare_image(state)
        up(state, hosts=3, port=free_port())
        yield state
    finally:
        bring_down(state, True, Silent())
        shutil.rmtree(state.root, ignore_errors=True)


def prepare_image(state: StateFolder) -> None:
    """The lab's tests start no guest, so any file will do for its image."""
    image = Path(tempfile.gettempdir(), "gureum-lab-test-image")
    image.touch()
    state.root.mkdir(exist_ok=True)
    state.remember({"guest_image": str(image)})


def seen_of_the_machine() -> dict[str, str]:
    return {
        "links": run("ip", "-oneline", "link"),
        "namespaces": run("ip", "netns"),
        "mounts": Path("/proc/self/mounts").read_text(),
        "tables": run("nft", "list", "tables"),
    }


def run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stdout}{done.stderr}"
    return done.stdout


def within(state: StateFolder, host: str, script: str) -> str:
    holder = read_pid_file(state.pid_file(host))
    assert holder
    return run("nsenter", "-t", str(holder.pid), "-n", "-m", "-u", "-r", "-w", "--", "sh", "-ec", script)


def eventually(what: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)


def daemon(state: StateFolder, name: str) -> Process:
    process = read_pid_file(state.pid_file(name))
    assert process, f"{name} does not run"
    return process


def plug(state: StateFolder, host: str, port: str, address: str) -> None:
    """A namespace as a guest: a veth into br-int, named for its logical port."""
    index = address.rpartition(".")[2]
    within(
        state, host,
        f"ip netns add {port}; ip link add {port} type veth peer name eth0 netns {port}; ip link set {port} up;"
        f"ip netns exec {port} ip link set eth0 address 02:00:00:00:00:{int(index):02x} mtu 1400 up;"
        f"ip netns exec {port} ip address add {address}/24 dev eth0; ip netns exec {port} ip link set lo up;"
        f"ethtool -K {port} tx off >/dev/null; ip netns exec {port} ethtool -K eth0 tx off >/dev/null;"
        f"ovs-vsctl add-port br-int {port} -- set interface {port} external_ids:iface-id={port}",
    )  # fmt: skip


def test_guests_on_different_hosts_reach_each_other_over_geneve(lab: StateFolder) -> None:
    north = f"--db=unix:{lab.ovn}/nb.sock"
    run("ovn-nbctl", north, "ls-add", "wire")
    for number, host in ((1, "host1"), (2, "host3")):
        run(
            "ovn-nbctl",
            north,
            "lsp-add",
            "wire",
            f"p{number}",
            "--",
            "lsp-set-addresses",
            f"p{number}",
            f"02:00:00:00:00:{number:02x} 10.9.0.{number}",
        )
        plug(lab, host, f"p{number}", f"10.9.0.{number}")
    run("ovn-nbctl", north, "--timeout=30", "wait-until", "logical_switch_port", "p1", "up=true")
    run("ovn-nbctl", north, "--timeout=30", "wait-until", "logical_switch_port", "p2", "up=true")
    within(lab, "host1", "ip netns exec p1 ping -c 3 -i 0.2 -w 15 10.9.0.2")
    before = int(within(lab, "host1", "cat /sys/class/net/underlay/statistics/tx_bytes"))
    server = "import socket; s = socket.create_server(('10.9.0.2', 7)); c = s.accept()[0]; c.sendall(b'x' * 200000); c.close()"
    client = "import socket; c = socket.create_connection(('10.9.0.2', 7), 5); print(len(b''.join(iter(lambda: c.recv(65536), b''))))"
    holder = daemon(lab, "host3")
    listening = subprocess.Popen(
        [
            "nsenter",
            "-t",
            str(holder.pid),
            "-n",
            "-m",
            "--",
            "ip",
            "netns",
            "exec",
            "p2",
            "/usr/bin/python3",
            "-c",
            server,
        ]
    )
    try:
        eventually(lambda: ":7 " in within(lab, "host3", "ip netns exec p2 ss -Hltn | sed 's/$/ /'"))
        assert within(lab, "host1", f'ip netns exec p1 /usr/bin/python3 -c "{client}"').strip() == "200000"
    finally:
        listening.kill()
        listening.wait()
    assert int(within(lab, "host1", "cat /sys/class/net/underlay/statistics/tx_bytes")) > before


def test_the_machine_reaches_the_external_network(lab: StateFolder) -> None:
    prefix = str(lab.remembered()["external_cidr"]).rpartition(".")[0]
    within(
        lab,
        "host2",
        f"ip address add {prefix}.77/24 dev br-ex; ip link set br-ex up; ethtool -K br-ex tx off >/dev/null",
    )
    run("ping", "-c", "2", "-i", "0.2", "-W", "5", f"{prefix}.77")
    assert "unreachable" in run("ip", "route", "show", f"{prefix}.0/24")


LISTEN = """
import socket, sys
kind = socket.SOCK_STREAM if sys.argv[1] == "tcp" else socket.SOCK_DGRAM
with socket.socket(socket.AF_INET, kind) as one:
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.bind((sys.argv[2], int(sys.argv[3])))
    if kind == socket.SOCK_STREAM:
        one.listen()
    print("ready", flush=True)
    while True:
        if kind == socket.SOCK_STREAM:
            one.accept()[0].sendall(b"heard")
        else:
            one.sendto(b"heard", one.recvfrom(100)[1])
"""
ASK = """
import socket, sys
kind = socket.SOCK_STREAM if sys.argv[1] == "tcp" else socket.SOCK_DGRAM
with socket.socket(socket.AF_INET, kind) as one:
    one.settimeout(2)
    try:
        one.connect((sys.argv[2], int(sys.argv[3])))
        one.send(b"?")
        print(one.recv(100).decode())
    except OSError as error:
        print("silence" if isinstance(error, TimeoutError) else error.strerror)
"""


class Neighbours:
    """Programs on the machine, and in host2's namespaces, which stand on the external network as guests do."""

    def __init__(self, state: StateFolder, host: str = "host2") -> None:
        self._words = ["nsenter", "-t", str(daemon(state, host).pid), "-n", "--"]
        self._listening: list[subprocess.Popen[str]] = []

    def listen(self, where: str, kind: str, address: str, port: int) -> None:
        words = [*self._place(where), "/usr/bin/python3", "-c", LISTEN, kind, address, str(port)]
        one = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        self._listening.append(one)
        assert one.stdout
        assert one.stdout.readline().strip() == "ready"

    def ask(self, where: str, kind: str, address: str, port: int) -> str:
        return run(*self._place(where), "/usr/bin/python3", "-c", ASK, kind, address, str(port)).strip()

    def _place(self, where: str) -> list[str]:
        return [] if where == "machine" else self._words

    def close(self) -> None:
        for one in self._listening:
            one.kill()
            one.communicate()


@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_guests_reach_no_service_of_the_machine_but_answer_it(lab: StateFolder, kind: str) -> None:
    prefix = str(lab.remembered()["external_cidr"]).rpartition(".")[0]
    there = Neighbours(lab)
    try:
        there.listen("machine", kind, f"{prefix}.1", 7777)
        there.listen("guest", kind, f"{prefix}.77", 7777)
        assert there.ask("machine", kind, f"{prefix}.1", 7777) == "heard", "the service is there"
        assert there.ask("machine", kind, f"{prefix}.77", 7777) == "heard", "what the machine begins is answered"
        assert there.ask("guest", kind, f"{prefix}.1", 7777) == "silence", "what a guest begins is not"
        within(lab, "host2", f"ping -c 1 -W 3 {prefix}.1")
    finally:
        there.close()


def test_libvirt_of_each_host_is_its_own(lab: StateFolder) -> None:
    identities = {
        within(lab, host, "virsh -q -c qemu:///system capabilities | grep -m1 '<uuid>'")
        for host in ("host1", "host2", "host3")
    }
    assert len(identities) == 3


@pytest.mark.parametrize(
    "name", ["control", "host1.agent", "host1.ovn-controller", "host2.libvirtd", "ovn-northd", "ovn-sb"]
)
def test_what_is_killed_is_started_again(lab: StateFolder, name: str) -> None:
    before = daemon(lab, name)
    before.send(signal.SIGKILL)
    eventually(lambda: (now := read_pid_file(lab.pid_file(name))) and now.pid != before.pid)
    eventually(lambda: (read_status(lab) or {})["daemons"][name]["state"] == "running")
    assert (read_status(lab) or {})["daemons"][name]["restarts"] >= 1


def test_a_killed_switch_comes_back_with_its_tunnel_address(lab: StateFolder) -> None:
    daemon(lab, "host3.vswitchd").send(signal.SIGKILL)
    eventually(lambda: (read_status(lab) or {})["daemons"]["host3.vswitchd"]["restarts"])
    eventually(lambda: (read_status(lab) or {})["daemons"]["host3.vswitchd"]["state"] == "running")
    assert "100.64.0.4" in within(lab, "host3", "ip address show br-phy")
    within(lab, "host1", "ip netns exec p1 ping -c 1 -w 15 10.9.0.2")


def test_namespaces_outlive_their_holders(lab: StateFolder) -> None:
    for name in ("fabric", "host1"):
        before = daemon(lab, name)
        space = before.namespace("net")
        before.send(signal.SIGKILL)
        assert before.wait(5)
        eventually(lambda: (now := read_pid_file(lab.pid_file(name))) and now.namespace("net") == space)  # noqa: B023
    eventually(lambda: all(one["state"] == "running" for one in (read_status(lab) or {})["daemons"].values()))
    within(lab, "host1", "ip netns exec p1 ping -c 1 -w 10 10.9.0.2")


def test_the_next_up_adopts_what_a_killed_supervisor_left(lab: StateFolder) -> None:
    supervisor = daemon(lab, "supervisor")
    running = {file.stem: read_pid_file(file) for file in lab.run.glob("*.pid") if file.stem != "supervisor"}
    supervisor.send(signal.SIGKILL)
    supervisor.wait(5)
    up(lab)
    assert {name: read_pid_file(lab.pid_file(name)) for name in running} == running
    daemon(lab, "host2.agent").send(signal.SIGKILL)
    eventually(lambda: (read_status(lab) or {})["daemons"]["host2.agent"]["restarts"] == 1)


def test_the_next_up_ends_what_outlived_its_namespaces_holder(lab: StateFolder) -> None:
    """A guest that alone outlives every daemon would keep its disks locked against its own next start."""
    holder = daemon(lab, "host1")
    words = ["nsenter", "-t", str(holder.pid), "-n", "-m", "-u", "-r", "-w", "--", "bash", "-c"]
    guest = subprocess.Popen([*words, f"exec -a {lab.host('host1')}/instances/x/disk sleep 300"])
    try:
        eventually(lambda: Path(f"/proc/{guest.pid}/comm").read_text() == "sleep\n")
        daemon(lab, "supervisor").send(signal.SIGKILL)
        for file in lab.run.glob("*.pid"):
            if process := read_pid_file(file):
                process.send(signal.SIGKILL)
                process.wait(5)
        assert guest.poll() is None
        up(lab)
        assert guest.wait(5) == -signal.SIGTERM
    finally:
        guest.kill()
        guest.wait()
    assert (read_status(lab) or {})["phase"] == "running"


def test_up_on_a_running_lab_changes_nothing_and_refuses_other_options(lab: StateFolder) -> None:
    before = daemon(lab, "control")
    up(lab)
    assert daemon(lab, "control") == before
    with pytest.raises(Refusal, match="was started with --hosts 3"):
        up(lab, hosts=2)


def test_down_leaves_nothing_and_up_brings_it_back(lab: StateFolder, machine_before: dict[str, str]) -> None:
    spaces = {daemon(lab, name).namespace("net") for name in ("fabric", "host1", "host2", "host3")}
    assert bring_down(lab, False, Silent())
    assert not list(inside(spaces))
    assert not list(lab.run.glob("*.pid"))
    eventually(lambda: seen_of_the_machine() == machine_before, 10)
    assert not bring_down(lab, False, Silent()), "a second down finds nothing"
    up(lab)
    assert (read_status(lab) or {})["phase"] == "running"
    assert len((read_status(lab) or {})["daemons"]) == 4 + 3 * 6 + 1


def test_an_up_that_fails_leaves_nothing(machine_before: dict[str, str], tmp_path: Path) -> None:
    state = open_state(tempfile.mkdtemp(prefix="gureum-lab-", dir="/tmp"))
    broken = tmp_path / "gureum" / "roles"
    shutil.copytree(STAND_INS / "gureum", tmp_path / "gureum")
    (broken / "all_in_one.py").write_text("raise SystemExit('no database')")
    others = seen_of_the_machine()
    try:
        prepare_image(state)
        with pytest.raises(Refusal, match="control plane did not start: no database"):
            bring_up(state, {"port": free_port()}, Silent(), tmp_path)
        eventually(lambda: seen_of_the_machine() == others, 10)
        assert not list(state.run.glob("*.pid"))
    finally:
        bring_down(state, True, Silent())
    assert not state.root.exists()


def test_an_uplink_is_the_only_way_out_and_goes_with_the_lab(machine_before: dict[str, str]) -> None:
    state = open_state(tempfile.mkdtemp(prefix="gureum-lab-", dir="/tmp"))
    outside, link = f"{state.lab}-out", f"{state.lab}-up"
    others = seen_of_the_machine()
    try:
        prepare_image(state)
        run("ip", "netns", "add", outside)
        run("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", outside)
        run("ip", "address", "add", "203.0.113.1/24", "dev", link)
        run("ip", "link", "set", link, "up")
        run("ip", "-n", outside, "address", "add", "203.0.113.2/24", "dev", "eth0")
        run("ip", "-n", outside, "link", "set", "eth0", "up")
        reach = "ping -c 1 -W 3 203.0.113.2"
        for uplink, inbound in (("", False), (link, False), (link, True)):
            up(state, uplink=uplink, inbound=inbound, port=free_port())
            prefix = str(state.remembered()["external_cidr"]).rpartition(".")[0]
            within(
                state, "host1",
                f"ip address add {prefix}.77/24 dev br-ex; ip link set br-ex up; ethtool -K br-ex tx off >/dev/null;"
                f"ip route add default via {prefix}.1; ping -c 1 -W 5 {prefix}.1",
            )  # fmt: skip
            if uplink:
                within(state, "host1", reach)  # outside has no route back: only a masqueraded packet is answered
                assert state.lab in run("nft", "list", "tables")
                _only_outwards(state, outside)
                assert _reaches_in(outside, prefix) == inbound
            else:
                with pytest.raises(AssertionError, match="100% packet loss"):
                    within(state, "host1", reach)
            bring_down(state, False, Silent())
            assert Path(f"/proc/sys/net/ipv4/conf/{link}/forwarding").read_text() == "0\n"
        assert state.lab not in run("nft", "list", "tables")
        assert "unreachable" in run("ip", "route", "show", f"{prefix}.0/24"), "its packets stay here while it is down"
    finally:
        bring_down(state, True, Silent())
        subprocess.run(["ip", "link", "delete", link], check=False, capture_output=True)
        subprocess.run(["ip", "netns", "delete", outside], check=False, capture_output=True)
    assert not run("ip", "route", "show", f"{prefix}.0/24")
    eventually(lambda: {**seen_of_the_machine(), "mounts": ""} == {**others, "mounts": ""}, 10)


def _reaches_in(outside: str, prefix: str) -> bool:
    """Whether a machine beyond the uplink reaches the external address of a guest, over a route through this one."""
    run("ip", "-n", outside, "route", "add", f"{prefix}.0/24", "via", "203.0.113.1")
    try:
        ping = ["ip", "netns", "exec", outside, "ping", "-c", "2", "-W", "2", f"{prefix}.77"]
        return subprocess.run(ping, check=False, capture_output=True).returncode == 0
    finally:
        run("ip", "-n", outside, "route", "delete", f"{prefix}.0/24")


def _only_outwards(state: StateFolder, outside: str) -> None:
    """The uplink leads out, and to none of the machine's own addresses."""
    there = Neighbours(state, "host1")
    prefix = str(state.remembered()["external_cidr"]).rpartition(".")[0]
    far = subprocess.Popen(
        ["ip", "netns", "exec", outside, "/usr/bin/python3", "-c", LISTEN, "tcp", "203.0.113.2", "7777"],
        stdout=subprocess.PIPE,
    )
    try:
        assert far.stdout
        assert far.stdout.readline()
        for address in ("203.0.113.1", f"{prefix}.1"):
            there.listen("machine", "tcp", address, 7777)
        assert there.ask("guest", "tcp", "203.0.113.2", 7777) == "heard"
        for address in ("203.0.113.1", f"{prefix}.1"):
            assert there.ask("machine", "tcp", address, 7777) == "heard"
            assert there.ask("guest", "tcp", address, 7777) == "silence"
    finally:
        there.close()
        far.kill()
        far.communicate()


def test_a_broker_is_reached_from_inside_a_hosts_namespaces() -> None:
    holder = subprocess.Popen(["unshare", "--net", "--", "sh", "-ec", "ip link set lo up; exec sleep 60"])
    broker = socket.create_server(("127.0.0.1", 0))
    address = f"127.0.0.1:{broker.getsockname()[1]}"
    eventually(lambda: Path(f"/proc/{holder.pid}/comm").read_text() == "sleep\n")
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    forward = subprocess.Popen(
        [sys.executable, "-S", "-m", "gureum.lab.bus_forward", address, "5672", str(holder.pid)], env=environment
    )
    talk = "import socket; c = socket.create_connection(('127.0.0.1', 5672), 5); c.sendall(b'hello'); print(c.recv(9))"
    client = ["nsenter", "-t", str(holder.pid), "-n", "--", "/usr/bin/python3", "-c", talk]
    try:
        eventually(lambda: ":5672" in run("nsenter", "-t", str(holder.pid), "-n", "--", "ss", "-Hltn"))
        asking = subprocess.Popen(client, stdout=subprocess.PIPE, text=True)
        broker.settimeout(10)
        with broker.accept()[0] as connection:
            assert connection.recv(9) == b"hello"
            connection.sendall(b"welcome")
            assert asking.communicate(timeout=10)[0].strip() == "b'welcome'"
    finally:
        broker.close()
        for process in (forward, holder):
            process.kill()
            process.wait()
