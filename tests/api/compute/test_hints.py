"""Scheduler hints, and what POST /servers refuses because nothing here would act on it."""

from __future__ import annotations

import pytest
from tests.api.compute.setting import at
from tests.cloud import SimulatedCloud

from gureum.foundation import ids
from gureum.services.compute.hosts.model import Host

SERVERS = "/compute/v2.1/servers"
NEW = at("2.96")


@pytest.fixture
def cloud(tmp_path):
    cloud = SimulatedCloud(tmp_path, hosts=3)
    yield cloud
    cloud.close()


def post(client, image, hints=None, version="2.79", **more):
    body = {"server": {"name": "one", "flavorRef": "42", "networks": "none", "imageRef": image, **more}}
    if hints:
        body["os:scheduler_hints"] = hints
    return client.post(SERVERS, body, **at(version))


def made(client, image, hints=None, **more):
    answer = post(client, image, hints, **more)
    assert answer.status == 202, answer.content
    return answer.json()["server"]["id"]


def host_of(cloud, server_id):
    cloud.settle()
    server = cloud.client().get(f"{SERVERS}/{server_id}").json()["server"]
    assert server["status"] == "ACTIVE", server
    return server["OS-EXT-SRV-ATTR:host"]


def test_a_server_goes_to_the_host_of_another_or_stays_away(cloud, demo, image):
    first = made(demo, image)
    home = host_of(cloud, first)
    near = [made(demo, image, {"same_host": given}) for given in (first, [first], [ids.new_uuid(), first])]
    assert {host_of(cloud, one) for one in near} == {home}
    second = made(demo, image, {"different_host": first})
    third = made(demo, image, {"different_host": [first, second]})
    assert len({home, host_of(cloud, second), host_of(cloud, third)}) == 3
    lost = made(demo, image, {"different_host": [first, second, third]})
    cloud.settle()
    fault = demo.get(f"{SERVERS}/{lost}").json()["server"]["fault"]["message"]
    assert fault == "No valid host was found. Left out: holds a server of the hint different_host."


def test_a_strangers_server_is_no_hint(cloud, demo, image):
    """Nobody finds out by hints on which host a stranger's server is, or that there is such a server."""
    stranger = made(cloud.client(), image)
    host_of(cloud, stranger)
    for unseen in (stranger, ids.new_uuid()):
        answer = post(demo, image, {"same_host": unseen})
        assert answer.status == 400
        assert unseen not in answer.content.decode()
    everywhere = [made(demo, image, {"different_host": stranger}) for _ in range(3)]
    for server in everywhere:
        host_of(cloud, server)


def test_a_server_goes_near_an_address(cloud, demo, image):
    def give_addresses(tx):
        for number, host in enumerate(tx.query(Host).order_by(Host.name)):
            host.resources = {**host.resources, "host_ip": f"10.1.{number}.7"}

    cloud.control.database.write(give_addresses)
    near = [made(demo, image, {"build_near_host_ip": "10.1.1.200"}) for _ in range(2)]
    assert {host_of(cloud, one) for one in near} == {"host2"}
    wide = [made(demo, image, {"build_near_host_ip": "10.1.2.200", "cidr": "/23"}) for _ in range(2)]
    assert {host_of(cloud, one) for one in wide} == {"host3"}
    nowhere = made(demo, image, {"build_near_host_ip": "10.9.0.1"})
    cloud.settle()
    assert demo.get(f"{SERVERS}/{nowhere}").json()["server"]["status"] == "ERROR"


@pytest.mark.parametrize(
    "hints",
    [
        {"query": '[">=", "$free_ram_mb", 1024]'},
        {"query": [">=", "$free_ram_mb", 1024]},
        {"target_cell": "one"},
        {"different_cell": ["one"]},
        {"reservation": "of-somebody-else"},
        {"same_host": "one"},
        {"different_host": ["one"]},
        {"same_host": [1]},
        {"group": "one"},
        {"build_near_host_ip": "nowhere"},
        {"build_near_host_ip": "10.0.0.1", "cidr": "/33"},
        {"cidr": "/24"},
    ],
)
def test_what_is_not_offered_or_not_well_formed_is_refused(cloud, demo, image, hints):
    before = cloud.control.database.counters.commits
    answer = post(demo, image, hints)
    assert answer.status == 400, answer.content
    assert next(iter(hints)) in answer.json()["badRequest"]["message"]
    assert cloud.control.database.counters.commits == before


def test_certificates_that_nobody_would_check_are_refused(cloud, demo, image):
    assert post(demo, image, trusted_image_certificates=["one"]).status == 400
    server = made(demo, image, trusted_image_certificates=None)
    host_of(cloud, server)
    rebuild = {"imageRef": image, "trusted_image_certificates": ["one"]}
    answer = demo.post(f"{SERVERS}/{server}/action", {"rebuild": rebuild}, **NEW)
    assert answer.status == 400
    assert "trusted_image_certificates" in answer.json()["badRequest"]["message"]
    rebuild["trusted_image_certificates"] = None
    assert demo.post(f"{SERVERS}/{server}/action", {"rebuild": rebuild}, **at("2.62")).status == 400
    assert demo.post(f"{SERVERS}/{server}/action", {"rebuild": {**rebuild, "hostname": "two"}}, **NEW).status == 202
    assert demo.get(f"{SERVERS}/{server}", **NEW).json()["server"]["OS-EXT-SRV-ATTR:hostname"] == "two"


def test_the_quota_of_a_groups_members_holds(cloud, demo, image):
    admin = cloud.client()
    project = admin.get("/identity/v3/projects?name=demo").json()["projects"][0]["id"]
    limit = {"quota_set": {"server_group_members": 2}}
    assert admin.put(f"/compute/v2.1/os-quota-sets/{project}", limit).status == 200
    group = demo.post(
        "/compute/v2.1/os-server-groups", {"server_group": {"name": "g", "policy": "soft-affinity"}}, **NEW
    ).json()["server_group"]["id"]
    assert post(demo, image, {"group": group}, min_count=3).status == 403
    members = [made(demo, image, {"group": group}) for _ in range(2)]
    refused = post(demo, image, {"group": group})
    assert refused.status == 403
    assert "server_group_members" in refused.json()["forbidden"]["message"]
    assert demo.delete(f"{SERVERS}/{members[0]}").status == 204
    cloud.settle()
    assert post(demo, image, {"group": group}).status == 202
