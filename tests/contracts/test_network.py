"""The network driver's contract, the same for the fake and for OVN.

`World` is what stands around a driver: it plugs ports as a host's agent would, and lets the engine lose its
connection. The tests at the end look into OVN's databases and are the real driver's own.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.contracts.ovn_central import OvnCentral, eventually

from gureum.drivers.network.fake import FakeNetworkDriver
from gureum.drivers.network.interface import (
    FixedIp,
    FloatingIp,
    Network,
    NetworkDriverError,
    Port,
    Router,
    RouterGateway,
    RouterInterface,
    SecurityGroup,
    SecurityRule,
    Subnet,
)
from gureum.drivers.network.things import INCOMPLETE, key_of

OWNER = "contract"


class FakeWorld:
    def __init__(self):
        self.driver = FakeNetworkDriver(hosts=["h1", "h2"])

    def bring_up(self, port_id, host):
        self.driver.bring_up(port_id, host)

    def bring_down(self, port_id):
        self.driver.bring_down(port_id)

    def reconnect(self):
        self.driver.reconnect()

    def lose_host(self, host):
        self.driver.set_host(host, False)

    def close(self):
        self.driver.close()


class OvnWorld:
    """Plays the hosts' ovn-controllers by writing what they would into the southbound database."""

    def __init__(self):
        from gureum.drivers.network.ovn.driver import OvnDriver

        self.central = OvnCentral()
        self.hosts = {"h1", "h2"}
        self._alive = True
        for number, host in enumerate(("h1", "h2"), 1):
            self.central.sbctl(
                *("chassis-add", host, "geneve", f"127.0.0.{number}", "--"),
                *("set", "chassis", host, f"hostname={host}", "other_config:ovn-bridge-mappings=outside:br-ex", "--"),
                *("create", "chassis_private", f"name={host}"),
            )
        self.driver = OvnDriver(self.central.north, self.central.south, owner=OWNER, timeout_s=15)
        self._echo = threading.Thread(target=self._answer, daemon=True)
        self._echo.start()

    def _answer(self):
        while self._alive:
            with contextlib.suppress(AssertionError):  # the database is away while a test restarts it
                number = self.central.sbctl("get", "sb_global", ".", "nb_cfg")
                for host in sorted(self.hosts):
                    self.central.sbctl("set", "chassis_private", host, f"nb_cfg={number}")
            time.sleep(0.5)

    def bring_up(self, port_id, host):
        self.central.nbctl("--wait=sb", "sync")
        self.central.sbctl("lsp-bind", port_id, host, "--", "set", "port_binding", port_id, "up=true")

    def bring_down(self, port_id):
        self.central.sbctl("lsp-unbind", port_id, "--", "set", "port_binding", port_id, "up=false")

    def reconnect(self):
        self.central.stop_database("sb")
        self.central.start_database("sb")

    def lose_host(self, host):
        self.hosts.discard(host)

    def close(self):
        self._alive = False
        self._echo.join()
        self.driver.close()
        self.central.close()


@pytest.fixture(scope="module")
def ovn_world():
    world = OvnWorld()
    yield world
    world.close()


@pytest.fixture(params=["fake", pytest.param("ovn", marks=pytest.mark.engines)])
def world(request):
    if request.param == "fake":
        world = FakeWorld()
        yield world
        world.close()
    else:
        world = request.getfixturevalue("ovn_world")
        yield world
        world.driver.apply([], list(world.driver.observe()))
        assert world.driver.observe() == {}


@pytest.fixture
def driver(world):
    return world.driver


def new_id():
    return str(uuid.uuid4())


class Scene:
    """A network with a subnet, a group, a router into an outside network, and a server's port with a floating IP."""

    def __init__(self):
        self.outside = Network(new_id(), 1, 1500, physical_network="outside", vlan=7)
        self.network = Network(new_id(), 1, 1442)
        self.subnet = Subnet(
            new_id(), 1, self.network.id, 4, "10.0.0.0/24", "10.0.0.1", True, ("192.0.2.53",), (), "10.0.0.2", mtu=1442
        )
        self.group = SecurityGroup(
            new_id(),
            1,
            (
                SecurityRule(new_id(), "egress", "IPv4"),
                SecurityRule(new_id(), "ingress", "IPv4", "tcp", 22, 22, "0.0.0.0/0"),
            ),
        )
        self.port = self.new_port(10)
        self.metadata = dataclasses.replace(self.new_port(2), kind="metadata", host=None, security_groups=())
        self.router = Router(
            new_id(),
            1,
            True,
            (RouterInterface(new_id(), self.network.id, "fa:16:3e:00:00:01", ("10.0.0.1/24",)),),
            RouterGateway(
                *(new_id(), self.outside.id, "fa:16:3e:00:01:01", ("203.0.113.2/24",), ("203.0.113.1",)),
                *(("10.0.0.0/24",), ("h1", "h2")),
            ),
            (("198.51.100.0/24", "10.0.0.77"),),
        )
        self.floating = FloatingIp(
            new_id(), 1, self.router.id, "203.0.113.10", "10.0.0.10", self.port.id, "fa:16:3e:00:02:0a"
        )

    def new_port(self, number, **changes):
        ip = f"10.0.{number // 250}.{number % 250}"
        port = Port(
            new_id(),
            1,
            self.network.id,
            f"fa:16:3e:01:{number // 256:02x}:{number % 256:02x}",
            (FixedIp(self.subnet.id, ip),),
            host="h1",
            security_groups=(self.group.id,),
        )
        return dataclasses.replace(port, **changes)

    def everything(self):
        return [
            *(self.floating, self.router, self.metadata, self.port),
            *(self.group, self.subnet, self.network, self.outside),
        ]


@pytest.fixture
def scene():
    return Scene()


def revisions(things):
    return {key_of(thing): thing.revision for thing in things}


def test_what_is_applied_in_any_order_is_observed(driver, scene):
    driver.apply(scene.everything())
    assert driver.observe() == revisions(scene.everything())


def test_applying_again_changes_nothing_and_a_new_revision_is_seen(driver, scene):
    driver.apply(scene.everything())
    driver.apply(scene.everything())
    newer = dataclasses.replace(scene.router, revision=2, routes=())
    driver.apply([newer])
    assert driver.observe() == revisions(scene.everything()) | {key_of(newer): 2}


def test_of_two_things_with_one_key_the_higher_revision_counts(driver, scene):
    newer = dataclasses.replace(scene.network, revision=5)
    driver.apply([newer, scene.network])
    assert driver.observe() == {key_of(newer): 5}


def test_a_thing_without_what_it_refers_to_is_refused_and_nothing_is_written(driver, scene):
    driver.apply([scene.network])
    without_network = Scene()
    for broken in (
        [without_network.subnet],
        [scene.port, scene.subnet],
        [dataclasses.replace(scene.port, security_groups=()), scene.group],
        [scene.router],
        [scene.floating],
        [
            dataclasses.replace(
                scene.group, rules=(SecurityRule(new_id(), "ingress", "IPv4", remote_group_id=new_id()),)
            )
        ],
    ):
        with pytest.raises(NetworkDriverError):
            driver.apply([*broken, Network(new_id(), 1, 1500)])
    assert driver.observe() == {key_of(scene.network): 1}


def test_a_thing_that_refers_to_one_removed_in_the_same_batch_is_refused(driver, scene):
    driver.apply(scene.everything())
    with pytest.raises(NetworkDriverError):
        driver.apply([scene.port], [key_of(scene.network)])
    with pytest.raises(NetworkDriverError):
        driver.apply([scene.network], [key_of(scene.network)])
    assert driver.observe() == revisions(scene.everything())


def test_removing_takes_the_contents_and_ignores_the_unknown(driver, scene):
    driver.apply(scene.everything())
    driver.apply([], [("port", new_id()), ("network", new_id()), key_of(scene.router)])
    left = [thing for thing in scene.everything() if thing not in (scene.router, scene.floating)]
    assert driver.observe() == revisions(left)
    driver.apply([], [key_of(scene.network)])
    assert driver.observe() == revisions([scene.group, scene.outside])


def test_a_reference_that_went_away_shows_the_thing_incomplete_until_it_is_mended(driver, scene):
    driver.apply(scene.everything())
    driver.apply([], [key_of(scene.group)])
    assert driver.observe()[key_of(scene.port)] == INCOMPLETE
    driver.apply([scene.group])
    assert driver.observe() == revisions(scene.everything())
    driver.apply([], [key_of(scene.network)])
    assert driver.observe()[key_of(scene.router)] == INCOMPLETE


def test_everything_goes_in_one_batch(driver, scene):
    driver.apply(scene.everything())
    driver.apply([], [key_of(thing) for thing in scene.everything()])
    assert driver.observe() == {}


def test_a_floating_ip_moves_between_routers(driver, scene):
    driver.apply(scene.everything())
    other = Router(new_id(), 1, True, (), None)
    moved = dataclasses.replace(scene.floating, revision=2, router_id=other.id)
    driver.apply([other, moved])
    driver.apply([], [key_of(scene.router)])
    assert driver.observe()[key_of(moved)] == 2


def test_a_floating_ip_that_leads_to_no_guest_needs_no_port(driver, scene):
    driver.apply(scene.everything())
    moved = dataclasses.replace(scene.floating, revision=2, port_id=None)
    driver.apply([moved])
    driver.apply([], [key_of(scene.port)])
    assert driver.observe()[key_of(moved)] == 2


def unsound(scene):
    rule = scene.group.rules[0]
    return [
        dataclasses.replace(scene.subnet, dns_servers=("192.0.2.1\n}",)),
        dataclasses.replace(scene.subnet, host_routes=(("0.0.0.0/0", "10.0.0.1, 1.2.3.4"),)),
        dataclasses.replace(scene.subnet, gateway_ip="fe80::1%$(x)"),
        dataclasses.replace(scene.port, mac="fa:16:3e:00:00:01 10.0.0.9"),
        dataclasses.replace(scene.port, allowed_pairs=(("10.0.0.0/33", "fa:16:3e:00:00:01"),)),
        dataclasses.replace(scene.network, physical_network="a b"),
        dataclasses.replace(scene.network, vlan=4095),
        dataclasses.replace(scene.network, id="x\ny"),
        *(
            dataclasses.replace(scene.group, rules=(dataclasses.replace(rule, **change),))
            for change in (
                {"protocol": "tcp || 1"},
                {"protocol": "256"},
                {"protocol": "tcp", "port_min": 70000},
                {"protocol": "51", "port_min": 5},
                {"port_min": 5},
                {"remote_cidr": "0.0.0.0/0 || ip6"},
                {"remote_cidr": "2001:db8::/32"},
            )
        ),
    ]


@pytest.mark.parametrize("number", range(15))
def test_cve_2021_40085_text_cannot_leave_its_place(driver, scene, number):
    with pytest.raises(NetworkDriverError):
        driver.apply([scene.network, scene.subnet, scene.group, unsound(scene)[number]])
    assert driver.observe() == {}


def test_cve_2019_9735_one_bad_rule_does_not_stop_the_next_batch(driver, scene):
    bad = dataclasses.replace(scene.group.rules[0], protocol="vrrp")
    with pytest.raises(NetworkDriverError):
        driver.apply([dataclasses.replace(scene.group, rules=(bad,))])
    driver.apply([scene.group])
    assert driver.observe() == revisions([scene.group])


def test_every_protocol_form_is_taken(driver, scene):
    forms = [
        *(("tcp", 1, 65535), ("udp", 53, 53), ("sctp", 1, 2), ("6", 80, 80), ("tcp", None, None)),
        *(("icmp", None, None), ("icmp", 8, None), ("icmp", 3, 4), ("1", 0, 0), ("47", None, None), (None, None, None)),
    ]
    rules = [
        SecurityRule(new_id(), direction, family, *form)
        for direction in ("ingress", "egress")
        for family in ("IPv4", "IPv6")
        for form in forms
    ]
    rules.append(SecurityRule(new_id(), "ingress", "IPv6", "icmpv6", 128, 0, "2001:db8::/32"))
    rules.append(SecurityRule(new_id(), "ingress", "IPv4", "udp", remote_group_id=scene.group.id))
    group = dataclasses.replace(scene.group, rules=tuple(rules))
    driver.apply([group])
    assert driver.observe() == revisions([group])


def test_port_states_are_of_guests_only_and_watchers_hear_each_change(world, scene):
    heard = []
    stop = world.driver.watch_ports(lambda *news: heard.append(news))
    world.driver.apply(scene.everything())
    assert world.driver.port_states() == {scene.port.id: (False, None)}
    world.bring_up(scene.port.id, "h1")
    eventually(lambda: (scene.port.id, True, "h1") in heard, "the watcher hears that the port is up")
    assert world.driver.port_states() == {scene.port.id: (True, "h1")}
    world.bring_down(scene.port.id)
    eventually(lambda: heard and heard[-1] == (scene.port.id, False, None), "the watcher hears that it is down")
    assert world.driver.port_states() == {scene.port.id: (False, None)}
    world.bring_up(scene.port.id, "h1")
    eventually(lambda: world.driver.port_states()[scene.port.id] == (True, "h1"), "the port is up again")
    world.driver.apply([], [key_of(scene.port)])
    assert world.driver.port_states() == {}
    eventually(lambda: heard[-1] == (scene.port.id, False, None), "the watcher hears that a removed port is down")
    assert {port_id for port_id, _, _ in heard} == {scene.port.id}
    stop()
    count = len(heard)
    world.driver.apply([scene.port])
    world.bring_up(scene.port.id, "h1")
    eventually(lambda: world.driver.port_states()[scene.port.id] == (True, "h1"), "the port is up once more")
    assert len(heard) == count


def test_watchers_hear_of_every_port_after_a_reconnect(world, scene):
    second = scene.new_port(11)
    world.driver.apply([*scene.everything(), second])
    world.bring_up(scene.port.id, "h1")
    eventually(lambda: world.driver.port_states()[scene.port.id] == (True, "h1"), "the port is up")
    heard = []
    stop = world.driver.watch_ports(lambda *news: heard.append(news))
    world.reconnect()
    eventually(lambda: {(scene.port.id, True, "h1"), (second.id, False, None)} <= set(heard), "both are told of")
    stop()
    driver_still_works = scene.new_port(12)
    world.driver.apply([driver_still_works])
    assert world.driver.observe()[key_of(driver_still_works)] == 1


def test_a_host_that_stops_answering_is_seen(world, monkeypatch):
    if hasattr(world, "central"):
        monkeypatch.setattr(world.driver._liveness, "_period_s", 0.5)
        monkeypatch.setattr(world.driver._liveness, "_grace_s", 2.0)
    assert world.driver.hosts() == {"h1": True, "h2": True}
    world.lose_host("h2")
    eventually(lambda: world.driver.hosts() == {"h1": True, "h2": False}, "h2 is seen dead, h1 alive")
    if hasattr(world, "central"):
        world.hosts.add("h2")
        eventually(lambda: world.driver.hosts()["h2"], "h2 is seen alive again")


def test_threads_apply_at_once(driver, scene):
    driver.apply([scene.network, scene.subnet, scene.group])
    ports = [scene.new_port(number) for number in range(10, 90)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(driver.apply, [ports[start : start + 10] for start in range(0, 80, 10)]))
    assert driver.observe() == revisions([scene.network, scene.subnet, scene.group, *ports])


def test_a_thousand_ports_are_one_apply_and_later_ones_cost_no_more(driver, scene):
    driver.apply([scene.network, dataclasses.replace(scene.subnet, cidr="10.0.0.0/16"), scene.group])
    ports = [scene.new_port(number) for number in range(2, 1002)]
    started = time.process_time()
    driver.apply(ports)
    per_port_ms = (time.process_time() - started) / len(ports) * 1000
    assert len(driver.observe()) == 1003
    assert per_port_ms < 5, f"{per_port_ms:.2f} ms of CPU for each port of a large batch: something scans"
    started = time.process_time()
    for number in range(2000, 2010):
        driver.apply([scene.new_port(number)])
    single_ms = (time.process_time() - started) / 10 * 1000
    assert single_ms < 50, f"{single_ms:.1f} ms of CPU for one port beside a thousand: something scans"


def test_an_engine_that_is_not_there_is_an_error_at_once():
    pytest.importorskip("ovsdbapp")
    from gureum.drivers.network.ovn.driver import OvnDriver

    with pytest.raises(NetworkDriverError, match="cannot be reached"):
        OvnDriver("unix:/nonexistent/nb.sock", "unix:/nonexistent/sb.sock", owner=OWNER, timeout_s=1)
