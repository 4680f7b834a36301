"""The network API on the application in process: a database, the fake engine, callers from a dictionary."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.api.client import Client
from tests.room import mount

from gureum.drivers.network.fake import FakeNetworkDriver
from gureum.drivers.network.interface import NetworkDriver
from gureum.foundation import clock, ids
from gureum.foundation.caller import Caller
from gureum.foundation.db.engine import Database
from gureum.foundation.db.types import Row
from gureum.foundation.errors import Unauthorized
from gureum.foundation.events.outbox import Events
from gureum.foundation.http.app import App
from gureum.foundation.http.authentication import Authentication
from gureum.foundation.policy import Policy
from gureum.foundation.service import Mounted
from gureum.services.identity.facade import IdentityFacade
from gureum.services.network.bootstrap import bootstrap as make_public_network
from gureum.services.network.config import NetworkConfig
from gureum.services.network.facade import NetworkFacade
from gureum.services.network.service import SERVICE
from gureum.services.network.writer import NetworkWriter

CALLERS = {
    "alice": Caller(user_id="alice", project_id="p1", roles=("member", "reader")),
    "reader": Caller(user_id="reader", project_id="p1", roles=("reader",)),
    "bob": Caller(user_id="bob", project_id="p2", roles=("member", "reader")),
    "root": Caller(user_id="root", project_id="p0", roles=("admin", "manager", "member", "reader")),
}
AT = "/network/v2.0"


def authenticate(token):
    if token not in CALLERS:
        raise Unauthorized
    return CALLERS[token]


PROJECTS = {f"p{n}": datetime(2026, 1, 1 + n, tzinfo=UTC).replace(tzinfo=None) for n in range(3)}


class Projects:
    """What identity says of projects."""

    def project_ids(self, _tx):
        return list(PROJECTS)

    def project_created_at(self, _tx, project_id):
        return PROJECTS.get(project_id)

    unified = None


@dataclass
class Cloud:
    """Everything a test may look into."""

    app: App
    database: Database
    driver: Any
    facade: NetworkFacade
    writer: NetworkWriter
    project_times: dict[str, str]
    events: Events

    def client(self, token: str) -> Client:
        return Client(self.app, {"X-Auth-Token": token})

    def settle(self) -> None:
        """Let the writer do its work, on this thread."""
        self.writer.run_once()

    def held(self, kind: str) -> dict[str, Any]:
        """What the engine holds of a kind, by id, after the writer's work."""
        self.settle()
        return {key[1]: thing for key, thing in self.driver._things.items() if key[0] == kind}

    def write(self, work: Any) -> Any:
        return self.database.write(work)

    def public_id(self) -> str:
        return self.client("root").get(f"{AT}/networks?name=public").json()["networks"][0]["id"]


class Maker:
    """Creates resources through the API and answers with their views."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def make(self, collection: str, noun: str, **attributes: Any) -> dict[str, Any]:
        answer = self.client.post(f"{AT}/{collection}", {noun: attributes})
        assert answer.status == 201, answer.content
        return answer.json()[noun]

    def network(self, **attributes: Any) -> dict[str, Any]:
        return self.make("networks", "network", **{"name": "n", **attributes})

    def subnet(self, network: dict[str, Any], cidr: str = "10.0.0.0/24", **attributes: Any) -> dict[str, Any]:
        version = 6 if ":" in cidr else 4
        return self.make("subnets", "subnet", network_id=network["id"], cidr=cidr, ip_version=version, **attributes)

    def port(self, network: dict[str, Any], **attributes: Any) -> dict[str, Any]:
        return self.make("ports", "port", network_id=network["id"], **attributes)

    def router(self, **attributes: Any) -> dict[str, Any]:
        return self.make("routers", "router", **{"name": "r", **attributes})

    def add_leg(self, router: dict[str, Any], **body: Any) -> dict[str, Any]:
        answer = self.client.put(f"{AT}/routers/{router['id']}/add_router_interface", body)
        assert answer.status == 200, answer.content
        return answer.json()

    def group(self, name: str = "g", **attributes: Any) -> dict[str, Any]:
        return self.make("security-groups", "security_group", name=name, **attributes)

    def rule(self, group_id: str, **attributes: Any) -> dict[str, Any]:
        body = {"security_group_id": group_id, "direction": "ingress", **attributes}
        return self.make("security-group-rules", "security_group_rule", **body)

    def floating_ip(self, network_id: str, **attributes: Any) -> dict[str, Any]:
        return self.make("floatingips", "floatingip", floating_network_id=network_id, **attributes)


def absent_id() -> str:
    return ids.new_uuid()


def fault(answer: Any) -> tuple[int, str]:
    """The status and the error type of an answer."""
    return answer.status, answer.json()["NeutronError"]["type"]


def mounted(database: Database, driver: Any, config: NetworkConfig) -> Mounted:
    engines, facades = {NetworkDriver: driver}, {IdentityFacade: Projects()}
    return mount(SERVICE, database, Path(), config, engines=engines, facades=facades)


def bootstrap(database: Database) -> None:
    """Tables and the network `public`."""
    Row.metadata.create_all(database.engine)
    ctx = mounted(database, FakeNetworkDriver(), NetworkConfig()).apis[0].deps
    database.write(lambda tx: make_public_network(tx, ctx, "198.18.0.0/24", "p0"))


def open_cloud(database: Database, driver: Any = None, config: NetworkConfig | None = None) -> Cloud:
    """A cloud with two hosts over a bootstrapped database; its writer runs when the test says so."""
    driver = driver or FakeNetworkDriver(["h1", "h2"])
    network = mounted(database, driver, config or NetworkConfig())
    app = App(
        network.apis,
        database,
        Policy(SERVICE.rules),
        Authentication(authenticate, authenticate),
        public_url="http://cloud",
    )
    (writer,) = network.background
    writer.watch()
    created = {name: clock.iso(made) for name, made in PROJECTS.items()}
    return Cloud(app, database, driver, network.facade, writer, created, network.apis[0].deps.events)
