"""Attacks: server-side request forgery through image URLs (CVE-2026-34881 and kin). What leads inward is refused."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gureum.drivers.image.errors import UrlRefused
from gureum.drivers.image.web.guard import Allowed, addresses, is_allowed, target_of

OPEN = Allowed()
INSIDE = [
    "127.0.0.1",
    "127.8.8.8",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "255.255.255.255",
    "198.18.0.1",
    "203.0.113.5",
    "::",
    "::1",
    "fe80::1",
    "fc00::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
    "2001:db8::1",
]


@pytest.mark.parametrize("address", INSIDE)
def test_an_address_inside_is_refused(address):
    assert not is_allowed(ipaddress.ip_address(address), OPEN)
    with pytest.raises(UrlRefused):
        addresses(target_of("http://example.org/", OPEN), OPEN, lambda _host, _port: [address])


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1"])
def test_the_public_internet_is_allowed(address):
    assert is_allowed(ipaddress.ip_address(address), OPEN)


def test_one_inside_address_among_public_ones_refuses_the_host():
    """A resolver that answers with both would be tried until the inside one is taken."""
    with pytest.raises(UrlRefused):
        addresses(target_of("http://example.org/", OPEN), OPEN, lambda _host, _port: ["1.1.1.1", "10.0.0.1"])


def test_the_operator_may_open_a_network():
    allowed = Allowed(networks=(ipaddress.ip_network("10.0.0.0/8"),))
    assert is_allowed(ipaddress.ip_address("10.1.2.3"), allowed)
    assert is_allowed(ipaddress.ip_address("::ffff:10.1.2.3"), allowed)
    assert not is_allowed(ipaddress.ip_address("192.168.0.1"), allowed)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "gopher://example.org/",
        "ftp://example.org/",
        "http://",
        "http:///path",
        "http://user@example.org/",
        "http://user:pw@example.org/",
        "http://example.org:22/",
        "http://example.org:0x50/",
        "http://example.org:99999/",
        "http://exam\nple.org/",
        "http://example.org/\r\nHost: x",
        "http://example.org/ x",
        "http://ex%61mple.org/",
        "http://example.org\\@evil/",
        "http://ｅxample.org/",
        "http://[::1",
        "//example.org/",
        "example.org",
        "http://" + "a" * 3000,
    ],
)
def test_a_url_that_makes_no_sense_or_is_not_allowed(url):
    with pytest.raises(UrlRefused):
        target_of(url, OPEN)


def test_hosts_and_ports_by_the_operators_rules():
    allowed = Allowed(hosts=frozenset({"good.example"}), ports=frozenset({80, 8080}), refused_ports=frozenset({8080}))
    assert target_of("http://GOOD.example./i?x=1", allowed).path == "/i?x=1"
    for url in ("http://bad.example/", "http://good.example:8080/", "https://good.example/"):
        with pytest.raises(UrlRefused):
            target_of(url, allowed)
    with pytest.raises(UrlRefused):
        target_of("http://bad.example/", Allowed(refused_hosts=frozenset({"bad.example"})))


@given(st.text(max_size=80))
def test_any_text_is_a_target_or_refused(text):
    try:
        target = target_of(text, OPEN)
    except UrlRefused:
        return
    assert target.scheme in ("http", "https")
    assert target.port in (80, 443)


@given(st.ip_addresses())
def test_no_address_that_is_not_global_passes(address):
    if is_allowed(address, OPEN):
        judged = getattr(address, "ipv4_mapped", None) or address
        assert judged.is_global
        assert not judged.is_multicast
