"""A worker of the commit before beside one of this version that knows a new kind of task: nothing waits for a lease.

The same with hosts whose agents are of the commit before: each side understands what the other says.

As in an upgrade, the older worker is there first, and the tables are migrated under it. `GUREUM_PREVIOUS` names the
commit before (by default the parent of HEAD). It must be one whose workers claim only what they know.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from tests.system.test_many_processes import ROOT, Cloud, ask, eventually
from tests.system.worker_with_new_kind import KIND

SERVERS = 200
PREVIOUS = os.environ.get("GUREUM_PREVIOUS", "HEAD^")


class MixedCloud(Cloud):
    """Each process from a tree of its own."""

    def start_of(self, tree: Path, name: str, module: str) -> None:
        with (self.folder / f"{name}.log").open("a") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", module, "--config", str(self.folder / "gureum-0.toml")],
                env={**os.environ, "PYTHONPATH": f"{tree / 'src'}:{tree}"},
                stdout=log,
                stderr=log,
            )


@pytest.fixture(scope="module")
def previous(tmp_path_factory):
    """The tree of the commit before."""
    git = ["git", "-C", str(ROOT)]
    statements = subprocess.run(
        [*git, "show", f"{PREVIOUS}:src/gureum/foundation/tasks/statements.py"], capture_output=True, check=False
    )
    if b"def known(" not in statements.stdout:
        pytest.skip(f"workers of {PREVIOUS} claim tasks that they do not know, or git does not know it")
    folder = tmp_path_factory.mktemp("previous")
    packed = subprocess.run([*git, "archive", PREVIOUS, "src"], capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x", "-C", folder], input=packed, check=True)
    return folder


@pytest.fixture(params=["hosts-of-this-version", "hosts-of-the-commit-before"])
def cloud(request, tmp_path, postgresql_server, previous):
    cloud = MixedCloud(tmp_path, postgresql_server.new_database(), "unix:bus.sock")
    try:
        cloud.start_of(previous, "worker0", "gureum.roles.worker")
        cloud.ready("worker0")  # the tables are those of the commit before, until the others bring them up to date
        cloud.start("api0", "api")
        cloud.ready("api0")
        cloud.start_of(ROOT, "worker1", "tests.system.worker_with_new_kind")
        older = request.param == "hosts-of-the-commit-before"
        cloud.start_of(previous if older else ROOT, "simulated-hosts", "gureum.roles.simulated_hosts")
        cloud.ready(*cloud.processes)
        yield cloud
    finally:
        cloud.stop()


def test_a_new_kind_of_task_beside_a_worker_of_the_commit_before(cloud):
    port = cloud.ports[0]
    token = cloud.token(port)
    project = ask(port, "GET", "/identity/v3/projects?name=admin", token=token)[2]["projects"][0]["id"]
    wider = {"quota_set": {"instances": -1, "cores": -1, "ram": -1}}
    assert ask(port, "PUT", f"/compute/v2.1/os-quota-sets/{project}", wider, token)[0] == 200
    assert ask(port, "PUT", f"/network/v2.0/quotas/{project}", {"quota": {"port": -1}}, token)[0] == 200
    cloud.upload(port, token)
    network = cloud.network(port, token)
    begun, held = time.monotonic(), set()
    looks_on = watch(cloud, held)
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda n: cloud.create(port, token, f"mixed{n}", network), range(SERVERS)))
    eventually(
        lambda: set(cloud.statuses(port, token).values()) == {"ACTIVE"}, 240, lambda: cloud.statuses(port, token)
    )
    with ThreadPoolExecutor(4) as pool:
        gone = list(pool.map(lambda one: ask(port, "DELETE", f"/compute/v2.1/servers/{one}", token=token)[0], made))
    assert set(gone) == {204}
    eventually(lambda: not cloud.statuses(port, token), 240, lambda: cloud.statuses(port, token))
    print(f"{SERVERS} servers to ACTIVE and deleted in {time.monotonic() - begun:.1f} s")
    looks_on.set()
    shares = ran_by(cloud)
    assert all(shares.values()), f"one of the workers ran no step of a server: {shares}"
    assert cloud.kill("worker1", 15) == 0, cloud.log("worker1")
    probes = json.loads((cloud.folder / "probes.json").read_text())
    print(f"{len(probes)} tasks of the new kind, the slowest {max(probes):.2f} s; steps of servers by worker: {shares}")
    assert len(probes) >= 20
    assert held == {cloud.processes["worker1"].pid}, "a worker held tasks of a kind that it does not know"


def watch(cloud, held):
    """Note the processes that hold leases of tasks of the new kind, until the event is set."""
    over = threading.Event()

    def look():
        statement = f"SELECT DISTINCT lease_owner FROM tasks WHERE kind = '{KIND}' AND lease_until > 0"
        with psycopg.connect(cloud.database.replace("+psycopg", ""), autocommit=True) as connection:
            while not over.wait(0.02):
                held.update(int(owner.split("/")[1]) for (owner,) in connection.execute(statement).fetchall())

    threading.Thread(target=look, daemon=True).start()
    return over


def ran_by(cloud):
    """How many steps of servers each worker ran, by its log."""
    logs = {name: (cloud.folder / f"{name}.log").read_text() for name in ("worker0", "worker1")}
    return {name: text.count("server ") for name, text in logs.items()}
