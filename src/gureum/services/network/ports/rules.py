"""Pure rules of ports: which addresses to try, MACs, allowed address pairs.

Source: network API reference, "Allowed address pairs".
"""

from __future__ import annotations

import ipaddress
import os
import random
import re
import socket
from collections.abc import Collection, Iterator, Sequence
from itertools import islice

from gureum.services.network import errors, spellings
from gureum.services.network.subnets.rules import RESERVED, Net, Pool, range_of

WINDOW = 16
MAX_PAIRS = 10
_MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}")


def from_cursor(pools: Sequence[Pool], cursor: str | None) -> Iterator[str]:
    """Every address of the pools once, beginning at `cursor` (or the first) and wrapping around."""
    spans = [(ipaddress.ip_address(start), ipaddress.ip_address(end)) for start, end in pools]
    if not spans:
        return
    text = _text_v4 if spans[0][0].version == 4 else _text_v6
    numbers = [(int(start), int(end)) for start, end in spans]
    begin = int(ipaddress.ip_address(cursor)) if cursor else numbers[0][0]
    for low, high in numbers:
        yield from map(text, range(max(low, begin), high + 1))
    for low, high in numbers:
        yield from map(text, range(low, min(high + 1, begin)))


def _text_v4(number: int) -> str:
    return socket.inet_ntoa(number.to_bytes(4))


def _text_v6(number: int) -> str:
    return str(ipaddress.IPv6Address(number))


def anywhere(pools: Sequence[Pool]) -> str:
    """An address of the pools at random. There is a pool."""
    low, high = (ipaddress.ip_address(end) for end in random.choice(pools))  # noqa: S311 spreading, not secrecy
    return str(low + random.randint(0, int(high) - int(low)))  # noqa: S311


def window(pools: Sequence[Pool], cursor: str | None, size: int = WINDOW) -> list[str]:
    """The next `size` addresses to try."""
    return list(islice(from_cursor(pools, cursor), size))


def first_free(pools: Sequence[Pool], cursor: str | None, taken: Collection[str]) -> str | None:
    """The first address from the cursor on that is not in `taken`; None when all are."""
    return next((ip for ip in from_cursor(pools, cursor) if ip not in taken), None)


def after(ip: str) -> str:
    """The address that the next search begins at; the last address of all wraps by being out of every pool."""
    address = ipaddress.ip_address(ip)
    return str(address + 1) if int(address) < 2**address.max_prefixlen - 1 else ip


def new_mac(base: str) -> str:
    """A random MAC that begins as `base` does: three octets, four when the fourth is not 00.

    Few bits are random, so a large network's ports do collide: the caller that stores one tries again.
    """
    octets = bytes.fromhex(base.replace(":", ""))
    fixed = octets[:4] if octets[3] else octets[:3]
    return ":".join(f"{octet:02x}" for octet in fixed + os.urandom(6 - len(fixed)))


def check_mac(text: str) -> str:
    """A MAC in lower case with colons. Raises BadRequest for text that is no MAC, for all zeros and for broadcast."""
    mac = spellings.mac(text)
    if not _MAC.fullmatch(mac) or mac in ("00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"):
        raise errors.invalid(f"'{text[:32]}' is not a valid MAC address")
    return mac


def is_multicast(mac: str) -> bool:
    """Whether a MAC is a group's: the API takes it, as its reference says, but no server's interface can have it."""
    return bool(int(mac[:2], 16) & 1)


def check_pairs(
    pairs: Sequence[tuple[str, str | None]], mac: str, metadata_ips: Collection[str] = ()
) -> list[dict[str, str]]:
    """Allowed address pairs in their stored form; a pair without a MAC has the port's.

    An address keeps its host bits and its prefix, in the one spelling of its family. Raises BadRequest for pairs twice,
    for what no guest may send from (multicast, loopback), for the addresses that metadata is served at and link-local
    ranges that hold one, for too many. Wider ranges (0.0.0.0/0) are taken, for guests that route: whoever may name
    pairs may turn the port security off as well.
    """
    if len(pairs) > MAX_PAIRS:
        raise errors.invalid(
            f"The number of allowed address pair exceeds the maximum {MAX_PAIRS}.", "AllowedAddressPairExhausted"
        )
    found: list[dict[str, str]] = []
    for ip, own_mac in pairs:
        net = range_of(ip)
        _refuse_pair(net, metadata_ips)
        text = str(ipaddress.ip_interface(ip)) if "/" in ip else str(net.network_address)
        pair = {"ip_address": text, "mac_address": check_mac(own_mac) if own_mac else mac}
        if pair in found:
            raise errors.invalid(
                f"Request contains duplicate address pair: mac_address {pair['mac_address']} ip_address {text}.",
                "DuplicateAddressPairInRequest",
            )
        found.append(pair)
    return found


METADATA_SERVICE = tuple(ipaddress.ip_address(ip) for ip in ("169.254.169.254", "fe80::a9fe:a9fe"))


def _refuse_pair(net: Net, metadata_ips: Collection[str]) -> None:
    around = [(reserved, purpose) for reserved, purpose in RESERVED.items() if _is_within(net, reserved)]
    for reserved, purpose in around:
        if not reserved.is_link_local:
            raise errors.invalid(f"'{net}' is no address of an allowed address pair: it is for {purpose}")
    held = around and any(address in net for address in METADATA_SERVICE)
    if held or (net.num_addresses == 1 and str(net.network_address) in metadata_ips):
        text = net.network_address if net.num_addresses == 1 else net
        raise errors.invalid(f"'{text}' is no address of an allowed address pair: metadata is served there")


def _is_within(net: Net, outer: Net) -> bool:
    return net.version == outer.version and net.network_address in outer and net.broadcast_address in outer
