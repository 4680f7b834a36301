"""A whole simulated cloud in the test's process, stepped by hand: no thread, no socket, time as the test says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gureum.agents.hypervisor.directory import AgentsInMemory
from gureum.agents.hypervisor.protocol import HYPERVISOR, AgentDirectory, HostObserved, ServerObserved
from gureum.agents.hypervisor.simulated import SimulatedHosts
from gureum.drivers.network.interface import NetworkDriver
from gureum.foundation.config import Config, DatabaseConfig, Section
from gureum.roles.control import Control, build
from gureum.services.compute.config import HypervisorConfig
from gureum.services.identity.config import AuthConfig, FirstUsersConfig
from gureum.services.image.config import ImageConfig
from tests.api.client import Client

ADMIN_PASSWORD = "admin-secret"
DEMO_PASSWORD = "demo-secret"


def config(folder: Path, *, hosts: int = 2, database: str = "", **sections: Any) -> Config:
    """A configuration with cheap hashes and everything under `folder`; `sections` are others, or instead of these."""
    usual = {
        "database": DatabaseConfig(url=database or f"sqlite:///{folder}/cloud.sqlite"),
        "hypervisor": HypervisorConfig(mode="simulated", simulated_hosts=hosts),
        "image": ImageConfig(folder=str(folder / "images")),
        "auth": AuthConfig(keys=str(folder / "keys"), hash_time_cost=1, hash_memory_kib=8),
        "bootstrap": FirstUsersConfig(admin_password=ADMIN_PASSWORD, demo_password=DEMO_PASSWORD),
    }
    chosen = {**usual, **sections}
    of_services = {name for name, value in chosen.items() if isinstance(value, Section)}
    own = {name: value for name, value in chosen.items() if name not in of_services}
    return Config(state=str(folder), **own).with_sections(*(chosen[name] for name in of_services))


class SimulatedCloud:
    """`settle` runs everything that is due until nothing is. `more` goes to `roles.control.build`."""

    def __init__(self, folder: Path, *, hosts: int = 2, database: str = "", more: Any = None, **sections: Any) -> None:
        self._folder, self._sections = folder, {"hosts": hosts, "database": database, **sections}
        self.config = config(folder, **self._sections)
        self._more = dict(more or {})
        self.control: Control = build(self.config, **self._more)
        self.control.prepare()
        self._come_up()

    def _come_up(self) -> None:
        self.writer = self.control.background["network-writer"]
        self.writer.watch()
        self.read_revocations()
        self.beat()

    def read_revocations(self) -> None:
        """What a process that answers requests does twice a second."""
        for job in self.control.mounted["identity"].api_periodic:
            job.work()

    @property
    def simulated(self) -> SimulatedHosts:
        """The hosts, and the world that they share."""
        agents = self.control.drivers.get(AgentDirectory)
        assert isinstance(agents, AgentsInMemory)
        return agents.hosts

    def deps(self, service: str) -> Any:
        """What the handlers of a service stand on."""
        return self.control.mounted[service].apis[0].deps

    def beat(self) -> None:
        """One heartbeat of every host, taken in."""
        self.simulated.beat(self.hear)
        self.control.fleet.take_in()

    def hear(self, observed: HostObserved) -> None:
        """One heartbeat arrives."""
        self.control.fleet.hear(HYPERVISOR, observed)

    def server_changed(self, host: str, observed: ServerObserved) -> None:
        """A guest changed by itself, and its host tells."""
        agents = self.control.drivers.get(AgentDirectory)
        stops = [start.work() for start in self.control.mounted["compute"].starts]
        for changed in agents.told:
            changed(host, observed)
        for stop in stops:
            stop()

    def settle(self, rounds: int = 50) -> None:
        for _ in range(rounds):
            ran = self.control.engine.run_due()
            before = self.control.database.counters.commits
            self.writer.run_once()
            self.control.reader.run_once()
            if not ran and self.control.database.counters.commits == before:
                return
        raise AssertionError(f"the cloud does not come to rest in {rounds} rounds")

    def restart(self, *, prepare: bool = False, more: Any = None, **sections: Any) -> None:
        """The control plane dies and another one starts on the same state; hosts and the virtual network live on.

        `prepare` is what a start does with the database: needed where the other one has other services. `more` and
        `sections` differ from those of before.
        """
        self._sections |= sections
        self.config = config(self._folder, **self._sections)
        self._more |= more or {}
        engines = {kind: self.control.drivers.get(kind) for kind in (AgentDirectory, NetworkDriver)}
        self.writer.unwatch()
        self.control.database.close()
        self.control = build(self.config, **{**self._more, "overrides": engines})
        if prepare:
            self.control.prepare()
        self._come_up()

    def close(self) -> None:
        self.writer.unwatch()
        self.control.close()

    # -- clients -----------------------------------------------------------------------------------------

    def client(self, user: str = "admin", project: str = "", password: str = "") -> Client:
        """A client with a token scoped to the user's project of the same name."""
        anonymous = Client(self.control.app)
        domain = {"name": "Default"}
        known = {"admin": ADMIN_PASSWORD, "demo": DEMO_PASSWORD}
        identity = {
            "methods": ["password"],
            "password": {"user": {"name": user, "domain": domain, "password": password or known[user]}},
        }
        scope = {"project": {"name": project or user, "domain": domain}}
        answer = anonymous.post("/identity/v3/auth/tokens", {"auth": {"identity": identity, "scope": scope}})
        assert answer.status == 201, answer.content
        return Client(self.control.app, {"X-Auth-Token": answer.headers["x-subject-token"]})

    def image(self, name: str = "tiny", size: int = 1 << 16) -> str:
        """A public raw image of zeros."""
        admin = self.client()
        made = admin.post(
            "/image/v2/images",
            {"name": name, "disk_format": "raw", "container_format": "bare", "visibility": "public"},
        )
        assert made.status == 201, made.content
        image_id = made.json()["id"]
        sent = admin.request(
            "PUT", f"/image/v2/images/{image_id}/file", raw=bytes(size), content_type="application/octet-stream"
        )
        assert sent.status == 204, sent.content
        return image_id

    def network(self, client: Client, name: str = "net", cidr: str = "10.0.0.0/24") -> str:
        made = client.post("/network/v2.0/networks", {"network": {"name": name}})
        assert made.status == 201, made.content
        network_id = made.json()["network"]["id"]
        subnet = {"network_id": network_id, "ip_version": 4, "cidr": cidr}
        answer = client.post("/network/v2.0/subnets", {"subnet": subnet})
        assert answer.status == 201, answer.content
        return network_id

    def server(self, client: Client, **more) -> str:
        body = {"name": "one", "flavorRef": "42", "networks": "none", **more}
        answer = client.post("/compute/v2.1/servers", {"server": body}, OpenStack_API_Version="compute 2.79")
        assert answer.status == 202, answer.content
        return answer.json()["server"]["id"]
