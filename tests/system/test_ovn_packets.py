"""Real packets through what the OVN driver writes: two hosts, Geneve between them, guests, an outside.

The scene is written once by one `apply`; tests that change it put it back. When one fails, look at the flow with
`ovn-trace` against the southbound socket of the run, and at the hosts' logs beside it.
"""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
import time
import uuid

import pytest
from tests.contracts.ovn_central import eventually
from tests.system.ovn_fabric import FAR_ADDRESS, OUTSIDE_ADDRESS, Fabric, write_script

from gureum.drivers.network.addresses import LINK_LOCAL, automatic_address
from gureum.drivers.network.interface import (
    FixedIp,
    FloatingIp,
    Network,
    Port,
    Router,
    RouterGateway,
    RouterInterface,
    SecurityGroup,
    SecurityRule,
    Subnet,
)
from gureum.drivers.network.things import key_of

pytestmark = pytest.mark.engines

SERVE = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
where = socket.getaddrinfo(sys.argv[1], int(sys.argv[2]), family, socket.SOCK_STREAM)[0][4]
listener = socket.create_server(where, family=family)
print("ready", flush=True)
while True:
    peer, address = listener.accept()
    peer.sendall((sys.argv[3] + " " + address[0]).encode())
    peer.close()
"""
ASK = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=float(sys.argv[3])) as peer:
    print(peer.recv(100).decode())
"""
LEASE = """#!/bin/sh
[ "$1" = bound ] && env > "$LEASE_FILE"
exit 0
"""


def new_id():
    return str(uuid.uuid4())


def rule(direction, protocol=None, low=None, high=None, **remote):
    return SecurityRule(new_id(), direction, "IPv4", protocol, low, high, **remote)


class Scene:
    """Networks a and b behind one router; a1 on h1, a2 on h2 with a floating IP, b1 on h2; a metadata port in a."""

    def __init__(self, fabric, driver):
        self.fabric, self.driver = fabric, driver
        self.outside = Network(new_id(), 1, 1500, physical_network="outside")
        self.a, self.b = Network(new_id(), 1, 1442), Network(new_id(), 1, 1442)
        self.subnet_a = Subnet(
            *(new_id(), 1, self.a.id, 4, "10.0.0.0/24", "10.0.0.1", True),
            *(("192.0.2.53", "192.0.2.54"), (("172.16.0.0/12", "10.0.0.9"),), "10.0.0.2"),
            mtu=1400,
        )
        self.subnet_b = Subnet(new_id(), 1, self.b.id, 4, "10.0.1.0/24", "10.0.1.1", True)
        self.pingable = SecurityGroup(
            new_id(), 1, (rule("egress"), rule("ingress", "icmp"), rule("ingress", "tcp", 80, 81))
        )
        self.closed = SecurityGroup(new_id(), 1, (rule("egress"),))
        self.silent = SecurityGroup(new_id(), 1, ())
        self.a1, self.a2 = self.port(self.subnet_a, "10.0.0.11", "h1"), self.port(self.subnet_a, "10.0.0.12", "h2")
        self.b1 = self.port(self.subnet_b, "10.0.1.11", "h2")
        self.metadata = dataclasses.replace(
            self.port(self.subnet_a, "10.0.0.2", None), kind="metadata", security_groups=()
        )
        self.router = Router(
            *(new_id(), 1, True),
            (
                RouterInterface(new_id(), self.a.id, "fa:16:3e:00:00:01", ("10.0.0.1/24",)),
                RouterInterface(new_id(), self.b.id, "fa:16:3e:00:00:02", ("10.0.1.1/24",)),
            ),
            RouterGateway(
                *(new_id(), self.outside.id, "fa:16:3e:00:00:03", ("203.0.113.2/24",), (OUTSIDE_ADDRESS,)),
                *(("10.0.0.0/24", "10.0.1.0/24"), ("h1", "h2")),
            ),
        )
        self.floating = FloatingIp(
            *(new_id(), 1, self.router.id, "203.0.113.12", "10.0.0.12", self.a2.id, "fa:16:3e:00:00:04")
        )
        driver.apply(
            [
                *(self.floating, self.router, self.metadata, self.a1, self.a2, self.b1, self.closed, self.pingable),
                *(self.silent, self.subnet_a, self.subnet_b, self.a, self.b, self.outside),
            ]
        )
        self.guest_a1 = self.boot(self.a1, "10.0.0.11/24", "10.0.0.1")
        self.guest_a2 = self.boot(self.a2, "10.0.0.12/24", "10.0.0.1")
        self.guest_b1 = self.boot(self.b1, "10.0.1.11/24", "10.0.1.1")

    def port(self, subnet, ip, host, **changes):
        last = [int(part) for part in ip.split(".")[2:]]
        mac = f"fa:16:3e:01:{last[0]:02x}:{last[1]:02x}"
        port = Port(
            *(new_id(), 1, subnet.network_id, mac, (FixedIp(subnet.id, ip),)),
            host=host,
            security_groups=(self.pingable.id,),
        )
        return dataclasses.replace(port, **changes)

    def boot(self, port, address=None, gateway=None):
        guest = self.fabric.plug(port.id, port.mac, port.host)
        if address is not None:
            guest.take(address, gateway)
        eventually(lambda: self.driver.port_states().get(port.id) == (True, port.host), f"port {port.id} is up", 30)
        return guest

    def new_guest(self, number, host, **changes):
        port = self.port(self.subnet_a, f"10.0.0.{number}", host, **changes)
        self.driver.apply([port])
        return port, self.boot(port, f"10.0.0.{number}/24", "10.0.0.1")


@pytest.fixture(scope="module")
def fabric():
    fabric = Fabric()
    yield fabric
    fabric.close()


@pytest.fixture(scope="module")
def driver(fabric):
    from gureum.drivers.network.ovn.driver import OvnDriver

    driver = OvnDriver(fabric.central.north, fabric.central.south, owner="packets", timeout_s=20)
    yield driver
    driver.close()


@pytest.fixture(scope="module")
def scene(fabric, driver):
    eventually(lambda: set(driver.hosts()) == {"h1", "h2"}, "both hosts have registered", 30)
    return Scene(fabric, driver)


@pytest.fixture
def serve():
    """Start TCP servers that answer with a word and their client's address."""
    running = []

    def start(namespace, address, port, word):
        command = ["ip", "netns", "exec", namespace.name, sys.executable, "-c", SERVE, address, str(port), word]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        running.append(server)
        assert server.stdout.readline().strip() == "ready"

    yield start
    for server in running:
        server.kill()
        server.wait()
        server.stdout.close()


def ask(namespace, address, port, within_s=3.0):
    done = namespace.run(sys.executable, "-c", ASK, address, str(port), str(within_s), check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def pings(guest, address, what):
    eventually(lambda: guest.inside.pings(address), what, 20)


def test_both_hosts_can_be_gateways_and_ports_are_where_they_were_plugged(driver, scene):
    assert driver.hosts() == {"h1": True, "h2": True}
    assert driver.port_states() == {scene.a1.id: (True, "h1"), scene.a2.id: (True, "h2"), scene.b1.id: (True, "h2")}


def test_same_network_over_two_hosts(scene):
    pings(scene.guest_a1, "10.0.0.12", "a1 reaches a2 over the tunnel")


def test_routed_between_networks_over_two_hosts(scene):
    pings(scene.guest_a1, "10.0.1.11", "a1 reaches b1 through the router")


def test_tcp_passes_and_what_no_rule_allows_does_not(scene, serve):
    for port in (80, 82):
        serve(scene.guest_a2.inside, "10.0.0.12", port, f"port{port}")
    assert ask(scene.guest_a1.inside, "10.0.0.12", 80) == "port80 10.0.0.11"
    assert ask(scene.guest_a1.inside, "10.0.0.12", 82, 1.5) is None
    driver, group = scene.driver, scene.pingable
    driver.apply([dataclasses.replace(group, revision=2, rules=(*group.rules, rule("ingress", "tcp", 82, 82)))])
    eventually(lambda: ask(scene.guest_a1.inside, "10.0.0.12", 82, 1) == "port82 10.0.0.11", "the new rule counts")
    driver.apply([group])
    eventually(lambda: ask(scene.guest_a1.inside, "10.0.0.12", 82, 1) is None, "the removed rule does not count")


def test_security_groups_are_stateful(scene, serve):
    """Who may only send gets the answers to what it asked, and nothing else."""
    _, guest = scene.new_guest(21, "h1", security_groups=(scene.closed.id,))
    serve(scene.guest_a2.inside, "10.0.0.12", 80, "answer")
    serve(guest.inside, "10.0.0.21", 80, "unasked")
    eventually(lambda: ask(guest.inside, "10.0.0.12", 80) == "answer 10.0.0.21", "an answer comes back")
    pings(guest, "10.0.0.12", "an echo comes back")
    assert ask(scene.guest_a2.inside, "10.0.0.21", 80, 1.5) is None
    assert not scene.guest_a2.inside.pings("10.0.0.21")


def test_a_rule_for_a_group_lets_its_members_in_and_nobody_else(scene, serve):
    members = dataclasses.replace(scene.closed, id=new_id())
    only = SecurityGroup(new_id(), 1, (rule("egress"), rule("ingress", "tcp", 90, 90, remote_group_id=members.id)))
    scene.driver.apply([members, only])
    _, server = scene.new_guest(22, "h2", security_groups=(only.id,))
    _, member = scene.new_guest(23, "h1", security_groups=(members.id,))
    serve(server.inside, "10.0.0.22", 90, "club")
    eventually(lambda: ask(member.inside, "10.0.0.22", 90, 1) == "club 10.0.0.23", "the member is let in")
    assert ask(scene.guest_a1.inside, "10.0.0.22", 90, 1.5) is None


def test_cve_2019_9735_a_rule_that_stops_a_hosts_firewall(fabric, scene, serve):
    """Every form that the API lets through is programmed, and the rules of others on the same hosts go on counting."""
    strange = [
        SecurityRule(new_id(), way, family, *form)
        for way in ("ingress", "egress")
        for family in ("IPv4", "IPv6")
        for form in [
            *((str(number), None, None) for number in range(1, 256)),
            *(("icmp", 0, None), ("icmp", 255, None), ("icmp", 8, 0), ("1", 255, 255), (None, None, None)),
            *((name, low, high) for name in ("tcp", "udp", "132") for low, high in ((1, 65535), (7, 7), (6, 9))),
        ]
    ]
    odd = SecurityGroup(new_id(), 1, tuple(strange))
    scene.driver.apply([odd])
    _, guest = scene.new_guest(26, "h2", security_groups=(odd.id,))
    serve(guest.inside, "10.0.0.26", 7, "odd")
    eventually(lambda: ask(scene.guest_a1.inside, "10.0.0.26", 7, 1) == "odd 10.0.0.11", "the group's own rules count")
    _still_counts(scene, serve, 83)
    assert not _unread(fabric)


def test_cve_2019_9735_even_a_rule_that_the_engine_cannot_read_stops_no_other(fabric, scene, serve):
    """As if a driver had let it through: it counts for nothing, beside rules that count."""
    group = "sg_" + re.sub(r"[^0-9A-Za-z_.]", "_", scene.closed.id)
    bad = ("to-lport", "1002", "outport == @" + group + " && ip4 && vrrp.dst == 5 || 1")
    fabric.central.nbctl("acl-add", group, *bad, "allow-related")
    try:
        _still_counts(scene, serve, 84)
        _, guest = scene.new_guest(27, "h2", security_groups=(scene.closed.id,))
        pings(guest, "10.0.0.11", "the rules beside it count")
        assert not scene.guest_a1.inside.pings("10.0.0.27"), "and it lets nothing in"
        assert _unread(fabric), "the engine says that it cannot read it"
    finally:
        fabric.central.nbctl("acl-del", group, *bad)


def _unread(fabric):
    """What the hosts' controllers complained about in the flows that they were given."""
    logs = "".join((fabric.central.folder / host / "ovn-controller.log").read_text() for host in fabric.hosts)
    return [line for line in logs.splitlines() if "error parsing match" in line]


def _still_counts(scene, serve, port):
    """A rule added now to a guest of h2 comes into force, and goes out of it."""
    serve(scene.guest_a2.inside, "10.0.0.12", port, "new")
    assert ask(scene.guest_a1.inside, "10.0.0.12", port, 1) is None
    more = (*scene.pingable.rules, rule("ingress", "tcp", port, port))
    scene.driver.apply([dataclasses.replace(scene.pingable, revision=2, rules=more)])
    eventually(lambda: ask(scene.guest_a1.inside, "10.0.0.12", port, 1) == "new 10.0.0.11", "a new rule counts")
    scene.driver.apply([scene.pingable])
    eventually(lambda: ask(scene.guest_a1.inside, "10.0.0.12", port, 1) is None, "a removed rule does not count")


@pytest.mark.parametrize("groups", ["none", "empty"])
def test_a_port_without_rules_gets_an_address_and_nothing_more(scene, tmp_path, groups):
    number = {"none": 24, "empty": 25}[groups]
    chosen = () if groups == "none" else (scene.silent.id,)
    port = scene.port(scene.subnet_a, f"10.0.0.{number}", "h1", security_groups=chosen)
    scene.driver.apply([port])
    guest = scene.boot(port)
    assert lease(guest, tmp_path)["ip"] == f"10.0.0.{number}"
    guest.take(f"10.0.0.{number}/24", "10.0.0.1")
    time.sleep(1)
    assert not guest.inside.pings("10.0.0.12")
    assert not guest.inside.pings("10.0.0.1")
    assert not scene.guest_a1.inside.pings(f"10.0.0.{number}")


def lease(guest, folder):
    script = write_script(folder / "lease.sh", LEASE)
    answer = folder / "lease.env"
    guest.inside.run(
        *("env", f"LEASE_FILE={answer}", "busybox", "udhcpc", "-i", "eth0", "-n", "-q", "-f", "-t", "8", "-T", "1"),
        *("-s", str(script), "-O", "staticroutes", "-O", "mtu", "-O", "dns", "-O", "router"),
    )
    return dict(line.split("=", 1) for line in answer.read_text().splitlines() if "=" in line)


def test_a_lease_says_what_the_subnet_says(scene, tmp_path):
    port = scene.port(scene.subnet_a, "10.0.0.30", "h2")
    scene.driver.apply([port])
    got = lease(scene.boot(port), tmp_path)
    assert got["ip"] == "10.0.0.30"
    assert got["subnet"] == "255.255.255.0"
    assert got["router"] == "10.0.0.1"
    assert got["dns"] == "192.0.2.53 192.0.2.54"
    assert got["mtu"] == "1400"
    assert got["lease"] == "43200"
    assert got["staticroutes"].split() == [
        *("169.254.169.254/32", "10.0.0.2", "172.16.0.0/12", "10.0.0.9"),
        *("0.0.0.0/0", "10.0.0.1"),
    ]


def test_cve_2021_20267_another_address_or_mac_does_not_leave_the_port(scene):
    _, guest = scene.new_guest(40, "h1")
    pings(guest, "10.0.0.12", "the guest reaches its neighbour as itself")
    guest.inside.run("ip", "address", "add", "10.0.0.41/24", "dev", "eth0")
    assert not guest.inside.pings("10.0.0.12", "-I", "10.0.0.41"), "a foreign IP address left the port"
    assert not believed_in_arp(scene, guest, "10.0.0.41"), "a lie in ARP left the port"
    guest.inside.run("ip", "address", "del", "10.0.0.41/24", "dev", "eth0")
    guest.inside.run("ip", "link", "set", "eth0", "address", "fa:16:3e:ee:ee:ee")
    assert not guest.inside.pings("10.0.0.12"), "a foreign MAC address left the port"
    guest.inside.run("ip", "link", "set", "eth0", "address", guest.mac)
    pings(guest, "10.0.0.12", "the guest is heard again as itself")


def believed_in_arp(scene, guest, address):
    """Whether a2, made credulous, takes `guest`'s word that it has `address`."""
    listener = scene.guest_a2.inside
    listener.run("sysctl", "-qw", "net.ipv4.conf.eth0.arp_accept=1")
    guest.inside.run("busybox", "arping", "-c", "2", "-U", "-I", "eth0", "-s", address, address, check=False)
    return guest.mac in listener.run("ip", "neighbour", "show", address).stdout


def test_an_allowed_pair_and_an_open_port_may_use_other_addresses(scene):
    port, guest = scene.new_guest(42, "h1", allowed_pairs=(("10.0.0.128/25", "fa:16:3e:01:00:2a"),))
    guest.inside.run("ip", "address", "add", "10.0.0.200/24", "dev", "eth0")
    eventually(lambda: guest.inside.pings("10.0.0.12", "-I", "10.0.0.200"), "the allowed address is let out")
    guest.inside.run("ip", "address", "add", "10.0.0.100/24", "dev", "eth0")
    assert not guest.inside.pings("10.0.0.12", "-I", "10.0.0.100")
    scene.driver.apply(
        [dataclasses.replace(port, revision=2, port_security=False, security_groups=(), allowed_pairs=())]
    )
    eventually(lambda: guest.inside.pings("10.0.0.12", "-I", "10.0.0.100"), "without port security any is let out")
    guest.inside.run("ip", "address", "add", "10.0.0.101/24", "dev", "eth0")
    assert believed_in_arp(scene, guest, "10.0.0.101")


def test_what_leaves_without_a_floating_ip_leaves_as_the_gateway(fabric, scene, serve):
    serve(fabric.wire, "0.0.0.0", 8080, "outside")
    pings(scene.guest_a1, OUTSIDE_ADDRESS, "a1 reaches the outside")
    assert ask(scene.guest_a1.inside, FAR_ADDRESS, 8080) == "outside 203.0.113.2"
    assert ask(scene.guest_b1.inside, FAR_ADDRESS, 8080) == "outside 203.0.113.2"


def test_a_floating_ip_is_served_by_the_host_of_its_port(fabric, scene, serve):
    serve(fabric.wire, "0.0.0.0", 8081, "outside")
    serve(scene.guest_a2.inside, "10.0.0.12", 80, "inside")
    eventually(lambda: fabric.wire.pings("203.0.113.12"), "the outside reaches a2's floating IP", 20)
    assert ask(fabric.wire, "203.0.113.12", 80) == "inside 203.0.113.1"
    assert ask(scene.guest_a2.inside, FAR_ADDRESS, 8081) == "outside 203.0.113.12"
    table = fabric.wire.run("bridge", "fdb", "show", "br", "ext").stdout
    [learned] = [line for line in table.splitlines() if line.startswith("fa:16:3e:00:00:04")]
    assert "dev ext-h2 " in learned, f"the floating IP is not served by its own host: {learned}"


def test_a_floating_ip_goes_when_it_is_removed_and_comes_back(fabric, scene):
    eventually(lambda: fabric.wire.pings("203.0.113.12"), "it is there", 20)
    scene.driver.apply([], [key_of(scene.floating)])
    eventually(lambda: not fabric.wire.pings("203.0.113.12"), "it is gone", 20)
    scene.driver.apply([scene.floating])
    eventually(lambda: fabric.wire.pings("203.0.113.12"), "it is back", 20)


def test_metadata_answers_on_each_host_from_that_host(fabric, scene, serve):
    for host, guest in (("h1", scene.guest_a1), ("h2", scene.guest_a2)):
        agent = fabric.plug(scene.metadata.id, scene.metadata.mac, host)
        agent.take("10.0.0.2/24")
        agent.inside.run("ip", "address", "add", "169.254.169.254/32", "dev", "eth0")
        guest.inside.run("ip", "route", "replace", "169.254.169.254", "via", "10.0.0.2")
        serve(agent.inside, "169.254.169.254", 80, host)
    for host, guest, address in (("h1", scene.guest_a1, "10.0.0.11"), ("h2", scene.guest_a2, "10.0.0.12")):
        eventually(
            lambda guest=guest, host=host, address=address: (
                ask(guest.inside, "169.254.169.254", 80, 1) == f"{host} {address}"
            ),
            f"metadata answers on {host}, and sees who asks",
        )


def test_metadata_answers_over_ipv6_on_each_host_from_that_host(fabric, scene, serve):
    """A network without any IPv4 subnet: the guests' link-local addresses and the service's are all that is needed."""
    network = Network(new_id(), 1, 1442)
    subnet = Subnet(new_id(), 1, network.id, 6, "2001:db8:6::/64", "2001:db8:6::1", True)
    group = SecurityGroup(new_id(), 1, (SecurityRule(new_id(), "egress", "IPv6"),))
    guests = [
        dataclasses.replace(
            scene.port(scene.subnet_a, f"10.0.6.{number}", host, security_groups=(group.id,)),
            network_id=network.id,
            fixed_ips=(FixedIp(subnet.id, f"2001:db8:6::{number}"),),
        )
        for number, host in ((1, "h1"), (2, "h2"))
    ]
    service = dataclasses.replace(
        scene.port(scene.subnet_a, "10.0.6.9", None, security_groups=()),
        network_id=network.id,
        fixed_ips=(),
        kind="metadata",
    )
    scene.driver.apply([network, subnet, group, service, *guests])
    agents = {}
    for port in guests:
        agent = agents[port.host] = fabric.plug(service.id, service.mac, port.host)
        agent.inside.run("ip", "address", "add", "fe80::a9fe:a9fe/64", "dev", "eth0", "nodad")
        serve(agent.inside, "fe80::a9fe:a9fe%eth0", 80, port.host)
    for port in guests:
        guest, said = scene.boot(port), f"{port.host} {automatic_address(LINK_LOCAL, port.mac)}"
        eventually(
            lambda guest=guest, said=said: ask(guest.inside, "fe80::a9fe:a9fe%eth0", 80, 1) == said,
            f"metadata answers over IPv6 on {port.host}, and sees who asks",
            30,
        )
        agents[port.host].inside.run("ip", "-6", "neighbour", "flush", "dev", "eth0")
        assert ask(guest.inside, "fe80::a9fe:a9fe%eth0", 80) == said, "the guest answers for its link-local address"
    scene.driver.apply([], [key_of(thing) for thing in (*guests, service, subnet, network, group)])


def test_a_port_is_up_only_on_the_host_that_may_claim_it(fabric, scene):
    port = scene.port(scene.subnet_a, "10.0.0.50", "h1")
    scene.driver.apply([port])
    heard = []
    stop = scene.driver.watch_ports(lambda *news: heard.append(news))
    fabric.plug(port.id, port.mac, "h2")
    time.sleep(1.5)
    assert scene.driver.port_states()[port.id] == (False, None)
    scene.driver.apply([dataclasses.replace(port, revision=2, host="h2")])
    eventually(lambda: (port.id, True, "h2") in heard, "the watcher hears that h2 may and does claim it")
    stop()


def test_a_disabled_port_is_silent(scene):
    port, guest = scene.new_guest(51, "h1")
    pings(guest, "10.0.0.12", "it speaks")
    scene.driver.apply([dataclasses.replace(port, revision=2, enabled=False)])
    eventually(lambda: not guest.inside.pings("10.0.0.12"), "it is silent")


def test_the_other_host_takes_over_as_the_gateway(fabric, scene):
    """The candidate list decides who is the gateway; the outside sees the same address from another host."""
    pings(scene.guest_b1, OUTSIDE_ADDRESS, "b1 reaches the outside")
    gateway = dataclasses.replace(scene.router.gateway, hosts=("h2", "h1"))
    scene.driver.apply([dataclasses.replace(scene.router, revision=2, gateway=gateway)])

    def seen_at_h2():
        scene.guest_b1.inside.pings(OUTSIDE_ADDRESS)
        table = fabric.wire.run("bridge", "fdb", "show", "br", "ext").stdout
        return any(line.startswith("fa:16:3e:00:00:03 dev ext-h2 ") for line in table.splitlines())

    eventually(seen_at_h2, "the gateway's address is seen at h2", 20)
    pings(scene.guest_b1, OUTSIDE_ADDRESS, "b1 still reaches the outside")
    scene.driver.apply([scene.router])


def test_cve_2021_38598_ipv6_addresses_itself_and_no_other_leaves_the_port(scene):
    network = Network(new_id(), 1, 1442)
    subnet = Subnet(
        *(new_id(), 1, network.id, 6, "2001:db8:5::/64", "2001:db8:5::1", True),
        ipv6_ra_mode="slaac",
        ipv6_address_mode="slaac",
    )
    group = SecurityGroup(
        new_id(), 1, tuple(SecurityRule(new_id(), way, "IPv6", "icmpv6") for way in ("ingress", "egress"))
    )
    leg = RouterInterface(new_id(), network.id, "fa:16:3e:00:00:05", ("2001:db8:5::1/64",), 1400)
    router = dataclasses.replace(scene.router, revision=2, interfaces=(*scene.router.interfaces, leg))
    ports = [
        dataclasses.replace(
            scene.port(scene.subnet_a, f"10.0.5.{number}", host, security_groups=(group.id,)),
            network_id=network.id,
            fixed_ips=(FixedIp(subnet.id, f"2001:db8:5::f816:3eff:fe01:5{number:02x}"),),
        )
        for number, host in ((1, "h1"), (2, "h2"))
    ]
    scene.driver.apply([network, subnet, group, router, *ports])
    one, two = (scene.boot(port) for port in ports)
    other = ports[1].fixed_ips[0].ip
    eventually(lambda: one.inside.pings(other), "both took their addresses from the router's advertisement", 30)
    assert one.inside.pings("2001:db8:5::1")
    one.inside.run("ip", "address", "add", "2001:db8:5::bad/64", "dev", "eth0", "nodad")
    assert not one.inside.pings(other, "-I", "2001:db8:5::bad")
    assert "2001:db8:5::bad" not in two.inside.run("ip", "neighbour", "show").stdout, "a lie in ND left the port"
    scene.driver.apply([scene.router], [key_of(thing) for thing in (*ports, subnet, network, group)])
