"""Pure rules of the network service."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gureum.drivers.network.addresses import automatic_address
from gureum.foundation.errors import ApiError, BadRequest
from gureum.services.network.ports import rules as ports
from gureum.services.network.routers import rules as routers
from gureum.services.network.security_groups import rules as groups
from gureum.services.network.subnets import rules as subnets

V4_NETS = st.builds(
    lambda number, length: ipaddress.ip_network((number, length), strict=False),
    st.integers(0, 2**32 - 1),
    st.integers(16, 32),
)
V6_NETS = st.builds(
    lambda number, length: ipaddress.ip_network((number, length), strict=False),
    st.integers(0, 2**128 - 1),
    st.integers(56, 128),
)


@given(st.one_of(V4_NETS, V6_NETS), st.data())
def test_default_pools_hold_every_usable_address_but_the_gateway(net, data):
    offset = data.draw(st.integers(0, min(net.num_addresses - 1, 2**16)))
    gateway = data.draw(st.sampled_from([None, str(net.network_address + offset)]))
    pools = subnets.default_pools(net, gateway)
    total = 0
    for start, end in pools:
        low, high = ipaddress.ip_address(start), ipaddress.ip_address(end)
        assert low in net
        assert high in net
        assert low <= high
        assert gateway is None or not low <= ipaddress.ip_address(gateway) <= high
        total += int(high) - int(low) + 1
    assert subnets.check_pools(net, pools, gateway) == pools
    edges = 0 if net.num_addresses <= 2 else 2 if net.version == 4 else 1
    assert net.num_addresses - edges - 1 <= total <= net.num_addresses - edges


@given(st.data())
def test_the_free_address_is_free_and_found_whenever_there_is_one(data):
    net = ipaddress.ip_network("10.0.0.0/28")
    hosts = [str(host) for host in net.hosts()]
    pools = data.draw(
        st.sampled_from([[("10.0.0.1", "10.0.0.14")], [("10.0.0.2", "10.0.0.4"), ("10.0.0.9", "10.0.0.9")]])
    )
    inside = [
        ip
        for ip in hosts
        if any(ipaddress.ip_address(a) <= ipaddress.ip_address(ip) <= ipaddress.ip_address(b) for a, b in pools)
    ]
    taken = data.draw(st.sets(st.sampled_from(hosts)))
    cursor = data.draw(st.sampled_from([None, "10.0.0.0", "10.0.0.15", *hosts]))
    assert sorted(ports.from_cursor(pools, cursor)) == sorted(inside)
    found = ports.first_free(pools, cursor, taken)
    if set(inside) <= taken:
        assert found is None
    else:
        assert found in inside
        assert found not in taken


def test_large_ranges_cost_nothing():
    assert ports.window([("fd00::2", "fd00::ffff:ffff:ffff:ffff")], None, 3) == ["fd00::2", "fd00::3", "fd00::4"]
    assert ports.after("255.255.255.255") == "255.255.255.255"


@given(st.binary(min_size=6, max_size=6))
def test_automatic_addresses_are_in_the_subnet(octets):
    mac = ":".join(f"{octet:02x}" for octet in octets)
    net = ipaddress.ip_network("fd00:1::/64")
    address = ipaddress.ip_address(automatic_address(net, mac))
    assert address in net
    assert address.packed[11:13] == b"\xff\xfe"


@pytest.mark.parametrize(
    ("base", "begins"), [("fa:16:3e:00:00:00", "fa:16:3e:"), ("fa:16:3e:4f:00:00", "fa:16:3e:4f:")]
)
def test_new_macs_begin_as_configured_and_differ(base, begins):
    made = {ports.new_mac(base) for _ in range(50)}
    assert all(ports.check_mac(mac) == mac and mac.startswith(begins) for mac in made)
    assert len(made) > 40


@given(
    st.text(max_size=12),
    st.one_of(st.none(), st.integers(-(2**40), 2**40)),
    st.one_of(st.none(), st.integers(-(2**40), 2**40)),
)
def test_any_rule_is_either_sound_or_refused(protocol, low, high):
    try:
        kept = groups.protocol_of(protocol)
        bounds = groups.ports_of(kept, low, high)
    except BadRequest:
        return
    number = groups.number_of(kept)
    top = 255 if number in groups.ICMP else 65535
    assert all(bound is None or 0 <= bound <= top for bound in bounds)


@given(st.text(max_size=20))
def test_any_prefix_is_either_a_range_or_refused(text):
    try:
        kept = groups.prefix_of(text, "IPv4")
    except BadRequest:
        return
    assert str(ipaddress.ip_network(kept)) == kept


@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), st.booleans(), max_size=12), st.uuids())
def test_gateway_hosts_are_the_living_in_a_stable_order(hosts, router):
    chosen = routers.gateway_hosts(str(router), hosts)
    assert chosen == routers.gateway_hosts(str(router), dict(reversed(hosts.items())))
    everywhere = routers.gateway_hosts(str(router), dict.fromkeys(hosts, True))
    assert len(hosts) > routers.GATEWAY_HOSTS or chosen == everywhere
    assert len(chosen) == min(len(hosts), routers.GATEWAY_HOSTS)
    assert sum(hosts[host] for host in chosen) == min(sum(hosts.values()), routers.GATEWAY_HOSTS)


@pytest.mark.parametrize(
    ("wanted", "error"),
    [
        ([("10.5.0.0/16", "10.9.0.1")], True),
        ([("10.5.0.0/16", "10.0.0.1")], True),
        ([("10.5.0.0/16", "10.0.0.5"), ("10.5.0.0/16", "10.0.0.5")], True),
        ([("10.5.0.0/16", "10.0.0.5"), ("10.6.0.0/16", "10.0.0.5")], False),
        ([(f"10.{n}.0.0/16", "10.0.0.5") for n in range(40)], True),
    ],
)
def test_routes_lead_to_neighbours(wanted, error):
    if error:
        with pytest.raises(ApiError):
            routers.routes_of(wanted, ["10.0.0.0/24"], ["10.0.0.1"])
    else:
        assert routers.routes_of(wanted, ["10.0.0.0/24"], ["10.0.0.1"]) == wanted
