"""MAC addresses that the network draws: they begin as configured, and one that is taken is drawn again."""

from __future__ import annotations

import itertools

import pytest
from sqlalchemy import select
from tests.api.network.setting import AT

from gureum.services.network.ports import rules
from gureum.services.network.ports.model import Port


@pytest.fixture
def network(make):
    network = make.network()
    make.subnet(network)
    return network


@pytest.fixture
def drawn(monkeypatch):
    """What is drawn next: twice the same, then others."""
    last = itertools.chain([1, 1], itertools.count(2))
    monkeypatch.setattr(rules.os, "urandom", lambda size: next(last).to_bytes(size, "big"))


def test_a_mac_that_the_network_has_is_drawn_again(network, make, drawn):
    macs = [make.port(network)["mac_address"] for _ in range(3)]
    assert len(set(macs)) == 3
    assert all(mac.startswith("fa:16:3e:") for mac in macs)


def test_a_bulk_with_one_that_is_taken_is_made_whole(network, alice, drawn):
    answer = alice.post(f"{AT}/ports", {"ports": [{"network_id": network["id"]} for _ in range(5)]})
    assert answer.status == 201, answer.content
    assert len({port["mac_address"] for port in answer.json()["ports"]}) == 5


def test_another_mac_for_a_port_is_not_one_of_its_network(network, make, root, drawn):
    port, other = make.port(network), make.port(network)
    answer = root.put(f"{AT}/ports/{port['id']}", {"port": {"mac_address": None}})
    assert answer.status == 200, answer.content
    assert answer.json()["port"]["mac_address"] not in {port["mac_address"], other["mac_address"]}


def test_a_mac_that_is_always_taken_is_a_conflict(network, alice, monkeypatch):
    monkeypatch.setattr(rules.os, "urandom", lambda size: bytes(size - 1) + b"\x07")
    answers = [alice.post(f"{AT}/ports", {"port": {"network_id": network["id"]}}) for _ in range(2)]
    assert [answer.status for answer in answers] in ([201, 409], [409, 409])


def test_floating_ips_share_no_mac_with_what_is_on_their_wire(cloud, make, wan, drawn):
    made = [make.floating_ip(cloud.public_id())["id"] for _ in range(3)]
    with cloud.database.read() as tx:
        macs = tx.scalars(select(Port.mac).where(Port.device_id.in_(made))).all()
    assert len(set(macs)) == 3
