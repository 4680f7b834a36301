"""Every call to the database fails once, over requests and tasks: the answer says why, the next request works.

What an error answer says was not written is not there; what was answered with success is there once.
"""

from __future__ import annotations

import contextlib
import itertools

import pytest
from sqlalchemy import create_engine, func, select, text
from tests.cloud import SimulatedCloud
from tests.crash.database.faults import POSTGRESQL_FAULTS, SQLITE_FAULTS, inject

from gureum.foundation import clock
from gureum.foundation.db.failures import DatabaseFailure, OutcomeUnknown
from gureum.services.compute.keypairs.model import Keypair
from gureum.services.compute.servers.model import Server
from gureum.services.image.images.model import Image
from gureum.services.network.networks.model import Network
from gureum.services.network.ports.model import Port
from gureum.services.placement.model import Allocation

COMPUTE, NETWORK, IMAGE, IDENTITY = "/compute/v2.1", "/network/v2.0", "/image/v2", "/identity/v3"
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPk7JB0GW5sAELmG7ZcQZ1X4Jd0hYkT7vYyKq0o3n1aB one"
V = {"OpenStack_API_Version": "compute 2.79"}


class Struck:
    """A cloud whose database fails when told to, and requests that a client sends it."""

    def __init__(self, folder, moving, database=""):
        self.cloud = SimulatedCloud(folder, database=database)
        self.clock, self.folder = moving, folder
        self.admin = self.cloud.client()
        self.numbers = itertools.count()
        project_id = self.admin.get(f"{IDENTITY}/projects?name=admin").json()["projects"][0]["id"]
        unlimited = dict.fromkeys(("instances", "cores", "ram", "key_pairs"), -1)
        assert self.admin.put(f"{COMPUTE}/os-quota-sets/{project_id}", {"quota_set": unlimited}).status == 200
        unlimited = dict.fromkeys(("network", "port", "subnet"), -1)
        assert self.admin.put(f"{NETWORK}/quotas/{project_id}", {"quota": unlimited}).status == 200
        self.image = self.cloud.image()
        self.network = self.cloud.network(self.admin)
        self.port = self.make_port().json()["port"]["id"]
        self.faults = inject(self.cloud.control.database)
        self._beside = create_engine(self.cloud.control.database.url, isolation_level="AUTOCOMMIT")

    def close(self):
        self._beside.dispose()
        self.cloud.close()

    def count(self, model, *conditions):
        with self._beside.connect() as connection:
            return connection.execute(select(func.count()).select_from(model).where(*conditions)).scalar_one()

    def make_server(self):
        body = {"name": "one", "flavorRef": "42", "imageRef": self.image, "networks": "none"}
        return self.admin.post(f"{COMPUTE}/servers", {"server": body}, **V)

    def make_keypair(self):
        return self.admin.post(
            f"{COMPUTE}/os-keypairs", {"keypair": {"name": f"key{next(self.numbers)}", "public_key": PUBLIC_KEY}}
        )

    def make_network(self):
        return self.admin.post(f"{NETWORK}/networks", {"network": {"name": "n"}})

    def make_port(self):
        # Addresses are scarce: a port without one takes as many statements but for the address.
        return self.admin.post(f"{NETWORK}/ports", {"port": {"network_id": self.network, "fixed_ips": []}})

    def rename_port(self):
        return self.admin.put(f"{NETWORK}/ports/{self.port}", {"port": {"name": f"p{next(self.numbers)}"}})

    def make_image(self):
        return self.admin.post(f"{IMAGE}/images", {"disk_format": "raw", "container_format": "bare"})

    def log_in(self):
        password = {"user": {"name": "admin", "domain": {"name": "Default"}, "password": "admin-secret"}}
        return self.admin.post(f"{IDENTITY}/auth/tokens", {"auth": {"identity": {
            "methods": ["password"], "password": password}}})  # fmt: skip

    def list_servers(self):
        return self.admin.get(f"{COMPUTE}/servers/detail?limit=5", **V)

    def list_ports(self):
        return self.admin.get(f"{NETWORK}/ports?limit=5")


REQUESTS = {
    "make_server": Server,
    "make_keypair": Keypair,
    "make_network": Network,
    "make_port": Port,
    "rename_port": None,
    "make_image": Image,
    "log_in": None,
    "list_servers": None,
    "list_ports": None,
}


@pytest.fixture(scope="module")
def moving():
    moving = clock.VirtualClock()
    with clock.use(moving):
        yield moving


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory, moving):
    struck = Struck(tmp_path_factory.mktemp("cloud"), moving)
    yield struck
    struck.close()


@pytest.fixture(scope="module")
def postgresql(tmp_path_factory, moving, postgresql_url):
    struck = Struck(tmp_path_factory.mktemp("cloud"), moving, postgresql_url)
    yield struck
    struck.close()


def points(struck, request):
    """How many times a healthy request calls the driver."""
    send = getattr(struck, request)
    assert send().status < 300  # connections are made, statements prepared
    struck.faults.arm("", -1)
    assert send().status < 300
    return len(struck.faults.points)


def check_every_point(struck, request, kind, *, stays=False):
    send, model = getattr(struck, request), REQUESTS[request]
    number = points(struck, request)
    assert number > 1, "the fault has nothing to strike"
    answers = set()
    for at in range(number):
        before = struck.count(model) if model else 0
        struck.faults.arm(kind, at, stays=stays)
        answer = send()
        where = f"{kind} at {at}: {struck.faults.struck}"
        struck.faults.heal()
        answers.add(answer.status)
        assert_answer(struck, answer, kind, where)
        if model and b"It may have been made" not in answer.content:
            assert struck.count(model) - before == (answer.status < 300), where
        assert send().status < 300, f"after {where}"
    return answers


def assert_answer(struck, answer, kind, where):
    """Success, or a cause in words: no path, no statement, no word of the driver's."""
    if answer.status < 300:
        return
    assert answer.status in ((507, 503) if kind == "full" else (503,)), f"{where}: {answer.content}"
    assert b"database" in answer.content, where
    if answer.status == 503 and b"It may have been made" not in answer.content:
        assert int(answer.headers["retry-after"]) > 0, where
    else:  # a program that repeats by itself would make it twice, or again for nothing
        assert "retry-after" not in answer.headers, where
    for inside in (str(struck.folder), "struck", "SELECT", "INSERT", "SQLITE", "psycopg", "sqlalche.me"):
        assert inside.encode() not in answer.content, where


@pytest.mark.parametrize("kind", SQLITE_FAULTS)
@pytest.mark.parametrize("request_name", REQUESTS)
def test_a_request_survives_a_fault_at_every_point_on_sqlite(sqlite, request_name, kind):
    answers = check_every_point(sqlite, request_name, kind)
    assert answers & {503, 507}


@pytest.mark.parametrize("request_name", ["make_server", "make_port", "list_servers"])
def test_a_request_survives_a_disk_that_stays_full_on_sqlite(sqlite, request_name):
    """A list that was read before its transaction could not be ended is not lost by that."""
    answers = check_every_point(sqlite, request_name, "full", stays=True)
    assert answers == ({200, 507} if request_name == "list_servers" else {507})


@pytest.mark.postgresql
@pytest.mark.parametrize("kind", POSTGRESQL_FAULTS)
@pytest.mark.parametrize("request_name", REQUESTS)
def test_a_request_survives_a_fault_at_every_point_on_postgresql(postgresql, request_name, kind):
    check_every_point(postgresql, request_name, kind)


@pytest.mark.postgresql
@pytest.mark.parametrize("request_name", ["make_server", "make_port", "list_servers"])
def test_a_request_survives_a_database_that_stays_away_on_postgresql(postgresql, request_name):
    """What is struck last is the end of a transaction that is committed, or was only read."""
    answers = check_every_point(postgresql, request_name, "lost", stays=True)
    assert 503 in answers
    assert len(answers) <= 2


@pytest.mark.postgresql
def test_a_commit_whose_answer_is_lost_is_not_made_twice(postgresql):
    number = points(postgresql, "make_server")
    unknown = 0
    for at in range(number):
        before = postgresql.count(Server)
        postgresql.faults.arm("lost_after", at)
        answer = postgresql.make_server()
        struck = postgresql.faults.struck
        postgresql.faults.heal()
        made = postgresql.count(Server) - before
        assert made <= 1, struck
        if struck == ["commit"] and answer.status == 503:
            unknown += 1
            assert made == 1
            assert "may have been made" in answer.json()["serviceUnavailable"]["message"]
    assert unknown, "no COMMIT was struck"


def test_nothing_of_a_write_whose_commit_failed_is_there(sqlite):
    database = sqlite.cloud.control.database
    before = sqlite.count(Network)
    sqlite.faults.arm("full", 0, stays=True)
    with pytest.raises(DatabaseFailure) as caught:
        database.write(lambda tx: tx.execute(text("SELECT 1")))
    sqlite.faults.heal()
    assert caught.value.status == 507
    assert not isinstance(caught.value, OutcomeUnknown)
    assert sqlite.count(Network) == before


# -- tasks, reconcilers, the network writer ------------------------------------------------------------------


def settle(struck):
    """Run everything; whether the database let it."""
    try:
        struck.cloud.settle()
    except DatabaseFailure:
        return False
    return True


def check_lives(struck, kind, every, *, stays=False):
    """Servers are built and deleted while the database fails at one point of each life."""
    body = {"name": "one", "flavorRef": "42", "imageRef": struck.image, "networks": [{"uuid": struck.network}]}
    struck.clock.advance(60)  # no host is up: the servers of other tests find no place, and take none
    struck.cloud.settle()
    recover(struck)
    reached, at = True, 0
    while reached:
        made = struck.admin.post(f"{COMPUTE}/servers", {"server": body}, **V)
        assert made.status == 202, made.content
        server_id = made.json()["server"]["id"]
        struck.faults.arm(kind, at, stays=stays)
        settle(struck)
        reached = bool(struck.faults.struck)
        where = f"{kind} at {at}: {struck.faults.struck}"
        recover(struck)
        shown = struck.admin.get(f"{COMPUTE}/servers/{server_id}", **V).json()["server"]
        assert shown["status"] == "ACTIVE", f"{where}: {shown}"
        assert claims(struck, server_id) == 3, where
        assert struck.admin.delete(f"{COMPUTE}/servers/{server_id}").status == 204
        struck.faults.arm(kind, at, stays=stays)
        settle(struck)
        recover(struck)
        assert struck.admin.get(f"{COMPUTE}/servers/{server_id}", **V).status == 404, where
        assert claims(struck, server_id) == 0, where
        at += every
    return at


def claims(struck, server_id):
    return struck.count(Allocation, Allocation.consumer_id == server_id)


def recover(struck):
    """The cause is gone, and what only a lease's end frees is free."""
    struck.faults.heal()
    for _ in range(3):
        struck.clock.advance(35)
        with contextlib.suppress(DatabaseFailure):
            struck.cloud.beat()
        struck.cloud.settle()
    struck.admin = struck.cloud.client()


@pytest.mark.parametrize("stays", [False, True])
def test_lives_go_on_after_a_fault_at_every_point_on_sqlite(sqlite, stays):
    assert check_lives(sqlite, "full", every=3, stays=stays) > 30


@pytest.mark.postgresql
@pytest.mark.parametrize("kind", ["lost", "lost_after"])
def test_lives_go_on_after_a_fault_at_every_point_on_postgresql(postgresql, kind):
    assert check_lives(postgresql, kind, every=5) > 30


# -- what tells ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["full", "read-only"])
def test_health_tells_the_cause_and_its_end(sqlite, kind, monkeypatch):
    monkeypatch.setattr("gureum.foundation.db.engine.TRY_EVERY_S", 0.0)
    sqlite.admin = sqlite.cloud.client()  # other tests move the clock past a token's end
    assert sqlite.admin.get("/healthz").status == 200
    sqlite.faults.arm(kind, 1, stays=True)
    assert sqlite.make_port().status in (503, 507)
    told = sqlite.admin.get("/healthz")
    assert told.status == 503
    assert "database" in told.json()["error"]["message"]
    sqlite.faults.heal()
    assert sqlite.admin.get("/healthz").status == 200
