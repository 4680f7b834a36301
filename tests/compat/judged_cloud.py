"""The clouds that outside judges look at: one simulated process of ours, several, or a real `./gureum up`.

All offer the same three things: `folder` with openrc files and clouds.yaml, `openstack(...)` which runs the stock
command line client, and `connection(cloud)`, openstacksdk's. Nothing here reaches into the cloud: judges see HTTP only.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

from tests.system.real_cloud import RealCloud, free_port
from tests.unit.image_inspector.corpus import qcow2

from gureum.lab.credentials import clouds_text, openrc_text

CLONE = Path(__file__).resolve().parents[2]
PASSWORDS = {"admin": "admin-secret", "demo": "demo-secret"}
START_TIMEOUT_S = 60.0


def clean_environment(**more: str) -> dict[str, str]:
    """The caller's environment without anything that an OpenStack client or Python would take from it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OS_", "PYTHON", "COV_"))}
    return kept | more


class Judged:
    """What the judges need of a cloud."""

    def __init__(self, folder: Path, url: str, passwords: dict[str, str]) -> None:
        self.folder, self.url, self.passwords = folder, url, passwords
        self._connections: dict[str, Any] = {}

    def connection(self, cloud: str = "gureum") -> Any:
        """An openstacksdk connection to one of clouds.yaml's clouds, made once."""
        if cloud not in self._connections:
            import openstack.config

            config = openstack.config.OpenStackConfig(config_files=[str(self.folder / "clouds.yaml")])
            self._connections[cloud] = openstack.connection.Connection(config=config.get_one(cloud=cloud))
        return self._connections[cloud]

    def shell(self, words: str, timeout_s: float = 180.0) -> str:
        """Run a shell line as the project demo's member; what it printed. A failure shows everything it said."""
        line = f". {self.folder}/openrc-demo; cd {self.folder}; {words}"
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-ec", line],
            capture_output=True, text=True, check=False, timeout=timeout_s, env=clean_environment(PATH=path),
        )  # fmt: skip
        assert done.returncode == 0, f"{words}\nended with {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout

    def openstack(self, *words: str, cloud: str = "gureum", timeout_s: float = 180.0) -> Any:
        """One call of the stock client with `-f json`; the decoded answer, None when it prints nothing."""
        environment = clean_environment(OS_CLIENT_CONFIG_FILE=str(self.folder / "clouds.yaml"), OS_CLOUD=cloud)
        client = str(Path(sys.executable).with_name("openstack"))
        done = subprocess.run(
            [client, *words], capture_output=True, text=True, check=False, timeout=timeout_s, env=environment
        )
        assert done.returncode == 0, f"{' '.join(words)}\nended with {done.returncode}: {done.stdout}{done.stderr}"
        return json.loads(done.stdout) if done.stdout.lstrip().startswith(("[", "{")) else done.stdout or None

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()


class SimulatedProcess(Judged):
    """`python -m gureum.roles.all_in_one` on a free port, its state under `folder`; with the image `mini`."""

    def __init__(
        self,
        folder: Path,
        *,
        hosts: int = 4,
        more: dict[str, dict[str, object]] | None = None,
        database: str = "",
        program: str = "gureum.roles.all_in_one",
    ) -> None:
        """`more` are options beside the usual ones, by table; `database` is a URL, by default a file in `folder`.

        `program` is the module to run instead of the usual one.
        """
        self._program = program
        self.port = free_port()
        self._more = more or {}
        self._database = database or f"sqlite:///{folder}/cloud.sqlite"
        super().__init__(folder, f"http://127.0.0.1:{self.port}", PASSWORDS)
        self._hosts = hosts
        self._processes: list[tuple[subprocess.Popen[bytes], Path, Path]] = []

    def __enter__(self) -> Self:
        self._write_files()
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_failure: object) -> None:
        self.close()
        for process, _, _ in self._processes:
            process.terminate()
        for process, _, _ in self._processes:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start(self) -> None:
        self._run(self._program, "gureum.toml", "control")
        self._wait()

    def _run(self, program: str, config: str, ready: str = "") -> None:
        """Start a process; `ready` is what its ready file is named after, by default its role and id."""
        role = program.rpartition(".")[2]
        log = self.folder / f"output-{len(self._processes)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", program, "--config", str(self.folder / config)],
                env=clean_environment(PYTHONPATH=f"{CLONE / 'src'}:{CLONE}"),
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._processes.append((process, self.folder / f"run/{ready or f'{role}-{process.pid}'}.ready", log))

    def _write_files(self) -> None:
        guest = self.folder / "mini.qcow2"
        guest.write_bytes(qcow2())
        self._tables: dict[str, dict[str, object]] = {
            "api": {"port": self.port},
            "database": {"url": self._database},
            "hypervisor": {"mode": "simulated", "simulated_hosts": self._hosts},
            "image": {"folder": str(self.folder / "images")},
            "auth": {"keys": str(self.folder / "keys"), "hash_time_cost": 1, "hash_memory_kib": 64},
            "identity": {
                "lockout_failure_attempts": 2,
                "lockout_duration_s": 5,
                "unique_last_password_count": 2,
            },
            "bootstrap": {
                "admin_password": PASSWORDS["admin"],
                "demo_password": PASSWORDS["demo"],
                "guest_image": str(guest),
            },
            "log": {"file": str(self.folder / "control.log")},
        }
        self._write_config("gureum.toml", self._tables, self._more)
        auth_url = f"{self.url}/identity/v3"
        (self.folder / "clouds.yaml").write_text(clouds_text(auth_url, PASSWORDS))
        for file, user in (("openrc", "admin"), ("openrc-demo", "demo")):
            (self.folder / file).write_text(openrc_text(auth_url, user, user, PASSWORDS[user]))

    def _write_config(self, name: str, *layers: dict[str, dict[str, object]]) -> None:
        """A configuration file of the layers' tables, the later ones over the earlier."""
        tables: dict[str, dict[str, object]] = {}
        for layer in layers:
            for table, values in layer.items():
                tables[table] = tables.get(table, {}) | values
        lines = [f"state = {json.dumps(str(self.folder))}"]
        for table, values in tables.items():
            lines += [f"[{table}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
        (self.folder / name).write_text("\n".join(lines) + "\n")

    def _wait(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        for process, ready, log in self._processes:
            while not ready.exists():
                said = log.read_text()
                assert process.poll() is None, f"the cloud ended with {process.returncode}: {said}"
                assert time.monotonic() < deadline, f"the cloud is not ready after {START_TIMEOUT_S} s: {said}"
                time.sleep(0.05)


class TwoApis(SimulatedProcess):
    """Two API processes, each with an address and an image cache of its own, a worker, and hosts in a process of theirs.

    The catalog has the first one, and the second one's images as the service `image_remote`. The database is
    PostgreSQL's: several processes cannot share SQLite.
    """

    def _start(self) -> None:
        second = free_port()
        for name, port in (("first", self.port), ("second", second)):
            api = {"port": port, "public_url": self.url}
            shared = {"bus": {"url": "unix:bus.sock"}, "api": api, "image": {"cache_node": name}}
            self._write_config(f"{name}.toml", self._tables, self._more, shared)
            self._run("gureum.roles.api", f"{name}.toml")
        self._run("gureum.roles.worker", "first.toml")
        if self._hosts:
            self._run("gureum.roles.simulated_hosts", "first.toml", "simulated-hosts")
        self._wait()
        admin = self.connection("gureum-admin")
        deadline = time.monotonic() + START_TIMEOUT_S
        while len(list(admin.compute.hypervisors())) < self._hosts:
            assert time.monotonic() < deadline, "the hosts' heartbeats do not arrive"
            time.sleep(0.1)
        identity = admin.identity
        service = identity.create_service(type="image_remote", name="the second API")
        identity.create_endpoint(
            service_id=service.id, interface="public", url=f"http://127.0.0.1:{second}/image", region_id="RegionOne"
        )


class RealUp(Judged):
    """A real cloud of `./gureum up`: root and engines."""

    def __init__(self, name: str, *, hosts: int = 1) -> None:
        self._cloud = RealCloud(name, hosts=hosts)
        state = self._cloud.state
        super().__init__(state.root, f"http://127.0.0.1:{self._cloud.port}", {})

    def __enter__(self) -> Self:
        self._cloud.__enter__()
        self.passwords = self._cloud.state.passwords()
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()
        self._cloud.__exit__(*failure)


def fresh_folder(folder: Path) -> Path:
    """An empty folder of that name."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
