"""What services tell: every kind of event, with what a meter needs, in the order in which it happened."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import select

from gureum.foundation.config import EventsConfig
from gureum.foundation.events.event import Event
from gureum.foundation.events.model import EventRow
from tests.api.leftovers.furnished import NETWORK, made, new_project
from tests.cloud import ADMIN_PASSWORD, SimulatedCloud


@pytest.fixture
def cloud(tmp_path):
    cloud = SimulatedCloud(tmp_path, events=EventsConfig(record=["*"]))
    yield cloud
    cloud.close()


def told(cloud, *prefixes):
    with cloud.control.database.read() as tx:
        rows = tx.execute(select(EventRow.kind, EventRow.content).order_by(EventRow.number)).all()
    return [(row.kind, json.loads(row.content)) for row in rows if row.kind.startswith(prefixes)]


def test_a_servers_life_is_told_with_its_size(cloud):
    client, image_id = cloud.client(), cloud.image()
    server_id = cloud.server(client, imageRef=image_id)
    cloud.settle()
    for action in ({"os-stop": None}, {"os-start": None}, {"reboot": {"type": "HARD"}}):
        assert client.post(f"/compute/v2.1/servers/{server_id}/action", action).status == 202
        cloud.settle()
    assert client.delete(f"/compute/v2.1/servers/{server_id}").status == 204
    cloud.settle()
    events = told(cloud, "server.")
    life = ["created", "started", "stopped", "started", "deleted"]
    assert [kind for kind, _ in events] == [f"server.{step}" for step in life], "a reboot is no stop"
    server = events[0][1]
    assert (server["id"], server["flavor_id"], server["vcpus"], server["ram_mib"]) == (server_id, "42", 1, 128)
    assert server["disk_gib"] >= 1
    assert all(content == server for _, content in events)


def test_an_images_life_is_told_with_its_size(cloud):
    image_id = cloud.image(size=1 << 16)
    assert cloud.client().delete(f"/image/v2/images/{image_id}").status == 204
    events = [(kind, content["size_bytes"]) for kind, content in told(cloud, "image.a", "image.d")]
    assert events == [("image.activated", 1 << 16), ("image.deleted", 1 << 16)]
    assert [content["id"] for _, content in told(cloud, "image.c")] == [image_id]


def test_what_identity_deletes_is_told(cloud):
    admin = cloud.client()
    domain = made(admin.post("/identity/v3/domains", {"domain": {"name": "short"}}))["id"]
    project = made(admin.post("/identity/v3/projects", {"project": {"name": "p", "domain_id": domain}}))["id"]
    new_user = {"user": {"name": "u", "domain_id": domain, "password": ADMIN_PASSWORD}}
    user = made(admin.post("/identity/v3/users", new_user))["id"]
    own = new_project(cloud, "own")
    assert admin.delete(f"/identity/v3/projects/{own}").status == 204
    path = f"/identity/v3/domains/{domain}"
    assert admin.request("PATCH", path, {"domain": {"enabled": False}}).status == 200
    assert admin.delete(path).status == 204
    events = told(cloud, "project.", "user.", "domain.")
    assert [(kind, content["id"]) for kind, content in events] == [
        ("project.deleted", own),
        ("project.deleted", project),
        ("user.deleted", user),
        ("domain.deleted", domain),
    ]


def test_nothing_is_written_while_nobody_reads(tmp_path):
    cloud = SimulatedCloud(tmp_path)
    client = cloud.client()
    cloud.network(client)
    cloud.server(client, imageRef=cloud.image())
    cloud.settle()
    assert client.get(f"{NETWORK}/ports").status == 200
    assert told(cloud, "") == []
    cloud.close()


def test_every_kind_is_of_one_type():
    def below(kind):
        return [found for one in kind.__subclasses__() for found in (one, *below(one))]

    kinds = [kind.KIND for kind in below(Event) if kind.KIND and kind.__module__.startswith("gureum.")]
    assert sorted(kinds) == sorted(set(kinds))
    assert len(kinds) >= 18
