"""A real cloud for a test: `./gureum up` in a state folder of its own, the stock SDK and client, and SSH to its guests.

Not a fixture: test modules make one with `with RealCloud(...)`. The folder's name is the test's, so that what an
interrupted run left behind is purged before the next one starts. Leaving the context purges, whatever happened.
Read next: `test_first_server.py`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from gureum.cli.terminal import CLONE
from gureum.lab.launch import read_status
from gureum.lab.process import Process, living, memory_kib, read_pid_file
from gureum.lab.state import StateFolder, open_state

UP_TIMEOUT_S = 600  # a fresh machine builds the guest image
FLAVOR = "42"  # m1.nano


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def eventually(what: Callable[[], Any], seconds: float = 30.0, every: float = 0.1) -> Any:
    """The first true answer of `what` within the time."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {getattr(what, '__doc__', None) or what}"
        time.sleep(every)
    return found


def run(*argv: str, timeout_s: float = 60, **more: Any) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=timeout_s, **more)
    assert done.returncode == 0, f"{' '.join(argv)}\nended with {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout


class RealCloud:
    """`name` makes the state folder, the same in each run of one clone and no other's.

    `sdk` is a connection of the project demo, `admin` the administrator's.
    """

    def __init__(self, name: str, *, hosts: int = 1, simulate: bool = False) -> None:
        self.hosts, self.simulate = hosts, simulate
        folder = f"/tmp/gureum-system-{hashlib.sha256(str(CLONE).encode()).hexdigest()[:4]}-{name}"
        self.state: StateFolder = open_state(folder)
        self.port = free_port()
        self.key = Path(f"{folder}.key")
        self.external_cidr = ""
        self._connections: dict[str, Any] = {}

    # -- life ----------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        try:
            self.purge()
            self.up("--hosts", str(self.hosts), "--port", str(self.port), *(["--simulate"] if self.simulate else []))
            self.external_cidr = str(self.state.remembered().get("external_cidr", ""))
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_failure: object) -> None:
        for connection in self._connections.values():
            connection.close()
        if os.environ.get("GUREUM_KEEP"):  # for whoever looks into a failure; the next run purges
            return
        self.purge()

    def command(self, *words: str, timeout_s: float = UP_TIMEOUT_S) -> str:
        """A command of ours on this cloud, as a person runs it."""
        name = 2 if words[0] == "task" else 1
        given = [*words[:name], "--state", str(self.state.root), *words[name:]]
        return run(str(CLONE / "gureum"), *given, timeout_s=timeout_s)

    def up(self, *options: str) -> str:
        return self.command("up", *options)

    def down(self) -> str:
        return self.command("down")

    def purge(self) -> None:
        self.command("down", "--purge")
        shutil.rmtree(self.state.root, ignore_errors=True)
        for file in (self.key, self.key.with_suffix(".key.pub")):
            file.unlink(missing_ok=True)

    # -- clients -------------------------------------------------------------------------------------------

    def connection(self, cloud: str) -> Any:
        """An openstacksdk connection to one of clouds.yaml's clouds."""
        if cloud not in self._connections:
            import openstack.config

            loaded = openstack.config.OpenStackConfig(config_files=[str(self.state.root / "clouds.yaml")])
            self._connections[cloud] = openstack.connection.Connection(config=loaded.get_one(cloud=cloud))
        return self._connections[cloud]

    @property
    def sdk(self) -> Any:
        return self.connection("gureum")

    @property
    def admin(self) -> Any:
        return self.connection("gureum-admin")

    def openstack(self, *words: str, cloud: str = "gureum") -> str:
        """The stock command line client; about a second for each call."""
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("OS_") and name != "PYTHONPATH"
        }
        environment |= {"OS_CLIENT_CONFIG_FILE": str(self.state.root / "clouds.yaml"), "OS_CLOUD": cloud}
        return run(str(Path(sys.executable).with_name("openstack")), *words, env=environment, timeout_s=180)

    # -- resources -----------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """What every server of a test needs: keypair `k`, ping and SSH let in, network `n` behind router `r`."""
        sdk = self.sdk
        eventually(lambda: len(list(self.admin.compute.hypervisors())) == self.hosts)
        sdk.compute.create_keypair(name="k", public_key=self.key.with_suffix(".key.pub").read_text())
        group = self.default_group()
        for rule in ({"protocol": "icmp"}, {"protocol": "tcp", "port_range_min": 22, "port_range_max": 22}):
            sdk.network.create_security_group_rule(security_group_id=group, direction="ingress", **rule)
        self.router = sdk.network.create_router(
            name="r", external_gateway_info={"network_id": sdk.network.find_network("public").id}
        )
        self.network = self.routed_network("n", "10.0.0.0/24")

    def default_group(self) -> str:
        project = self.sdk.current_project_id
        return next(g.id for g in self.sdk.network.security_groups(project_id=project) if g.name == "default")

    def routed_network(self, name: str, cidr: str) -> Any:
        network = self.sdk.network.create_network(name=name)
        subnet = self.sdk.network.create_subnet(network_id=network.id, ip_version=4, cidr=cidr)
        self.sdk.network.add_interface_to_router(self.router, subnet_id=subnet.id)
        return network

    def boot(self, name: str, *, network: Any = None, image: str = "mini", connection: Any = None, **more: Any) -> Any:
        """Ask for a server and return at once."""
        sdk = connection or self.sdk
        body = {
            "name": name,
            "flavor_id": FLAVOR,
            "image_id": sdk.image.find_image(image).id,
            "networks": [{"uuid": (network or self.network).id}],
            "key_name": "k",
            **more,
        }
        return sdk.compute.create_server(**{key: value for key, value in body.items() if value is not None})

    def status(self, server: Any) -> str:
        return str(self.admin.compute.get_server(server.id).status)

    def wait_for(self, server: Any, status: str = "ACTIVE", seconds: float = 90.0) -> Any:
        """The server once it has the status and nothing is being done to it."""

        def reached() -> Any:
            found = self.admin.compute.get_server(server.id)
            assert found.status == status or found.status != "ERROR", f"{found.name}: {found.fault}"
            return found if found.status == status and found.task_state is None else None

        reached.__doc__ = f"server {server.name} is {status}"
        return eventually(reached, seconds, 0.15)

    def wait_gone(self, server: Any, seconds: float = 30.0) -> None:
        eventually(lambda: not any(s.id == server.id for s in self.admin.compute.servers(all_projects=True)), seconds)

    def floating_ip(self, server: Any) -> str:
        """A new floating IP on the server's first port."""
        port = next(iter(self.sdk.network.ports(device_id=server.id)))
        public = self.sdk.network.find_network("public")
        made = self.sdk.network.create_ip(floating_network_id=public.id, port_id=port.id)
        return str(made.floating_ip_address)

    def guest(self, ip: str) -> Guest:
        return Guest(ip, self.key)

    # -- processes -----------------------------------------------------------------------------------------

    def process(self, daemon: str) -> Process:
        found = read_pid_file(self.state.pid_file(daemon))
        assert found, f"{daemon} does not run"
        return found

    def kill(self, daemon: str) -> None:
        process = self.process(daemon)
        process.send(signal.SIGKILL)
        assert process.wait(10)

    def freeze(self, daemon: str) -> None:
        self.process(daemon).send(signal.SIGSTOP)

    def thaw(self, daemon: str) -> None:
        self.process(daemon).send(signal.SIGCONT)

    def own_daemons(self) -> list[str]:
        """Gureum's own processes: no engine among them."""
        return ["supervisor", "control", *(f"host{number}.agent" for number in range(1, self.hosts + 1))]

    def running(self) -> bool:
        """Whether every daemon runs and the API answers."""
        status = read_status(self.state)
        return bool(status) and all(one["state"] == "running" for one in status["daemons"].values()) and self.answers()

    def answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return self.state.control_ready.exists()

    def memory_mib(self) -> dict[str, float]:
        return {name: memory_kib(self.process(name).pid) / 1024 for name in self.own_daemons()}

    def within(self, host: str, *argv: str) -> str:
        """Run a program inside a host's namespaces."""
        holder = self.process(host)
        return run("nsenter", "-t", str(holder.pid), "-n", "-m", "-u", "-r", "-w", "--", *argv)

    def domains(self, host: str) -> set[str]:
        """The ids of the servers whose machines libvirt knows on the host, running or not."""
        names = self.within(host, "virsh", "-q", "-c", "qemu:///system", "list", "--all", "--uuid")
        return {line.strip() for line in names.splitlines() if line.strip()}

    def traces(self) -> list[str]:
        """Everything on the machine that bears the cloud's name: processes, mounts, links, routes, tables."""
        root, lab = str(self.state.root), self.state.lab
        found = [f"process {pid}: {words}" for pid, words in _command_lines() if f"{root}/" in words]
        found += [line for line in Path("/proc/self/mounts").read_text().splitlines() if root in line]
        for argv in (("ip", "-o", "link"), ("nft", "list", "tables"), ("ip", "netns")):
            found += [line for line in run(*argv).splitlines() if lab in line]
        return found + [line for line in run("ip", "route").splitlines() if self.external_cidr in line]


class Guest:
    """A server behind a floating IP, by SSH."""

    def __init__(self, ip: str, key: Path, *, user: str = "gureum") -> None:
        self.ip = ip
        self._words = ["ssh", "-i", str(key), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
        self._words += ["-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "LogLevel=ERROR"]
        self._words += ["-o", "ConnectTimeout=3", f"{user}@{ip}"]

    def answers(self) -> bool:
        """Whether the SSH server sends its banner."""
        try:
            with socket.create_connection((self.ip, 22), 1) as connection:
                connection.settimeout(2)
                return connection.recv(64).startswith(b"SSH-2.0")
        except OSError:
            return False

    def wait(self, seconds: float = 90.0) -> Guest:
        eventually(self.answers, seconds, 0.05)
        return self

    def wait_silent(self, seconds: float = 30.0) -> None:
        eventually(lambda: not self.answers(), seconds)

    def run(self, command: str) -> str:
        """Run a shell command in the guest as strictly as outside test suites do."""
        return run(*self._words, f"set -eu -o pipefail; {command}")

    def until(self, command: str, expected: str, seconds: float = 20.0) -> str:
        """Repeat the command until its output holds what is expected."""
        deadline = time.monotonic() + seconds
        while True:
            done = subprocess.run([*self._words, command], capture_output=True, text=True, check=False, timeout=60)
            if expected in done.stdout:
                return done.stdout
            assert time.monotonic() < deadline, f"{command}: no {expected!r} in {done.stdout!r}{done.stderr!r}"
            time.sleep(0.3)


def ping(ip: str, *, count: int = 2, deadline_s: int = 5) -> bool:
    """Whether any of `count` pings is answered within the deadline."""
    words = ["ping", "-q", "-c", str(count), "-i", "0.2", "-w", str(deadline_s), ip]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


def _command_lines() -> list[tuple[int, str]]:
    found = []
    for pid in living():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if pid != os.getpid():
            found.append((pid, words))
    return found
