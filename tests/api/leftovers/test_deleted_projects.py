"""A deleted project's resources: listed for the operator, deleted by a task that survives kills."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import select, text, update
from tests.api.leftovers.furnished import NETWORK, delete_project, furnish, made, new_project
from tests.cloud import ADMIN_PASSWORD, SimulatedCloud

from gureum.cli.projects import clean, print_leftovers
from gureum.foundation import clock
from gureum.foundation.leftovers import projects
from gureum.foundation.leftovers.model import DeletedProject
from gureum.foundation.tasks.engine import Hooks, WorkerDied
from gureum.lab.refusal import Refusal

ALL = {
    "compute": {"servers": 2, "server groups": 1},
    "network": {
        "floating IPs": 1,
        "routers": 1,
        "ports": 4,
        "subnets": 1,
        "networks": 1,
        "security groups": 2,
    },
    "image": {"images": 1, "public images": 1},
}


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/cloud.sqlite"
    return request.getfixturevalue("postgresql_server").new_database()


@pytest.fixture
def moving():
    moving = clock.VirtualClock()
    with clock.use(moving):
        yield moving


@pytest.fixture
def cloud(tmp_path, url, moving):
    cloud = SimulatedCloud(tmp_path, database=url)
    yield cloud
    cloud.close()


def leftovers(cloud):
    with cloud.control.database.read() as tx:
        return {one.id: one.left for one in cloud.control.deleted_projects.all(tx)}


def begin(cloud, project_id):
    return cloud.control.database.write(lambda tx: cloud.control.deleted_projects.begin_cleaning(tx, project_id))


def settle_for(cloud, moving, seconds):
    for _ in range(seconds):
        cloud.settle()
        moving.advance(1.5)
        cloud.beat()
    cloud.settle()


def test_what_a_deleted_project_left_is_listed_and_cleaned(cloud, moving):
    other, project_id = furnish(cloud, "other"), furnish(cloud)
    assert leftovers(cloud) == {}, "it is not deleted"
    assert not begin(cloud, project_id), "nor is a living project cleaned"
    delete_project(cloud, project_id)
    assert leftovers(cloud) == {project_id: ALL}, "its servers run on"
    assert begin(cloud, project_id)
    settle_for(cloud, moving, 12)
    assert leftovers(cloud) == {}
    with cloud.control.database.read() as tx:
        assert cloud.control.deleted_projects.left(tx, project_id) == {}
        assert cloud.control.deleted_projects.left(tx, other) == ALL, "another project keeps all that it has"
    assert not begin(cloud, project_id), "nothing is left"


def remembered(cloud):
    with cloud.control.database.read() as tx:
        return set(tx.scalars(select(DeletedProject.id)).all())


def arrive(cloud, project_id):
    """As a request that was under way when the project was deleted."""
    made(cloud.client().post(f"{NETWORK}/networks", {"network": {"name": "late", "project_id": project_id}}))


def test_what_arrives_after_the_deletion_is_listed_and_cleaned(cloud, moving):
    project_id = new_project(cloud, "empty")
    delete_project(cloud, project_id)
    assert leftovers(cloud) == {}
    assert not begin(cloud, project_id)
    for _ in range(2):  # the second time, after a cleaning
        arrive(cloud, project_id)
        assert leftovers(cloud) == {project_id: {"network": {"networks": 1}}}
        assert begin(cloud, project_id)
        settle_for(cloud, moving, 3)
        assert leftovers(cloud) == {}


def test_a_project_is_forgotten_after_a_day_when_nothing_is_left(cloud, moving):
    empty, other = new_project(cloud, "empty"), new_project(cloud, "other")
    delete_project(cloud, empty)
    delete_project(cloud, other)
    arrive(cloud, other)
    forgetting = cloud.control.deleted_projects.reconciler(cloud.control.database)
    forgetting.work()
    assert remembered(cloud) == {empty, other}
    moving.advance(projects.FORGET_AFTER.total_seconds() + 1)
    forgetting.work()
    assert remembered(cloud) == {other}


class Dying(Hooks):
    """Kills the worker at every point of every round of cleaning, once each."""

    def __init__(self):
        self.seen = set()

    def _die(self, point, task):
        key = (point, str(task.data.get("still")))
        if task.kind == projects.KIND and key not in self.seen:
            self.seen.add(key)
            raise WorkerDied

    def before_step(self, task):
        self._die("before step", task)

    def before_commit(self, task, outcome):
        self._die("before commit", task)

    def after_commit(self, task, outcome):
        self._die("after commit", task)


def test_a_cleaning_that_is_killed_at_every_point_goes_on(cloud, moving):
    project_id = furnish(cloud)
    delete_project(cloud, project_id)
    begin(cloud, project_id)
    hooks = cloud.control.engine.hooks = Dying()
    for _ in range(80):
        try:
            settle_for(cloud, moving, 2)
        except WorkerDied:
            cloud.restart()
            cloud.control.engine.hooks = hooks
            moving.advance(40)
            cloud.beat()
            continue
        if not leftovers(cloud):
            break
    assert len(hooks.seen) >= 9, "it was killed, at three points of several rounds"
    assert leftovers(cloud) == {}


def test_what_others_use_stays_and_is_listed(cloud, moving, monkeypatch):
    """Another project has a port on the shared network: the network stays, all else goes."""
    monkeypatch.setattr(projects, "GIVE_UP_AFTER", 3)
    project_id = furnish(cloud)
    owner = cloud.client("admin", "tenant", ADMIN_PASSWORD)
    networks = owner.get(f"{NETWORK}/networks?project_id={project_id}").json()["networks"]
    assert owner.request("PUT", f"{NETWORK}/networks/{networks[0]['id']}", {"network": {"shared": True}}).status == 200
    guest = cloud.client("demo")
    made(guest.post(f"{NETWORK}/ports", {"port": {"network_id": networks[0]["id"]}}))
    delete_project(cloud, project_id)
    begin(cloud, project_id)
    settle_for(cloud, moving, 15)
    assert leftovers(cloud) == {project_id: {"network": {"routers": 1, "ports": 1, "subnets": 1, "networks": 1}}}


def test_a_service_that_fails_does_not_hold_up_the_others(cloud, moving, monkeypatch):
    """What it wrote before it failed is undone; after a while it is given up, and another cleaning tries it again."""
    monkeypatch.setattr(projects, "GIVE_UP_AFTER", 3)
    project_id = new_project(cloud, "tenant")
    arrive(cloud, project_id)
    deleted = cloud.control.deleted_projects
    broken = [True]

    def rename(tx, _project_id):
        tx.execute(update(DeletedProject).values(name="broken"))
        if broken:
            raise ValueError("no")

    def count(tx, project_id):
        row = tx.get(DeletedProject, project_id)
        tx.refresh(row)
        return {} if row.name == "broken" else {"names": 1}

    deleted.add("outermost", projects.ProjectResources(count, rename))
    delete_project(cloud, project_id)
    assert begin(cloud, project_id)
    settle_for(cloud, moving, 8)
    assert leftovers(cloud) == {project_id: {"outermost": {"names": 1}}}
    with cloud.control.database.read() as tx:
        assert not deleted.all(tx)[0].cleaning, "it was given up"
    broken.clear()
    assert begin(cloud, project_id)
    settle_for(cloud, moving, 3)
    assert leftovers(cloud) == {}


def test_the_commands_list_and_begin(cloud, moving, tmp_path, capsys):
    project_id = furnish(cloud)
    delete_project(cloud, project_id)
    file = tmp_path / "gureum.toml"
    keys = f'[auth]\nkeys = "{tmp_path}/keys"\n[image]\nfolder = "{tmp_path}/images"\n'
    file.write_text(f'state = "{tmp_path}"\n[database]\nurl = "{cloud.config.database.url}"\n{keys}')
    print_leftovers(file, as_json=True)
    (shown,) = json.loads(capsys.readouterr().out)
    assert (shown["id"], shown["name"], shown["left"], shown["cleaning"]) == (project_id, "tenant", ALL, False)
    clean(file, project_id)
    capsys.readouterr()
    print_leftovers(file)
    assert "is being cleaned" in capsys.readouterr().out
    settle_for(cloud, moving, 12)
    print_leftovers(file)
    assert capsys.readouterr().out == "No deleted project left anything.\n"
    with pytest.raises(Refusal, match="no deleted project"):
        clean(file, project_id)


def test_a_service_that_cannot_count_hides_nothing_of_the_others(cloud, moving, monkeypatch):
    """Its project stays listed and is not forgotten; what the others hold is listed and cleaned."""
    monkeypatch.setattr(projects, "GIVE_UP_AFTER", 3)
    project_id = new_project(cloud, "tenant")
    arrive(cloud, project_id)
    deleted = cloud.control.deleted_projects
    trouble = ["SELECT no_such_column FROM tasks"]

    def count(tx, _project_id):
        if trouble:
            tx.execute(text(trouble[0]))
        return {}

    deleted.add("outermost", projects.ProjectResources(count, lambda _tx, _project_id: None))
    delete_project(cloud, project_id)
    assert leftovers(cloud)[project_id]["outermost"] == projects.UNCOUNTED
    assert len(leftovers(cloud)[project_id]) > 1
    assert begin(cloud, project_id)
    settle_for(cloud, moving, 8)
    assert leftovers(cloud) == {project_id: {"outermost": projects.UNCOUNTED}}
    moving.advance(2 * 86400)
    deleted.forget(cloud.control.database)
    assert project_id in leftovers(cloud)
    trouble.clear()
    assert leftovers(cloud) == {}
