"""Twenty creates and deletes under way while processes are killed with -9 at ten random moments; then nothing is stuck.

The simulated cloud loses its hosts' memory with each kill too (they live in the control plane's process), as if all of
them had lost power. On the real one the supervisor starts again what was killed. The moments come from a seed: set
GUREUM_SEED to repeat a run that failed. The real guests have a blank disk: they cost little and stop in the firmware.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress

import pytest
from tests.system.real_cloud import FLAVOR, RealCloud, eventually, run

from gureum.cli.terminal import CLONE
from gureum.lab.launch import read_status

SEED = int(os.environ.get("GUREUM_SEED", "2"))
SERVERS, KILLS = 20, 10
SETTLE_S = 150

pytestmark = pytest.mark.filterwarnings("ignore")


class Tenant:
    """Creates servers and deletes every other one, through an API that keeps dying; each request is repeated."""

    def __init__(self, cloud, moments):
        self.cloud, self.random = cloud, moments
        self.asked, self.deleted = [], []
        self.failures = []

    def work(self):
        for number in range(SERVERS):
            server = self.insist(lambda: self.create(f"chaos{number}"))  # noqa: B023
            self.asked.append(server.id)
            if number % 2:
                doomed = self.random.choice([one for one in self.asked if one not in self.deleted])
                self.insist(lambda: self.cloud.sdk.compute.delete_server(doomed))  # noqa: B023
                self.deleted.append(doomed)
            time.sleep(self.random.uniform(0, 0.6))

    def run(self):
        try:
            self.work()
        except BaseException as error:
            self.failures.append(error)

    def create(self, name):
        sdk = self.cloud.sdk
        return sdk.compute.create_server(
            name=name, flavor_id=FLAVOR, image_id=self.cloud.image, networks=[{"uuid": self.cloud.network.id}]
        )

    def insist(self, request):
        """Repeat until the API answers; a request that was cut off may have been done, which the books must show."""
        import keystoneauth1.exceptions
        import openstack.exceptions

        deadline = time.monotonic() + 60
        while True:
            try:
                return request()
            except (keystoneauth1.exceptions.ConnectFailure, keystoneauth1.exceptions.ConnectionError):
                pass
            except openstack.exceptions.SDKException as error:
                if getattr(error, "status_code", None) or time.monotonic() > deadline:
                    raise
            assert time.monotonic() < deadline
            time.sleep(0.2)


def disturb(cloud, kill):
    """Let the tenant work while `kill(moments)` strikes ten times."""
    moments = random.Random(SEED)
    tenant = Tenant(cloud, random.Random(SEED + 1))
    working = threading.Thread(target=tenant.run)
    working.start()
    for _ in range(KILLS):
        eventually(cloud.answers, 60)
        time.sleep(moments.uniform(0, 1.5))
        kill(moments)
    working.join(120)
    assert not working.is_alive()
    assert not tenant.failures, tenant.failures
    return tenant


class Books:
    """The database of a cloud, read only."""

    def __init__(self, cloud):
        self.file = cloud.state.root / "gureum.sqlite"

    def rows(self, statement):
        with closing(sqlite3.connect(f"file:{self.file}?mode=ro", uri=True, timeout=10)) as connection:
            return connection.execute(statement).fetchall()

    def column(self, statement):
        return {row[0] for row in self.rows(statement)}

    def living(self):
        return self.rows("select id, name, host, vm_state, task_state, fault from servers where deleted_at is null")

    def restless(self):
        """What is not at its end yet, with the reason of its task: empty when everything has settled."""
        found = [row for row in self.living() if row[4] is not None or row[3] not in ("active", "error")]
        found += self.rows(
            "select kind, resource_id, step, reason from tasks where wake_at is not null or lease_until > 1"
        )
        return found + self.rows("select kind, resource_id from network_changes")


def assert_books_agree(cloud, books, tenant):
    """Servers, tasks, allocations and ports tell one story."""
    living = {row[0]: row for row in books.living()}
    assert not set(tenant.deleted) & set(living), "what was deleted is gone"
    assert set(tenant.asked) - set(tenant.deleted) <= set(living), "what was not deleted is there"
    for server_id, name, host, vm_state, _, fault in living.values():
        if vm_state == "error":
            assert fault, f"{name} ({server_id}) is in ERROR without a reason"
        else:
            assert host
    tasks = books.rows("select resource_id, step from tasks where kind = 'server'")
    assert {row[0] for row in tasks} == set(living)
    assert {row[1] for row in tasks} <= {"rest"}
    placed = {server_id for server_id, row in living.items() if row[2]}
    assert books.column("select id from consumers") == placed
    assert books.column("select consumer_id from allocations") == placed
    used = dict(books.rows("select resource_class, sum(used) from allocations group by 1"))
    kept = dict(books.rows("select resource_class, sum(used) from provider_inventories where used > 0 group by 1"))
    assert used == kept
    assert books.column("select server_id from ports where server_id is not null and server_id != ''") <= set(living)
    ports = books.rows("select server_id, status from ports where server_id is not null and server_id != ''")
    assert sorted(server for server, status in ports if status == "ACTIVE") == sorted(
        server for server, row in living.items() if row[3] == "active"
    )
    return living


def settled(books):
    deadline = time.monotonic() + SETTLE_S
    while restless := books.restless():
        assert time.monotonic() < deadline, f"not at rest after {SETTLE_S} s: {restless}"
        time.sleep(0.5)


def delete_all(cloud, living):
    for server_id in living:
        cloud.sdk.compute.delete_server(server_id)
    eventually(lambda: not list(cloud.sdk.compute.servers()), 60)


def blank_image(cloud):
    """An image of zeros, and quota for all servers."""
    cloud.admin.compute.put(
        f"/os-quota-sets/{cloud.sdk.current_project_id}", json={"quota_set": {"instances": 50, "cores": 50}}
    ).raise_for_status()
    made = cloud.admin.image.create_image(
        name="blank", data=b"\0" * (1 << 20), disk_format="raw", container_format="bare", visibility="public"
    )
    return made.id


def test_a_simulated_cloud_survives_its_processes():
    with RealCloud("chaos-simulated", hosts=3, simulate=True) as cloud:
        cloud.network = cloud.sdk.network.create_network(name="n")
        cloud.sdk.network.create_subnet(network_id=cloud.network.id, ip_version=4, cidr="10.0.0.0/24")
        cloud.image = blank_image(cloud)
        cloud.kill("supervisor")  # its back-off is made for programs that fail by themselves
        cloud.kill("control")
        control = Control(cloud)
        try:
            tenant = disturb(cloud, lambda _moments: control.again())
            books = Books(cloud)
            eventually(cloud.answers)
            settled(books)
            eventually(lambda: not missing_on_hosts(cloud, books), 30)
            living = assert_books_agree(cloud, books, tenant)
            delete_all(cloud, living)
            settled(books)
            assert assert_books_agree(cloud, books, Tenant(cloud, None)) == {}
        finally:
            control.end()


class Control:
    """The control plane of a simulated cloud, started by the test."""

    def __init__(self, cloud):
        self.cloud = cloud
        self.argv = [sys.executable, "-m", "gureum.roles.all_in_one", "--config", str(cloud.state.config)]
        self.process = None
        self.start()

    def start(self):
        self.cloud.state.control_ready.unlink(missing_ok=True)
        environment = {**os.environ, "PYTHONPATH": str(CLONE / "src")}
        with self.cloud.state.log("control").open("ab") as log:
            self.process = subprocess.Popen(self.argv, env=environment, stdout=log, stderr=log)

    def again(self):
        self.end()
        self.start()

    def end(self):
        self.process.kill()
        self.process.wait()


def missing_on_hosts(cloud, books):
    """Active servers that their simulated host does not run: it would show the console of one that it does."""
    active = [row[0] for row in books.living() if row[3] == "active"]
    console = cloud.sdk.compute.get_server_console_output
    return [server_id for server_id in active if "simulated guest" not in console(server_id)["output"]]


@pytest.mark.engines
def test_a_real_cloud_survives_its_processes():
    with RealCloud("chaos", hosts=2) as cloud:
        cloud.prepare()
        cloud.image = blank_image(cloud)
        books = Books(cloud)
        victims = ["control", "control", "host1.agent", "host2.agent"]
        struck = []

        def kill(moments):
            victim = moments.choice(victims)
            struck.append(victim)
            with suppress(AssertionError):  # still dead from the last time
                cloud.kill(victim)

        tenant = disturb(cloud, kill)
        eventually(cloud.running, 60)
        settled(books)
        living = assert_books_agree(cloud, books, tenant)
        same(cloud, books)
        assert len(set(struck)) > 1, f"the seed strikes one process only: {struck}"
        assert sum(one["restarts"] for one in read_status(cloud.state)["daemons"].values()) >= KILLS // 2
        delete_all(cloud, living)
        settled(books)
        assert assert_books_agree(cloud, books, Tenant(cloud, None)) == {}
        same(cloud, books)
        assert not [file for host in hosts(cloud) for file in (cloud.state.host(host) / "instances").iterdir()]


def hosts(cloud):
    return [f"host{number}" for number in range(1, cloud.hosts + 1)]


def same(cloud, books):
    deadline = time.monotonic() + 60
    while different := strangers(cloud, books):
        assert time.monotonic() < deadline, different
        time.sleep(1)


def strangers(cloud, books):
    """Where hosts and virtual network differ from the database, in words."""
    found = []
    for host in hosts(cloud):
        wanted = books.column(f"select id from servers where host = '{host}' and deleted_at is null")
        active = books.column(f"select id from servers where host = '{host}' and vm_state = 'active'")
        folder = cloud.state.host(host)
        virsh = ("virsh", "-q", "-c", "qemu:///system", "list", "--uuid")
        seen = {
            "machines": (cloud.domains(host), wanted),
            "running": ({line.strip() for line in cloud.within(host, *virsh).splitlines() if line.strip()}, active),
            "disks": ({file.name for file in (folder / "instances").iterdir()}, wanted),
            "specs": ({file.name for file in (folder / "servers").iterdir()}, wanted),
            "taps": (
                taps(cloud, host),
                books.column(f"select id from ports where host = '{host}' and server_id != ''"),
            ),
        }
        found += [f"{host} {what}: {sorted(have ^ want)}" for what, (have, want) in seen.items() if have != want]
    known = books.column("select id from ports")
    database = f"--db=unix:{cloud.state.ovn}/nb.sock"
    listed = run("ovn-nbctl", database, "--bare", "--columns=name", "list", "logical_switch_port").split()
    network = {name for name in listed if name in known or len(name) == 36}
    servers = books.column("select id from ports where server_id != ''")
    return found + [f"OVN: {one}" for one in (network - known) | (servers - network)]


def taps(cloud, host):
    """The ports of guests that Open vSwitch has plugged in."""
    text = cloud.within(host, "ovs-vsctl", "--format=json", "--columns=name,external_ids", "list", "interface")
    found = [(name, dict(pairs[1])) for name, pairs in json.loads(text)["data"]]
    return {pairs["iface-id"] for name, pairs in found if name.startswith("tap")}
