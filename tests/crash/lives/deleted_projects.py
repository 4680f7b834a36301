"""The cleaning of a deleted project, from the operator's wish until nothing of it is left."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace

from tests.api.leftovers.furnished import delete_project, furnish
from tests.cloud import SimulatedCloud
from tests.crash.lives.worker import CloudLife

KINDS = ("with servers, networks and images",)


@contextmanager
def ground(folder):
    cloud = SimulatedCloud(folder)
    project_id = furnish(cloud)
    delete_project(cloud, project_id)
    headers = cloud.client().headers
    cloud.close()
    yield SimpleNamespace(project_id=project_id, headers=headers)


class Life(CloudLife):
    """One cleaning."""

    def __init__(self, ground, folder, moving, hooks):
        super().__init__(SimulatedCloud(folder), moving, hooks, ground.headers)
        self.project_id = ground.project_id
        self.cloud.settle()

    def live(self, _kind):
        self.disturb()
        control = self.cloud.control
        assert control.database.write(lambda tx: control.deleted_projects.begin_cleaning(tx, self.project_id))
        for _ in range(2):  # a round at a time, each after a pause
            self.settle()

    def assert_clean(self, _kind):
        deleted = self.cloud.control.deleted_projects
        with self.cloud.control.database.read() as tx:
            assert deleted.left(tx, self.project_id) == {}
            assert deleted.all(tx) == []
        assert not self.cloud.control.database.write(lambda tx: deleted.begin_cleaning(tx, self.project_id))
        hosts = self.cloud.simulated
        assert [server for host in hosts for server in hosts[host].observe().servers] == []
