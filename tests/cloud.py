"""A whole simulated cloud in the test's process, stepped by hand: no thread, no socket, time as the test says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gureum.foundation.config import (
    AuthConfig,
    BootstrapConfig,
    Config,
    DatabaseConfig,
    HypervisorConfig,
    ImageConfig,
)
from gureum.roles.control import Control, build
from tests.api.client import Client

ADMIN_PASSWORD = "admin-secret"
DEMO_PASSWORD = "demo-secret"


def config(folder: Path, *, hosts: int = 2, database: str = "", **sections: Any) -> Config:
    """A configuration with cheap hashes and everything under `folder`; `sections` are others, or instead of these."""
    usual = {
        "state": str(folder),
        "database": DatabaseConfig(url=database or f"sqlite:///{folder}/cloud.sqlite"),
        "hypervisor": HypervisorConfig(mode="simulated", simulated_hosts=hosts),
        "image": ImageConfig(folder=str(folder / "images")),
        "auth": AuthConfig(keys=str(folder / "keys"), hash_time_cost=1, hash_memory_kib=8),
        "bootstrap": BootstrapConfig(admin_password=ADMIN_PASSWORD, demo_password=DEMO_PASSWORD),
    }
    return Config(**{**usual, **sections})


class SimulatedCloud:
    """`settle` runs everything that is due until nothing is."""

    def __init__(self, folder: Path, *, hosts: int = 2, database: str = "", **sections: Any) -> None:
        self.config = config(folder, hosts=hosts, database=database, **sections)
        self.control: Control = build(self.config)
        self.control.prepare()
        self._come_up()

    def _come_up(self) -> None:
        for part in self.control.parts:
            if part.name == "network":
                self.writer = part.on_start[0].__self__
            elif part.name == "identity":
                part.on_api_start[0]()
        self._unwatch = self.control.simulated.world.plugs.watch_ports(self.writer._hear)
        self.beat()

    def beat(self) -> None:
        """One heartbeat of every host, taken in."""
        self.control.simulated.beat(self.control.hosts)
        self.control.hosts.flush()

    def settle(self, rounds: int = 50) -> None:
        for _ in range(rounds):
            ran = self.control.engine.run_due()
            before = self.control.database.counters.commits
            self.writer.run_once()
            if not ran and self.control.database.counters.commits == before:
                return
        raise AssertionError(f"the cloud does not come to rest in {rounds} rounds")

    def restart(self) -> None:
        """The control plane dies and another one starts on the same state; hosts and the virtual network live on."""
        world, hosts = self.control.simulated.world, self.control.simulated
        self._unwatch()
        self.control.database.close()
        replacement = build(self.config)
        replacement.simulated = hosts
        replacement.hosts._agents._hosts = hosts
        for part in replacement.parts:
            if part.name == "network":
                object.__setattr__(part.on_start[0].__self__._ctx, "driver", world.plugs)
        self.control = replacement
        self._come_up()

    def close(self) -> None:
        self._unwatch()
        self.control.bus.close()
        self.control.database.close()

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
