"""Three real hosts: servers spread, tunnels and routers between them, and a host whose agent falls silent.

One cloud and one set of servers for the module; the tests run in the order of the file.
"""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from tests.system.real_cloud import RealCloud, eventually, ping

pytestmark = [pytest.mark.engines, pytest.mark.filterwarnings("ignore")]

DOWN_WITHIN_S = 20  # 8 s of silence, two beats and a slow machine


@pytest.fixture(scope="module")
def cloud():
    with RealCloud("three", hosts=3) as cloud:
        yield cloud


@pytest.fixture(scope="module")
def servers(cloud):
    """`a`, `b`, `c` on network n, one a host; `d` on network m. `a` and `b` have floating IPs."""
    cloud.prepare()
    other = cloud.routed_network("m", "10.0.1.0/24")
    asked = {name: cloud.boot(name, network=other if name == "d" else None) for name in "abcd"}
    made = {name: cloud.wait_for(server) for name, server in asked.items()}
    ips = {name: cloud.floating_ip(made[name]) for name in "ab"}
    fixed = {
        name: next(iter(cloud.sdk.network.ports(device_id=server.id))).fixed_ips[0]["ip_address"]
        for name, server in made.items()
    }
    guests = {name: cloud.guest(ip).wait() for name, ip in ips.items()}
    return SimpleNamespace(**made, ips=ips, fixed=fixed, guests=guests)


def host_of(server):
    return server.compute_host


def services(cloud):
    listed = cloud.openstack(
        "compute", "service", "list", "--service", "nova-compute", "-f", "json", cloud="gureum-admin"
    )
    return {one["Host"]: one["State"] for one in json.loads(listed)}


def state(cloud, host):
    return next(iter(cloud.admin.compute.services(host=host))).state


def test_servers_spread_over_the_hosts(cloud, servers):
    assert {host_of(server) for server in (servers.a, servers.b, servers.c)} == {"host1", "host2", "host3"}
    for server in (servers.a, servers.b, servers.c, servers.d):
        assert server.id in cloud.domains(host_of(server))
    assert services(cloud) == {"host1": "up", "host2": "up", "host3": "up"}


def test_one_network_spans_the_hosts(servers):
    for name in "bc":
        servers.guests["a"].run(f"ping -c 2 -W 5 {servers.fixed[name]}")


def test_a_router_joins_networks_on_different_hosts(servers):
    assert {host_of(servers.d)} != {host_of(servers.a), host_of(servers.b)}
    for name in "ab":
        servers.guests[name].run(f"ping -c 2 -W 5 {servers.fixed['d']}")


def test_tcp_passes_the_tunnels_at_full_packet_size(servers):
    a, b = servers.guests["a"], servers.guests["b"]
    b.run("(head -c 3000000 /dev/zero | nc -l -p 5001 -w 5) >/dev/null 2>&1 &")
    # The default group lets members reach each other, so that nothing but the tunnel is tested.
    assert a.run(f"sleep 1; nc -w 5 {servers.fixed['b']} 5001 </dev/null | wc -c").strip() == "3000000"


def test_a_floating_ip_lives_on_its_server_s_own_host(cloud, servers):
    """The fabric's bridge learns the floating IP's MAC on the link of the very host that runs the server."""
    for name in "ab":
        assert ping(servers.ips[name])
        mac = cloud.command("enter", "fabric", "--", "ip", "neighbour", "show", servers.ips[name]).split()[4]
        table = cloud.command("enter", "fabric", "--", "bridge", "fdb", "show", "br", "external")
        learnt = [line for line in table.splitlines() if line.startswith(mac)]
        assert len(learnt) == 1, f"{servers.ips[name]} is {mac}: {learnt}"
        assert f"dev x-{host_of(getattr(servers, name))} " in learnt[0]


def test_a_silent_host_is_down_its_servers_wait_and_others_do_not(cloud, servers):
    host, compute = host_of(servers.b), cloud.sdk.compute
    doomed = cloud.boot("doomed", connection=cloud.admin, key_name=None, host=None, availability_zone=f"nova:{host}")
    cloud.wait_for(doomed)
    cloud.freeze(f"{host}.agent")
    try:
        eventually(lambda: state(cloud, host) == "down", DOWN_WITHIN_S)
        assert services(cloud)[host] == "down"
        compute.reboot_server(servers.b.id, "HARD")
        eventually(lambda: f"{host}, which is down, to return" in tasks(cloud), 10)
        assert ping(servers.ips["b"]), "the guest itself runs on"
        elsewhere = [cloud.boot(f"elsewhere{number}") for number in range(2)]
        assert host not in {host_of(cloud.wait_for(server)) for server in elsewhere}
        for server in (*elsewhere, doomed):
            cloud.admin.compute.delete_server(server.id)
        for server in (*elsewhere, doomed):
            cloud.wait_gone(server)
        assert cloud.status(servers.b) == "HARD_REBOOT"
        assert doomed.id in cloud.domains(host)
    finally:
        cloud.thaw(f"{host}.agent")
    cloud.wait_for(servers.b, "ACTIVE", 60)
    eventually(lambda: state(cloud, host) == "up", 10)
    eventually(lambda: doomed.id not in cloud.domains(host), 30)
    servers.guests["b"].wait()
    assert "No task" in tasks(cloud)


def tasks(cloud):
    return " ".join(cloud.command("task", "list").split())


def test_calls_that_hang_in_a_host_hold_up_no_other(cloud, servers):
    """Before anybody can know that a host is silent, its servers' operations take the workers; others go on."""
    host = host_of(servers.b)
    others = [name for name in "acd" if host_of(getattr(servers, name)) != host]
    cloud.freeze(f"{host}.agent")
    try:
        doomed = [
            cloud.boot(f"hung{number}", connection=cloud.admin, key_name=None, availability_zone=f"nova:{host}")
            for number in range(6)
        ]
        cloud.sdk.compute.reboot_server(getattr(servers, others[0]).id, "HARD")
        cloud.wait_for(getattr(servers, others[0]), "ACTIVE", 20)
        for server in doomed:
            cloud.admin.compute.delete_server(server.id)
    finally:
        cloud.thaw(f"{host}.agent")
    for server in doomed:
        cloud.wait_gone(server, 90)
    eventually(lambda: not {server.id for server in doomed} & cloud.domains(host), 40)
