"""A whole simulated cloud on PostgreSQL: the same lives as on SQLite, and many writers at once.

Writes are SERIALIZABLE there and repeated when the database says so: what is shown is that no address is given twice, no
claim is lost and no quota is passed, however the transactions fall over each other.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from gureum.foundation.tasks.model import Task
from gureum.services.network.ports.model import IpAllocation, Port
from gureum.services.placement.model import Allocation, ProviderInventory
from tests.cloud import SimulatedCloud

pytestmark = pytest.mark.postgresql

COMPUTE, NETWORK, IDENTITY, IMAGE = "/compute/v2.1", "/network/v2.0", "/identity/v3", "/image/v2"
V = {"OpenStack_API_Version": "compute 2.79"}
MANY = 20


@pytest.fixture(scope="module")
def cloud(postgresql_url, tmp_path_factory):
    cloud = SimulatedCloud(tmp_path_factory.mktemp("cloud"), database=postgresql_url)
    yield cloud
    cloud.close()


@pytest.fixture(scope="module")
def admin(cloud):
    """An administrator whose project has no limits."""
    client = cloud.client()
    project_id = client.get(f"{IDENTITY}/projects?name=admin").json()["projects"][0]["id"]
    unlimited = dict.fromkeys(("instances", "cores", "ram"), -1)
    assert client.put(f"{COMPUTE}/os-quota-sets/{project_id}", {"quota_set": unlimited}).status == 200
    return client


@pytest.fixture(autouse=True)
def heard(cloud):
    """Real time passes here: a host that is not heard for some seconds counts as down."""
    cloud.beat()


def together(work, count=MANY):
    """Call `work(number)` on as many threads, all let go at the same moment; the answers in order."""
    gate = threading.Barrier(count)

    def one(number):
        gate.wait(20)
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def statuses(answers):
    return Counter(answer.status for answer in answers)


# -- one after the other -------------------------------------------------------------------------------------


def test_identity_basics(cloud, admin):
    made = admin.post(f"{IDENTITY}/projects", {"project": {"name": "rain", "tags": ["wet"]}})
    assert made.status == 201, made.content
    project_id = made.json()["project"]["id"]
    user = {"name": "drop", "password": "falling", "default_project_id": project_id}
    user_id = admin.post(f"{IDENTITY}/users", {"user": user}).json()["user"]["id"]
    roles = admin.get(f"{IDENTITY}/roles?name=member").json()["roles"]
    grant = f"{IDENTITY}/projects/{project_id}/users/{user_id}/roles/{roles[0]['id']}"
    assert admin.put(grant).status == 204
    drop = cloud.client("drop", "rain", "falling")
    assert drop.get(f"{IDENTITY}/auth/tokens", X_Subject_Token=drop.headers["X-Auth-Token"]).status == 200
    assert drop.get(f"{COMPUTE}/servers").json() == {"servers": []}
    secret = drop.post(f"{IDENTITY}/users/{user_id}/application_credentials", {"application_credential": {"name": "a"}})
    assert secret.status == 201, secret.content
    assert admin.delete(grant).status == 204
    cloud.read_revocations()
    assert drop.get(f"{COMPUTE}/servers").status == 401
    assert admin.delete(f"{IDENTITY}/users/{user_id}").status == 204
    assert admin.delete(f"{IDENTITY}/projects/{project_id}").status == 204
    assert admin.post(f"{IDENTITY}/projects", {"project": {"name": "admin"}}).status == 409


def test_the_life_of_an_image(cloud, admin):
    image_id = cloud.image("life", 1 << 12)
    shown = admin.get(f"{IMAGE}/images/{image_id}").json()
    assert (shown["status"], shown["size"]) == ("active", 1 << 12)
    change = [{"op": "add", "path": "/season", "value": "monsoon"}]
    sent = admin.request(
        "PATCH", f"{IMAGE}/images/{image_id}", change, content_type="application/openstack-images-v2.1-json-patch"
    )
    assert sent.json()["season"] == "monsoon"
    assert admin.get(f"{IMAGE}/images/{image_id}/file").content == bytes(1 << 12)
    assert admin.delete(f"{IMAGE}/images/{image_id}").status == 204
    assert admin.get(f"{IMAGE}/images/{image_id}").status == 404


def test_an_import_its_task_and_the_definitions(cloud, admin):
    view = {"name": "imported", "disk_format": "raw", "container_format": "bare", "tags": ["t"], "os_distro": "debian"}
    image_id = admin.post(f"{IMAGE}/images", view).json()["id"]
    place = f"{IMAGE}/images/{image_id}"
    sent = admin.request("PUT", f"{place}/stage", raw=b"data", content_type="application/octet-stream")
    assert sent.status == 204, sent.content
    answer = admin.post(f"{place}/import", {"method": {"name": "glance-direct"}, "all_stores": True})
    assert answer.status == 202, answer.content
    cloud.settle()
    assert (admin.get(place).json()["status"], admin.get(f"{place}/file").content) == ("active", b"data")
    assert [task["status"] for task in admin.get(f"{place}/tasks").json()["tasks"]] == ["success"]
    assert image_id in [one["id"] for one in admin.get(f"{IMAGE}/images?limit=10").json()["images"]]
    assert [one["id"] for one in admin.get(f"{IMAGE}/images?tag=t&os_distro=debian").json()["images"]] == [image_id]
    assert admin.get(f"{IMAGE}/info/usage").json()["usage"]["image_size_total"]["usage"] >= 1
    assert admin.delete(place).status == 204
    cloud.settle()
    spaces = f"{IMAGE}/metadefs/namespaces"
    found = admin.get(f"{spaces}?limit=100").json()["namespaces"]
    assert "OS::Compute::Quota" in [one["namespace"] for one in found]
    body = {"namespace": "Mine", "properties": {"p": {"title": "P", "type": "string"}}, "tags": [{"name": "t"}]}
    assert admin.post(spaces, body).status == 201
    assert list(admin.get(f"{spaces}/Mine").json()["properties"]) == ["p"]
    assert admin.delete(f"{spaces}/Mine").status == 204


def test_the_life_of_a_network(cloud, admin):
    network = cloud.network(admin, "life", "10.8.0.0/24")
    subnet = admin.get(f"{NETWORK}/subnets?network_id={network}").json()["subnets"][0]["id"]
    router = admin.post(f"{NETWORK}/routers", {"router": {"name": "life"}}).json()["router"]["id"]
    interface = f"{NETWORK}/routers/{router}/%s_router_interface"
    assert admin.put(interface % "add", {"subnet_id": subnet}).status == 200
    public = admin.get(f"{NETWORK}/networks?router:external=true").json()["networks"][0]["id"]
    gateway = {"router": {"external_gateway_info": {"network_id": public}}}
    assert admin.put(f"{NETWORK}/routers/{router}", gateway).status == 200
    port = admin.post(f"{NETWORK}/ports", {"port": {"network_id": network}}).json()["port"]["id"]
    wanted = {"floatingip": {"floating_network_id": public, "port_id": port}}
    floating = admin.post(f"{NETWORK}/floatingips", wanted)
    assert floating.status == 201, floating.content
    cloud.settle()
    assert admin.delete(f"{NETWORK}/networks/{network}").status == 409
    assert admin.delete(f"{NETWORK}/floatingips/{floating.json()['floatingip']['id']}").status == 204
    assert admin.put(f"{NETWORK}/routers/{router}", {"router": {"external_gateway_info": None}}).status == 200
    assert admin.put(interface % "remove", {"subnet_id": subnet}).status == 200
    for path in (f"ports/{port}", f"routers/{router}", f"networks/{network}"):
        assert admin.delete(f"{NETWORK}/{path}").status == 204
    cloud.settle()


def test_the_life_of_a_server(cloud, admin):
    network = cloud.network(admin, "servers", "10.9.0.0/24")
    server = cloud.server(admin, imageRef=cloud.image(), networks=[{"uuid": network}], metadata={"k": "v"})
    url = f"{COMPUTE}/servers/{server}"
    cloud.settle()
    shown = admin.get(url, **V).json()["server"]
    assert (shown["status"], shown["metadata"]) == ("ACTIVE", {"k": "v"})
    assert len(shown["addresses"]["servers"]) == 1
    for action, status in (({"os-stop": None}, "SHUTOFF"), ({"os-start": None}, "ACTIVE")):
        assert admin.post(f"{url}/action", action).status == 202
        cloud.settle()
        assert admin.get(url, **V).json()["server"]["status"] == status
    assert [one["id"] for one in admin.get(f"{COMPUTE}/servers/detail").json()["servers"]] == [server]
    assert admin.delete(url).status == 204
    cloud.settle()
    assert admin.get(url).status == 404
    assert admin.delete(f"{NETWORK}/networks/{network}").status == 204
    with cloud.control.database.read() as tx:
        assert tx.scalar(select(func.count()).select_from(Allocation)) == 0
        assert tx.scalar(select(func.count()).select_from(Task).where(Task.kind == "server")) == 0


def test_a_page_goes_on_after_a_marker_with_nulls_and_equal_keys(admin, cloud):
    """Nulls sort alike on both databases; the keyset page depends on it."""
    image = cloud.image("paged")
    servers = {cloud.server(admin, imageRef=image) for _ in range(5)}
    seen, marker = [], ""
    while page := admin.get(f"{COMPUTE}/servers?sort_key=launched_at&limit=2{marker}").json()["servers"]:
        seen += [one["id"] for one in page]
        marker = f"&marker={seen[-1]}"
    assert len(seen) == len(set(seen)) == 5
    for server in servers:
        assert admin.delete(f"{COMPUTE}/servers/{server}").status == 204
    cloud.settle()


# -- all at once ---------------------------------------------------------------------------------------------


def test_ports_made_together_get_each_an_address_of_its_own(cloud, admin):
    network = cloud.network(admin, "crowd", "10.10.0.0/26")
    answers = together(lambda n: admin.post(f"{NETWORK}/ports", {"port": {"network_id": network, "name": f"p{n}"}}))
    assert statuses(answers) == {201: MANY}
    ports = [answer.json()["port"] for answer in answers]
    assert len({port["fixed_ips"][0]["ip_address"] for port in ports}) == MANY
    assert len({port["mac_address"] for port in ports}) == MANY
    with cloud.control.database.read() as tx:
        held = select(func.count()).select_from(IpAllocation)
        assert tx.scalar(held.where(IpAllocation.owner_id.in_([port["id"] for port in ports]))) == MANY
    gone = together(lambda n: admin.delete(f"{NETWORK}/ports/{ports[n]['id']}"))
    assert statuses(gone) == {204: MANY}
    assert admin.delete(f"{NETWORK}/networks/{network}").status == 204


def test_the_last_addresses_go_to_as_many_as_there_are(cloud, admin):
    network = cloud.network(admin, "narrow", "10.11.0.0/28")
    free = 16 - 3  # network, gateway, broadcast
    answers = together(lambda _: admin.post(f"{NETWORK}/ports", {"port": {"network_id": network}}))
    given = [one.json()["port"] for one in answers if one.status == 201]
    assert set(statuses(answers)) == {201, 409}
    assert len({port["fixed_ips"][0]["ip_address"] for port in given}) == len(given)
    assert free - 1 <= len(given) <= free  # DHCP and metadata keep one


def test_a_quota_is_not_passed_by_asking_together(cloud, admin):
    demo = cloud.client("demo")
    project_id = admin.get(f"{IDENTITY}/projects?name=demo").json()["projects"][0]["id"]
    assert admin.put(f"{NETWORK}/quotas/{project_id}", {"quota": {"network": 5}}).status == 200
    answers = together(lambda n: demo.post(f"{NETWORK}/networks", {"network": {"name": f"n{n}"}}))
    assert statuses(answers) == {201: 5, 409: MANY - 5}
    assert len(demo.get(f"{NETWORK}/networks?router:external=false").json()["networks"]) == 5


def test_a_name_is_given_once(admin):
    answers = together(lambda _: admin.post(f"{IDENTITY}/projects", {"project": {"name": "sought"}}))
    assert statuses(answers) == {201: 1, 409: MANY - 1}


def test_servers_made_together_lose_no_claim(cloud, admin):
    """Four workers place twenty servers on two hosts with room for twelve: each claim is counted, none twice."""
    memory = 262_144 // 6  # MiB; a host of 256 GiB holds six, less what it keeps for itself
    flavor = {"flavor": {"name": "sixth", "ram": memory, "vcpus": 1, "disk": 1}}
    flavor_id = admin.post(f"{COMPUTE}/flavors", flavor).json()["flavor"]["id"]
    network = cloud.network(admin, "claims", "10.12.0.0/24")
    image = cloud.image("claims")
    body = {"flavorRef": flavor_id, "imageRef": image, "networks": [{"uuid": network}]}
    answers = together(lambda n: admin.post(f"{COMPUTE}/servers", {"server": {**body, "name": f"s{n}"}}))
    assert statuses(answers) == {202: MANY}
    servers = [answer.json()["server"]["id"] for answer in answers]
    run_with_workers(cloud, lambda: set(states(admin)) <= {"ACTIVE", "ERROR"})

    found = states(admin)
    with cloud.control.database.read() as tx:
        claims = tx.execute(
            select(Allocation.provider_id, func.sum(Allocation.used))
            .where(Allocation.resource_class == "MEMORY_MB")
            .group_by(Allocation.provider_id)
        ).all()
        rows = tx.scalars(select(ProviderInventory).where(ProviderInventory.resource_class == "MEMORY_MB")).all()
        inventories = {row.provider_id: row for row in rows}
        addresses = tx.scalars(select(IpAllocation.ip).join(Port, Port.id == IpAllocation.owner_id)).all()
    assert sum(used for _, used in claims) == found["ACTIVE"] * memory, "a claim without a server, or the reverse"
    for provider_id, used in claims:
        row = inventories[provider_id]
        assert used == row.used <= (row.total - row.reserved) * row.allocation_ratio
    assert found["ACTIVE"] == sum(int((row.total - row.reserved) // memory) for row in rows)
    assert len(addresses) == len(set(addresses))

    gone = together(lambda n: admin.delete(f"{COMPUTE}/servers/{servers[n]}"))
    assert statuses(gone) == {204: MANY}
    run_with_workers(cloud, lambda: not states(admin))
    with cloud.control.database.read() as tx:
        assert tx.scalar(select(func.count()).select_from(Allocation)) == 0
        assert set(tx.scalars(select(ProviderInventory.used))) == {0}


def states(client):
    return Counter(one["status"] for one in client.get(f"{COMPUTE}/servers/detail").json()["servers"])


def run_with_workers(cloud, reached, timeout_s=60):
    """Step the cloud on four threads until it has come to where it should."""
    engine = cloud.control.engine
    over = threading.Event()

    def work():
        while not over.is_set():
            for task in engine._claim(4):
                engine.run_task(task)
            over.wait(0.01)

    threads = [threading.Thread(target=work) for _ in range(4)]
    while not engine._queue.empty():  # what the creations handed to this process
        cloud.settle()
    for thread in threads:
        thread.start()
    try:
        deadline = time.monotonic() + timeout_s
        while not reached():
            assert time.monotonic() < deadline, states(cloud.client())
            cloud.beat()
            cloud.writer.run_once()
            time.sleep(0.02)
    finally:
        over.set()
        for thread in threads:
            thread.join()
