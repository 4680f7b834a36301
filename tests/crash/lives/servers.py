"""The life of a server from its creation to its deletion, on a host that takes it or refused by one after another."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace

from sqlalchemy import func, select
from tests.cloud import SimulatedCloud
from tests.crash.lives.worker import CloudLife

from gureum.agents.hypervisor.faults import Fault
from gureum.foundation.tasks.model import Task
from gureum.services.compute.servers.model import Server
from gureum.services.network.ports.model import Port
from gureum.services.placement.model import Allocation, Consumer, ProviderInventory

KINDS = ("used", "refused by every host")
V = {"OpenStack_API_Version": "compute 2.79"}


@contextmanager
def ground(folder):
    cloud = SimulatedCloud(folder)
    admin = cloud.client()
    prepared = SimpleNamespace(image=cloud.image(), network=cloud.network(admin), headers=admin.headers)
    cloud.settle()
    cloud.close()
    yield prepared


class Life(CloudLife):
    """One server."""

    def __init__(self, ground, folder, moving, hooks):
        super().__init__(SimulatedCloud(folder), moving, hooks, ground.headers)
        self.ground = ground
        self.cloud.settle()

    def status(self):
        return self.client.get(f"/compute/v2.1/servers/{self.server}", **V).json()["server"]["status"]

    def act(self, body):
        answer = self.client.post(f"/compute/v2.1/servers/{self.server}/action", body)
        assert answer.status == 202, answer.content
        self.settle()

    def live(self, kind):
        refused = kind != "used"
        for host in self.cloud.simulated if refused else ():
            self.cloud.simulated.world.faults.add(host, Fault("fail", public="No.", retry=False, times=20))
        self.disturb()
        nets = [{"uuid": self.ground.network}]
        self.server = self.cloud.server(self.client, imageRef=self.ground.image, networks=nets)
        self.settle()
        assert self.status() == ("ERROR" if refused else "ACTIVE")
        if not refused:
            self.use()
        answer = self.client.delete(f"/compute/v2.1/servers/{self.server}")
        assert answer.status == 204
        self.settle()

    def use(self):
        self.act({"reboot": {"type": "HARD"}})
        assert self.status() == "ACTIVE"
        self.act({"os-stop": None})
        assert self.status() == "SHUTOFF"
        self.act({"os-start": None})
        assert self.status() == "ACTIVE"
        answer = self.client.post(f"/compute/v2.1/servers/{self.server}/action", {"os-stop": None})
        assert answer.status == 202, answer.content
        self.act({"os-start": None})
        assert self.status() == "ACTIVE"

    def assert_clean(self, _kind):
        assert self.client.get(f"/compute/v2.1/servers/{self.server}").status == 404
        with self.cloud.control.database.read() as tx:
            count = lambda table, *where: tx.scalar(select(func.count()).select_from(table).where(*where))  # noqa: E731
            assert count(Task, Task.kind == "server") == 0
            assert count(Allocation) == count(Consumer) == 0
            assert set(tx.scalars(select(ProviderInventory.used))) == {0}
            assert count(Port, Port.device_id == self.server) == 0
            assert tx.scalar(select(Server.vm_state).where(Server.id == self.server)) == "deleted"
        hosts = self.cloud.simulated
        assert [server for host in hosts for server in hosts[host].observe().servers] == []
        assert self.cloud.simulated.world.plugs.port_states() == {}
