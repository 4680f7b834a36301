"""What operators see and change of hosts: hypervisors, services, aggregates, zones."""

from __future__ import annotations

import pytest
from tests.api.compute.setting import P1, UPTIME, at

from gureum.agents.hypervisor.protocol import HostObserved, HostResources
from gureum.foundation import clock
from gureum.services.compute.hosts.inventories import LOOK_EVERY_S

V21 = "/compute/v2.1"
NEW = at("2.96")


@pytest.fixture
def hosts(world):
    world.hosts("h1", "h2", "k3")


def zones(client, detail=""):
    found = client.get(f"{V21}/os-availability-zone{detail}").json()["availabilityZoneInfo"]
    return {zone["zoneName"]: zone for zone in found}


def test_tenants_see_no_hosts(world, hosts, alice):
    for path in (
        "os-hypervisors",
        "os-hypervisors/detail",
        "os-services",
        "os-aggregates",
        "os-availability-zone/detail",
    ):
        assert alice.get(f"{V21}/{path}").status == 403, path
    assert zones(alice)["nova"] == {"zoneName": "nova", "zoneState": {"available": True}, "hosts": None}


def test_hypervisors_show_what_is_used(world, hosts, root):
    server = world.server(host="h1")
    with world.database.read() as tx:
        provider = next(p for p in world.deps.placement.candidates(tx, wanted()).hosts if p.name == "h1").provider_id
    amounts = {provider: {"VCPU": 2, "MEMORY_MB": 1024, "DISK_GB": 5}}
    world.database.write(lambda tx: world.deps.placement.claim(tx, server, P1, "alice", amounts))
    listed = {h["hypervisor_hostname"]: h for h in root.get(f"{V21}/os-hypervisors/detail").json()["hypervisors"]}
    one = listed["h1"]
    assert (one["vcpus"], one["vcpus_used"], one["memory_mb_used"], one["free_ram_mb"]) == (8, 2, 1024, 15360)
    assert (one["local_gb"], one["local_gb_used"], one["running_vms"], one["state"]) == (100, 5, 1, "up")
    assert isinstance(one["id"], int)
    assert isinstance(one["cpu_info"], str)
    assert root.get(f"{V21}/os-hypervisors/{one['id']}").json()["hypervisor"]["hypervisor_hostname"] == "h1"
    total = root.get(f"{V21}/os-hypervisors/statistics").json()["hypervisor_statistics"]
    assert (total["count"], total["vcpus"], total["vcpus_used"], total["running_vms"]) == (3, 24, 2, 1)
    newest = root.get(f"{V21}/os-hypervisors/{provider}?with_servers=true", **NEW).json()["hypervisor"]
    assert newest["servers"] == [{"uuid": server, "name": "one"}]
    assert not set(newest) & {"vcpus", "memory_mb", "cpu_info", "running_vms"}
    assert root.get(f"{V21}/os-hypervisors/statistics", **NEW).status == 404


def wanted():
    from gureum.services.placement.facade import Wanted

    return Wanted({"VCPU": 1})


def test_hypervisors_are_searched_and_paged(world, hosts, root):
    found = root.get(f"{V21}/os-hypervisors?hypervisor_hostname_pattern=h", **NEW).json()["hypervisors"]
    assert {h["hypervisor_hostname"] for h in found} == {"h1", "h2"}
    assert root.get(f"{V21}/os-hypervisors?hypervisor_hostname_pattern=zz", **NEW).status == 404
    assert root.get(f"{V21}/os-hypervisors?hypervisor_hostname_pattern=h&limit=1", **NEW).status == 400
    assert {h["hypervisor_hostname"] for h in root.get(f"{V21}/os-hypervisors/h/search").json()["hypervisors"]} == {
        "h1",
        "h2",
    }
    assert "servers" not in root.get(f"{V21}/os-hypervisors/h1/servers").json()["hypervisors"][0]
    for version in ("2.33", "2.96"):
        seen, link = [], f"{V21}/os-hypervisors?limit=2"
        while link:
            page = root.get(link.removeprefix("http://cloud"), **at(version)).json()
            seen += [h["hypervisor_hostname"] for h in page["hypervisors"]]
            link = page["hypervisors_links"][0]["href"] if "hypervisors_links" in page else None
        assert sorted(seen) == ["h1", "h2", "k3"], version


def test_a_hypervisor_says_how_long_it_is_up(world, virtual_clock, root, alice):
    """On its own until 2.87, within the details since 2.88; a host that is silent or says nothing has none."""
    world.hosts("h1")
    (one,) = root.get(f"{V21}/os-hypervisors/detail", **at("2.87")).json()["hypervisors"]
    path = f"{V21}/os-hypervisors/{one['id']}/uptime"
    assert "uptime" not in one
    assert root.get(path, **at("2.87")).json()["hypervisor"] == {
        "id": one["id"],
        "hypervisor_hostname": "h1",
        "state": "up",
        "status": "enabled",
        "uptime": UPTIME,
    }
    assert alice.get(path, **at("2.87")).status == 403
    assert root.get(path, **at("2.88")).status == 404
    newer = f"{V21}/os-hypervisors/{one['id']}"
    assert root.get(newer, **at("2.88")).json()["hypervisor"]["uptime"] == UPTIME
    assert root.get(f"{V21}/os-hypervisors/detail", **at("2.88")).json()["hypervisors"][0]["uptime"] == UPTIME
    virtual_clock.advance(60)
    assert root.get(path, **at("2.87")).status == 400
    assert root.get(newer, **at("2.88")).json()["hypervisor"]["uptime"] is None
    world.beat(HostObserved("h1", 1, HostResources(vcpus=8, ram_mib=16384, disk_gib=100)))
    assert root.get(path, **at("2.87")).status == 501


def test_a_deleted_host_that_still_reports_comes_back(world, virtual_clock, root):
    world.hosts("h1")
    (service,) = root.get(f"{V21}/os-services?host=h1", **NEW).json()["services"]
    assert root.delete(f"{V21}/os-services/{service['id']}", **NEW).status == 204
    virtual_clock.advance(LOOK_EVERY_S)
    world.hosts("h1")
    (again,) = root.get(f"{V21}/os-services?host=h1", **NEW).json()["services"]
    assert (again["state"], again["id"] != service["id"]) == ("up", True)
    with world.database.read() as tx:
        assert [host.name for host in world.deps.placement.candidates(tx, wanted()).hosts] == ["h1"]


def test_a_silent_host_is_down(world, virtual_clock, root):
    world.hosts("h1")
    assert root.get(f"{V21}/os-services?host=h1", **NEW).json()["services"][0]["state"] == "up"
    virtual_clock.advance(60)
    assert root.get(f"{V21}/os-services?host=h1", **NEW).json()["services"][0]["state"] == "down"
    assert root.get(f"{V21}/os-hypervisors", **NEW).json()["hypervisors"][0]["state"] == "down"
    assert zones(root)["nova"]["zoneState"] == {"available": False}


def test_services_are_disabled_enabled_and_forced_down(world, hosts, root):
    listed = root.get(f"{V21}/os-services?host=h1", **NEW).json()["services"]
    (service,) = listed
    one = f"{V21}/os-services/{service['id']}"
    off = root.put(one, {"status": "disabled", "disabled_reason": "repair"}, **NEW).json()["service"]
    assert (off["status"], off["disabled_reason"], off["state"]) == ("disabled", "repair", "up")
    on = root.put(one, {"status": "enabled"}, **NEW).json()["service"]
    assert (on["status"], on["disabled_reason"]) == ("enabled", None)
    down = root.put(one, {"forced_down": True}, **NEW).json()["service"]
    assert (down["state"], down["forced_down"]) == ("down", True)
    for bad in (
        {},
        {"status": "off"},
        {"disabled_reason": "x"},
        {"status": "enabled", "disabled_reason": "x"},
        {"x": 1},
    ):
        assert root.put(one, bad, **NEW).status == 400, bad
    assert root.put(f"{V21}/os-services/none", {"status": "enabled"}, **NEW).status == 400
    nothing = "00000000-0000-0000-0000-000000000000"
    assert root.put(f"{V21}/os-services/{nothing}", {"status": "enabled"}, **NEW).status == 404
    who = {"host": "h2", "binary": "nova-compute"}
    assert root.put(f"{V21}/os-services/disable", who).json()["service"]["status"] == "disabled"
    assert root.put(f"{V21}/os-services/enable", who, **NEW).status == 404
    assert root.put(f"{V21}/os-services/force-down", {**who, "forced_down": True}).status == 404
    assert root.put(f"{V21}/os-services/disable", {**who, "host": "h9"}).status == 404
    assert root.get(f"{V21}/os-services?binary=nova-console").json() == {"services": []}


def test_the_control_plane_is_seen_as_services_of_the_zone_internal(world, hosts, root, alice):
    for binary in ("nova-scheduler", "nova-conductor"):
        (service,) = root.get(f"{V21}/os-services?binary={binary}", **NEW).json()["services"]
        assert (service["zone"], service["status"], service["state"]) == ("internal", "enabled", "up")
        (elder,) = root.get(f"{V21}/os-services?binary={binary}&host={service['host']}").json()["services"]
        assert isinstance(elder["id"], int)
        one = f"{V21}/os-services/{service['id']}"
        refused = root.put(one, {"status": "disabled"}, **NEW)
        assert refused.status == root.delete(one, **NEW).status == 400
        assert "Only nova-compute services can be updated" in refused.json()["badRequest"]["message"]
        who = {"host": service["host"], "binary": binary}
        assert root.put(f"{V21}/os-services/disable", who).status == 400
        internal = zones(root, "/detail")["internal"]
        assert internal["hosts"][service["host"]][binary]["available"] is True
    assert "internal" not in zones(root)
    assert "internal" not in zones(alice)


def test_a_host_with_servers_is_not_forgotten(world, hosts, root):
    world.server(host="h1")
    services = {s["host"]: s["id"] for s in root.get(f"{V21}/os-services", **NEW).json()["services"]}
    assert root.delete(f"{V21}/os-services/{services['h1']}", **NEW).status == 409
    assert root.delete(f"{V21}/os-services/{services['h2']}", **NEW).status == 204
    assert root.delete(f"{V21}/os-services/{services['h2']}", **NEW).status == 404
    assert len(root.get(f"{V21}/os-hypervisors", **NEW).json()["hypervisors"]) == 2


def new_aggregate(root, name, zone=None):
    made = root.post(f"{V21}/os-aggregates", {"aggregate": {"name": name, "availability_zone": zone}})
    assert made.status == 200
    return f"{V21}/os-aggregates/{made.json()['aggregate']['id']}"


def act(root, one, **action):
    return root.post(f"{one}/action", action)


def test_an_aggregate_with_a_zone_moves_its_hosts(world, hosts, root):
    one = new_aggregate(root, "a", "east")
    assert act(root, one, add_host={"host": "h1"}).json()["aggregate"]["hosts"] == ["h1"]
    assert set(zones(root)) == {"nova", "east"}
    assert set(zones(root, "/detail")) == {"internal", "nova", "east"}
    assert list(zones(root, "/detail")["east"]["hosts"]) == ["h1"]
    assert (
        root.put(one, {"aggregate": {"availability_zone": "west"}}).json()["aggregate"]["availability_zone"] == "west"
    )
    assert set(zones(root)) == {"nova", "west"}
    assert act(root, one, set_metadata={"metadata": {"availability_zone": None, "k": "v"}}).json()["aggregate"][
        "metadata"
    ] == {"k": "v"}
    assert set(zones(root)) == {"nova"}
    assert act(root, one, set_metadata={"metadata": {"k": None}}).json()["aggregate"]["metadata"] == {}
    assert root.delete(one).status == 400
    assert act(root, one, remove_host={"host": "h1"}).status == 200
    assert act(root, one, remove_host={"host": "h1"}).status == 404
    assert root.delete(one).status == 200
    assert root.get(one).status == 404


def test_a_host_is_in_one_zone(world, hosts, root):
    east, west, plain = (new_aggregate(root, n, z) for n, z in (("e", "east"), ("w", "west"), ("p", None)))
    act(root, east, add_host={"host": "h1"})
    assert act(root, west, add_host={"host": "h1"}).status == 409
    assert act(root, plain, add_host={"host": "h1"}).status == 200
    assert root.put(plain, {"aggregate": {"availability_zone": "west"}}).status == 400
    assert root.put(plain, {"aggregate": {"availability_zone": "east"}}).status == 200
    act(root, east, remove_host={"host": "h1"})
    assert "east" in zones(root)
    act(root, plain, remove_host={"host": "h1"})
    assert set(zones(root)) == {"nova"}


def test_hosts_with_servers_stay_in_their_zone(world, hosts, root):
    world.server(host="h1")
    one = new_aggregate(root, "a", "east")
    assert act(root, one, add_host={"host": "h1"}).status == 409
    assert root.get(one).json()["aggregate"]["hosts"] == []
    assert set(zones(root)) == {"nova"}


def test_bad_aggregates_are_refused(world, hosts, root):
    new_aggregate(root, "a")
    url = f"{V21}/os-aggregates"
    assert root.post(url, {"aggregate": {"name": "a"}}).status == 409
    for bad in ({"name": ""}, {"name": "b", "availability_zone": ""}, {"name": "b", "availability_zone": "x:y"}, {}):
        assert root.post(url, {"aggregate": bad}).status == 400, bad
    one = new_aggregate(root, "b")
    assert act(root, one, add_host={"host": "h9"}).status == 404
    assert act(root, one, add_host={"host": "h1"}, remove_host={"host": "h1"}).status == 400
    assert act(root, one, explode={}).status == 400
    assert root.get(f"{url}/none").status == 404


def test_usage_is_hours_times_amounts(world, alice, root, virtual_clock):
    begun = clock.utcnow()
    world.server(launched_at=begun)
    virtual_clock.advance(7200)
    usage = alice.get(f"{V21}/os-simple-tenant-usage/{P1}").json()["tenant_usage"]
    assert usage["total_hours"] == 2.0
    assert (usage["total_vcpus_usage"], usage["total_memory_mb_usage"]) == (2.0, 1024.0)
    assert [u["tenant_id"] for u in root.get(f"{V21}/os-simple-tenant-usage").json()["tenant_usages"]] == [P1]
    assert alice.get(f"{V21}/os-simple-tenant-usage").status == 403
    assert world.as_("bob").get(f"{V21}/os-simple-tenant-usage/{P1}").status == 403
    assert (
        alice.get(f"{V21}/os-simple-tenant-usage/{P1}?start=2030-01-01T00:00:00&end=2020-01-01T00:00:00").status == 400
    )
