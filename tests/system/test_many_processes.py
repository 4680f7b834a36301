"""Two API processes and two workers on one PostgreSQL and one bus are one cloud, over a unix socket and over RabbitMQ.

Twenty servers are created through both APIs while a worker is killed with -9: all become ACTIVE. A token revoked at one
API is refused by the other within a second. Hosts are simulated, in a process of their own.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from tests.contracts.rabbitmq_broker import free_port

pytest_plugins = ["tests.contracts.bus_fixtures"]

ROOT = Path(__file__).resolve().parents[2]
SERVERS = 20
PASSWORD = "admin-secret"
WATCHED_PORTS = 20
CONFIG = """
state = "{folder}"
[api]
port = {port}
public_url = "http://127.0.0.1:{public}"
[database]
url = "{database}"
pool_size = 4
[bus]
url = "{bus}"
[tasks]
poll_s = {poll_s}
[worker]
port = {watched}
ports = {watched_ports}
[hypervisor]
mode = "simulated"
simulated_hosts = 3
[auth]
hash_time_cost = 1
hash_memory_kib = 8
[bootstrap]
admin_password = "{password}"
"""


def eventually(what, within_s, problem):
    deadline = time.monotonic() + within_s
    while not (found := what()):
        assert time.monotonic() < deadline, problem() if callable(problem) else problem
        time.sleep(0.02)
    return found


def ask(port, method, path, body=None, token="", **headers):
    """(status, headers, the body's JSON) of one request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        sent = {"Content-Type": "application/json", "X-Auth-Token": token, **headers}
        connection.request(method, path, json.dumps(body) if body is not None else None, sent)
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, answer.headers, json.loads(text) if text else None
    finally:
        connection.close()


class Cloud:
    """Processes of one cloud, each ended when the test ends."""

    def __init__(self, folder: Path, database: str, bus: str, poll_s: float = 1.0):
        self.folder, self.database = folder, database
        self.ports = [free_port(), free_port()]
        self.watched = free_port()
        self.processes: dict[str, subprocess.Popen] = {}
        for number, port in enumerate(self.ports):
            text = CONFIG.format(
                folder=folder, port=port, public=self.ports[0], database=database, bus=bus, poll_s=poll_s,
                password=PASSWORD, watched=self.watched, watched_ports=WATCHED_PORTS,
            )  # fmt: skip
            (folder / f"gureum-{number}.toml").write_text(text)

    def start(self, name: str, role: str, number: int = 0) -> None:
        with (self.folder / f"{name}.log").open("a") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", f"gureum.roles.{role}", "--config", str(self.folder / f"gureum-{number}.toml")],
                env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
                stdout=log,
                stderr=log,
            )

    def ready(self, *names: str) -> None:
        for name in names:
            process = self.processes[name]
            short = name.rstrip("0123456789")
            ready = (
                self.folder
                / "run"
                / (f"{short}.ready" if short == "simulated-hosts" else f"{short}-{process.pid}.ready")
            )
            eventually(lambda r=ready, p=process: r.exists() or p.poll() is not None, 60, f"{name} is not ready")
            assert process.poll() is None, self.log(name)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()[-4000:]

    def kill(self, name: str, number: int = signal.SIGKILL) -> int:
        process = self.processes[name]
        process.send_signal(number)
        return process.wait(20)

    def stop(self) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.terminate()
        for process in self.processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()

    def network_writer(self) -> str:
        """The worker that holds the network writer's lease: the one that is missed most."""
        with psycopg.connect(self.database.replace("+psycopg", "")) as connection:
            owner = connection.execute("SELECT owner FROM leases WHERE name = 'network-writer'").fetchone()[0]
        return next(name for name, process in self.processes.items() if f"/{process.pid}/" in owner)

    def told(self, path: str) -> list[bytes]:
        """What the workers say at `path`, those that are well."""
        found = []
        for port in range(self.watched, self.watched + WATCHED_PORTS):
            with (
                contextlib.suppress(OSError, http.client.HTTPException),
                contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection,
            ):
                connection.request("GET", path)
                answer = connection.getresponse()
                if answer.status == 200 and answer.headers["Server"] == "gureum":
                    found.append(answer.read())
        return found

    def left(self) -> str:
        """A worker that runs."""
        return next(
            name for name in self.processes if name.startswith("worker") and self.processes[name].poll() is None
        )

    def token(self, port: int) -> str:
        domain = {"name": "Default"}
        user = {"name": "admin", "domain": domain, "password": PASSWORD}
        scope = {"project": {"name": "admin", "domain": domain}}
        body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
        status, headers, answer = ask(port, "POST", "/identity/v3/auth/tokens", body)
        assert status == 201, answer
        return headers["X-Subject-Token"]

    def network(self, port: int, token: str) -> str:
        _, _, made = ask(port, "POST", "/network/v2.0/networks", {"network": {"name": "many"}}, token)
        subnet = {"network_id": made["network"]["id"], "ip_version": 4, "cidr": "10.9.0.0/22"}
        status, _, answer = ask(port, "POST", "/network/v2.0/subnets", {"subnet": subnet}, token)
        assert status == 201, answer
        return made["network"]["id"]

    def create(self, port: int, token: str, name: str, network: str) -> str:
        server = {"name": name, "flavorRef": "42", "imageRef": self.image}
        server["networks"] = [{"uuid": network}]
        status, _, answer = ask(
            port,
            "POST",
            "/compute/v2.1/servers",
            {"server": server},
            token,
            **{"OpenStack-API-Version": "compute 2.79"},
        )
        assert status == 202, answer
        return answer["server"]["id"]

    def upload(self, port: int, token: str) -> None:
        wanted = {"name": "tiny", "disk_format": "raw", "container_format": "bare", "visibility": "public"}
        _, _, image = ask(port, "POST", "/image/v2/images", wanted, token)
        self.image = image["id"]
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        headers = {"Content-Type": "application/octet-stream", "X-Auth-Token": token}
        connection.request("PUT", f"/image/v2/images/{self.image}/file", bytes(1 << 16), headers)
        assert connection.getresponse().status == 204
        connection.close()

    def statuses(self, port: int, token: str) -> dict[str, str]:
        _, _, answer = ask(port, "GET", "/compute/v2.1/servers/detail?limit=1000", token=token)
        return {server["id"]: server["status"] for server in answer["servers"]}

    def until_active(self, port: int, token: str, server_id: str, within_s: float = 30.0) -> None:
        def state():
            _, _, answer = ask(port, "GET", f"/compute/v2.1/servers/{server_id}", token=token)
            return answer["server"]["status"]

        eventually(lambda: state() == "ACTIVE", within_s, lambda: f"{server_id} is {state()}")


@pytest.fixture(params=["unix", pytest.param("amqp", marks=pytest.mark.rabbitmq)])
def cloud(request, tmp_path, postgresql_server):
    bus = "unix:bus.sock" if request.param == "unix" else request.getfixturevalue("broker").url
    # The poll, the safety net, is slow here: what is quick was woken.
    cloud = Cloud(tmp_path, postgresql_server.new_database(), bus, poll_s=5.0)
    try:
        # All at once, on an empty database, as the machines of a rack start.
        for number in (0, 1):
            cloud.start(f"worker{number}", "worker", number)
            cloud.start(f"api{number}", "api", number)
        cloud.start("simulated-hosts", "simulated_hosts")
        cloud.ready(*cloud.processes)
        yield cloud
    finally:
        cloud.stop()


def test_processes_of_all_roles_are_one_cloud(cloud, record_property):
    one, two = cloud.ports
    token = cloud.token(one)
    assert ask(two, "GET", "/identity/v3/projects", token=token)[0] == 200, "a token of one API is good at the other"
    project = ask(one, "GET", "/identity/v3/projects?name=admin", token=token)[2]["projects"][0]["id"]
    wider = {"quota_set": {"instances": 100, "cores": 100}}
    assert ask(two, "PUT", f"/compute/v2.1/os-quota-sets/{project}", wider, token)[0] == 200
    cloud.upload(one, token)
    network = cloud.network(two, token)
    cloud.until_active(two, token, cloud.create(one, token, "first", network))

    assert [json.loads(said) for said in cloud.told("/healthz")] == [{"status": "ok"}] * 2, (
        "each worker on its own port"
    )
    counts = b"".join(cloud.told("/metrics"))
    assert b'gureum_task_steps_total{lifecycle="server",outcome="Goto"}' in counts
    assert counts.count(b"\ngureum_db_commits ") == 2

    latencies = []
    for number in range(6):
        begun = time.monotonic()
        server_id = cloud.create(cloud.ports[number % 2], token, f"timed{number}", network)
        cloud.until_active(cloud.ports[number % 2], token, server_id, within_s=4)
        latencies.append(time.monotonic() - begun)
    record_property("seconds from POST to ACTIVE", [round(one, 3) for one in latencies])
    print(f"POST to ACTIVE: median {statistics.median(latencies):.3f} s, most {max(latencies):.3f} s")
    assert statistics.median(latencies) < 2.0, "woken, not polled: the poll takes 5 s"

    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(cloud.create, cloud.ports[n % 2], token, f"many{n}", network) for n in range(SERVERS)]
        asked[SERVERS // 4].result()
        cloud.kill(cloud.network_writer())
        made = [one.result() for one in asked]
    assert [json.loads(said) for said in cloud.told("/healthz")] == [{"status": "ok"}], "the killed one's port is free"
    begun = time.monotonic()
    eventually(
        lambda: {cloud.statuses(two, token)[one] for one in made} == {"ACTIVE"},
        30,
        lambda: f"{cloud.statuses(two, token)}\n{cloud.log(cloud.left())}",
    )
    print(f"all {SERVERS} are ACTIVE {time.monotonic() - begun:.2f} s after the last POST, one of two workers killed")

    doomed = cloud.token(two)
    assert ask(one, "GET", "/identity/v3/projects", token=doomed)[0] == 200
    status, _, _ = ask(two, "DELETE", "/identity/v3/auth/tokens", token=token, **{"X-Subject-Token": doomed})
    assert status == 204
    begun = time.monotonic()
    eventually(lambda: ask(one, "GET", "/identity/v3/projects", token=doomed)[0] == 401, 1.0, "revoked, yet taken")
    print(f"a revoked token is refused by the other API after {time.monotonic() - begun:.3f} s")

    # The worker that is left ends in good order and a new one goes on with what was asked meanwhile.
    left = cloud.left()
    assert cloud.kill(left, signal.SIGTERM) == 0, cloud.log(left)
    waiting = cloud.create(one, token, "between", network)
    cloud.start("worker2", "worker")
    cloud.ready("worker2")
    cloud.until_active(two, token, waiting)
    assert [json.loads(said) for said in cloud.told("/healthz")] == [{"status": "ok"}]
    for name in cloud.processes:
        assert "Traceback" not in cloud.log(name), cloud.log(name)


def test_processes_of_one_machine_share_a_port(tmp_path, postgresql_server):
    cloud = Cloud(tmp_path, postgresql_server.new_database(), "unix:bus.sock")
    try:
        for name in ("api0", "api1"):
            cloud.start(name, "api")
        cloud.ready("api0", "api1")
        port = cloud.ports[0]
        assert all(ask(port, "GET", "/healthz")[0] == 200 for _ in range(8))
        cloud.kill("api0")
        assert all(ask(port, "GET", "/healthz")[0] == 200 for _ in range(8)), "the other one answers all"
        assert cloud.kill("api1", signal.SIGTERM) == 0, cloud.log("api1")
        assert not list((tmp_path / "run").glob(f"api-{cloud.processes['api1'].pid}.ready")), "it ended in good order"
        with pytest.raises(ConnectionError), socket.create_connection(("127.0.0.1", port), 5):
            pass
    finally:
        cloud.stop()


@pytest.mark.parametrize("role", ["api", "worker"])
@pytest.mark.parametrize(
    ("database", "bus", "section"),
    [("sqlite:///x.sqlite", "unix:bus.sock", "database"), ("postgresql+psycopg://h/n", "inprocess:", "bus")],
)
def test_what_several_processes_cannot_share_is_refused(tmp_path, role, database, bus, section):
    cloud = Cloud(tmp_path, database, bus)
    cloud.start(role, role)
    assert cloud.processes[role].wait(30) != 0
    last = cloud.log(role).strip().splitlines()[-1]
    assert last.startswith(f"[{section}] url: several processes need"), last
