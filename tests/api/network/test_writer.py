"""The network writer: few transactions, nothing lost, drift repaired, one writer at a time."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import func, select
from tests.api.network.setting import AT

from gureum.drivers.network.interface import NetworkDriverError
from gureum.drivers.network.things import key_of
from gureum.foundation import clock
from gureum.services.network import things
from gureum.services.network.changes import NetworkChange
from gureum.services.network.writer import ASIDE_S, LEASE_S, RESYNC_S, NetworkWriter


@pytest.fixture
def applied(cloud, monkeypatch):
    """The sizes of the engine's transactions, from now on."""
    sizes = []
    real = cloud.driver.apply

    def apply(ensure, remove=()):
        sizes.append(len(ensure) + len(remove))
        real(ensure, remove)

    monkeypatch.setattr(cloud.driver, "apply", apply)
    return sizes


def pending(cloud):
    with cloud.database.read() as tx:
        return tx.scalar(select(func.count()).select_from(NetworkChange))


def differences(cloud):
    with cloud.database.read() as tx:
        wanted = things.revisions(tx)
    return wanted.items() ^ dict(cloud.driver.observe()).items()


def test_a_burst_is_one_transaction(cloud, alice, make, applied):
    network = make.network()
    make.subnet(network, "10.0.0.0/16")
    cloud.settle()
    applied.clear()
    alice.post(f"{AT}/ports", {"ports": [{"network_id": network["id"]} for _ in range(300)]})
    cloud.settle()
    assert applied == [301]  # the ports and the default security group
    assert pending(cloud) == 0
    assert differences(cloud) == set()


def test_the_engine_hears_of_every_address_and_group_of_a_port(cloud, alice, make):
    network = make.network()
    subnets = [make.subnet(network, cidr)["id"] for cidr in ("10.0.0.0/24", "10.0.1.0/24")]
    groups = [alice.post(f"{AT}/security-groups", {"security_group": {"name": name}}).json() for name in ("a", "b")]
    wanted = {
        "network_id": network["id"],
        "security_groups": [group["security_group"]["id"] for group in groups],
        "fixed_ips": [{"subnet_id": subnet_id} for subnet_id in subnets],
    }
    port = alice.post(f"{AT}/ports", {"port": wanted}).json()["port"]
    with cloud.database.read() as tx:
        [told] = things.wanted(tx, "port", [port["id"]], things.Surroundings())
    assert sorted(told.security_groups) == sorted(wanted["security_groups"])
    assert [address.ip for address in told.fixed_ips] == [address["ip_address"] for address in port["fixed_ips"]]


def test_an_empty_engine_is_filled(cloud, make, wan):
    cloud.settle()
    assert differences(cloud) == set()
    cloud.driver._things.clear()
    cloud.driver._referrers.clear()
    cloud.writer.resync()
    assert differences(cloud) == set()


def test_drift_of_every_kind_is_repaired(cloud, make, wan):
    network, _, router = wan
    port = make.port(network)
    make.floating_ip(cloud.public_id(), port_id=port["id"])
    cloud.settle()
    stray = cloud.driver._things[("network", network["id"])]
    for key in (("port", port["id"]), ("router", router["id"])):
        cloud.driver.apply((), [key])
    object.__setattr__(stray, "revision", 99)
    cloud.driver.apply([type(stray)("stray", 1, 1400)])
    assert differences(cloud)
    cloud.writer.resync()
    assert differences(cloud) == set()


def test_an_engine_that_is_away_loses_nothing(cloud, make, monkeypatch):
    make.network()

    def away(*_):
        raise NetworkDriverError("no connection")

    with monkeypatch.context() as patch:
        patch.setattr(cloud.driver, "apply", away)
        for _ in range(3):
            with pytest.raises(NetworkDriverError):
                cloud.settle()
    assert pending(cloud)
    cloud.settle()
    assert pending(cloud) == 0
    assert differences(cloud) == set()


def test_one_thing_that_the_engine_refuses_holds_up_no_other(cloud, make, monkeypatch, virtual_clock):
    """CVE-2019-9735, CVE-2019-10876: one bad rule stopped a whole host's firewall."""
    cloud.settle()
    bad, good = make.group("bad"), make.group("good")
    network = make.network()
    real = cloud.driver.apply

    def picky(ensure, remove=()):
        if any(key_of(thing)[1] == bad["id"] for thing in ensure):
            raise NetworkDriverError("a rule that this engine does not take")
        real(ensure, remove)

    monkeypatch.setattr(cloud.driver, "apply", picky)
    with pytest.raises(NetworkDriverError):
        cloud.settle()
    cloud.writer._failures += 1  # what the thread does after a failure
    cloud.settle()
    held = {key[1] for key in cloud.driver._things}
    assert {good["id"], network["id"]} <= held
    assert bad["id"] not in held
    later = make.network()
    cloud.settle()
    assert later["id"] in {key[1] for key in cloud.driver._things}
    assert pending(cloud) == 1
    monkeypatch.setattr(cloud.driver, "apply", real)
    virtual_clock.advance(ASIDE_S + 1)
    cloud.settle()
    assert differences(cloud) == set()


def test_dying_after_the_engine_took_it_repeats_it(cloud, make, monkeypatch):
    make.network()
    cloud.settle()
    network = make.network()

    def died(_work):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(cloud.database, "write", died)
        with pytest.raises(KeyboardInterrupt):
            cloud.settle()
    assert network["id"] in {key[1] for key in cloud.driver._things}
    assert pending(cloud)
    cloud.settle()
    assert pending(cloud) == 0
    assert differences(cloud) == set()


def test_a_change_made_while_the_engine_works_is_not_lost(cloud, alice, make, monkeypatch):
    network = make.network()
    real = cloud.driver.apply

    def slow(ensure, remove=()):
        monkeypatch.setattr(cloud.driver, "apply", real)
        alice.put(f"{AT}/networks/{network['id']}", {"network": {"mtu": 1300}})
        real(ensure, remove)

    cloud.settle()
    alice.put(f"{AT}/networks/{network['id']}", {"network": {"mtu": 1350}})
    monkeypatch.setattr(cloud.driver, "apply", slow)
    cloud.settle()
    cloud.settle()
    assert cloud.driver._things[("network", network["id"])].mtu == 1300


def test_one_writer_at_a_time_and_another_after_the_lease(cloud, make, virtual_clock):
    first = NetworkWriter(cloud.database, cloud.writer._ctx, lambda: "host/1/1/a")
    second = NetworkWriter(cloud.database, cloud.writer._ctx, lambda: "host/2/2/b")
    first.run_once()
    make.network()
    second.run_once()
    assert pending(cloud)
    virtual_clock.advance(LEASE_S + 1)
    second.run_once()
    assert pending(cloud) == 0
    make.network()
    first.run_once()
    assert pending(cloud)


def test_the_comparison_is_made_every_minute(cloud, make, virtual_clock):
    network = make.network()
    cloud.settle()
    cloud.driver.apply((), [("network", network["id"])])
    cloud.settle()
    assert differences(cloud)
    virtual_clock.advance(RESYNC_S)
    cloud.settle()
    assert differences(cloud) == set()


def test_ports_that_came_up_unheard_are_noticed_by_the_comparison(cloud, alice, root, make, wan):
    port = make.port(wan[0])
    root.put(f"{AT}/ports/{port['id']}", {"port": {"binding:host_id": "h1"}})
    cloud.settle()
    cloud.driver.bring_up(port["id"], "h1")
    cloud.writer._drop_news()
    cloud.writer.resync()
    assert alice.get(f"{AT}/ports/{port['id']}").json()["port"]["status"] == "ACTIVE"


def test_the_thread_wakes_after_a_commit(cloud, make):
    cloud.writer.start()
    network = make.network()
    until = clock.now() + 5
    while ("network", network["id"]) not in cloud.driver._things and clock.now() < until:
        time.sleep(0.01)
    assert ("network", network["id"]) in cloud.driver._things


def test_a_writer_that_stops_lets_the_next_one_write_at_once(cloud, make):
    cloud.settle()
    cloud.writer.stop()
    make.network()
    NetworkWriter(cloud.database, cloud.writer._ctx, lambda: "host/2/2/b").run_once()
    assert pending(cloud) == 0


def test_a_process_that_does_not_write_tells_the_one_that_does(cloud, alice, make):
    told = []
    changes = cloud.writer._ctx.changes
    changes.announce = lambda: told.append(pending(cloud))
    cloud.writer.run_once()
    network = make.network()
    assert not told, "the writer is in this process"
    cloud.writer.stop()
    NetworkWriter(cloud.database, cloud.writer._ctx, lambda: "host/2/2/b")._holds_lease()
    cloud.writer._holds_lease()
    alice.post(f"{AT}/ports", {"ports": [{"network_id": network["id"]} for _ in range(3)]})
    assert told and min(told) > 0, "after the commit"
    assert len(told) == 1, "once for a transaction"


def test_news_of_ports_alone_does_not_read_the_change_log(cloud, alice, make):
    cloud.settle()
    changes = cloud.writer._ctx.changes
    assert not cloud.writer._entries_wait(), "a moment after it was looked at"
    cloud.writer._hear("p1", True, "h1")
    assert changes.event.is_set() and not cloud.writer._entries_wait()
    make.network()
    assert cloud.writer._entries_wait(), "there is an entry"
    assert not cloud.writer._entries_wait(), "asked once"
    cloud.writer.run_once(look=False)
    assert pending(cloud) == 1
    changes.wake()
    assert cloud.writer._entries_wait(), "another process has written"
    cloud.writer._looked -= 1
    assert cloud.writer._entries_wait(), "not looked at for long"
    cloud.writer.run_once()
    assert pending(cloud) == 0
