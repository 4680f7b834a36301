"""Allowed address pairs: what is taken, in which spelling, and what is refused."""

from __future__ import annotations

import pytest
from tests.api.network.setting import AT, fault


@pytest.fixture
def network(make):
    network = make.network()
    make.subnet(network)
    return network


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("10.0.0.5", "10.0.0.5"),
        ("10.0.0.5/24", "10.0.0.5/24"),
        ("10.0.0.5/32", "10.0.0.5/32"),
        ("10.0.0.0/24", "10.0.0.0/24"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("::/0", "::/0"),
        ("2001:DB8::A/64", "2001:db8::a/64"),
        ("2001:DB8:0::A", "2001:db8::a"),
        *(
            (link_local, link_local)
            for link_local in ("169.254.1.0/24", "169.254.169.253", "fe80::5", "fe80::1:0:0/96")
        ),
    ],
)
def test_a_pair_keeps_its_host_bits(cloud, make, network, sent, kept):
    port = make.port(network, allowed_address_pairs=[{"ip_address": sent}])
    assert [pair["ip_address"] for pair in port["allowed_address_pairs"]] == [kept]
    assert [ip for ip, _ in cloud.held("port")[port["id"]].allowed_pairs] == [kept]


@pytest.mark.parametrize(
    "address",
    [
        *("224.0.0.18", "224.0.0.0/4", "239.1.1.0/24", "ff02::1", "ff02::/64", "127.0.0.1", "127.0.0.0/8", "::1"),
        *("0.0.0.0", "255.255.255.255", "::", "169.254.169.254", "fe80::a9fe:a9fe", "10.0.0.2", "10.0.0.2/32"),
        *("169.254.169.254/31", "169.254.169.0/24", "169.254.0.0/16", "fe80::/10", "fe80::/64", "fe80::a9fe:a9ff/126"),
        *("ten", "10.0.0.5/33", "10.0.0.5/24\n", ""),
    ],
)
def test_pairs_that_no_guest_may_send_from_are_refused(alice, make, network, address):
    """10.0.0.2 is the address of the network's metadata port."""
    pairs = {"allowed_address_pairs": [{"ip_address": address}]}
    body = {"network_id": network["id"], **pairs}
    assert fault(alice.post(f"{AT}/ports", {"port": body})) == (400, "InvalidInput")
    port = make.port(network)
    assert fault(alice.put(f"{AT}/ports/{port['id']}", {"port": pairs})) == (400, "InvalidInput")
