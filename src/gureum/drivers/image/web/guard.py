"""Which URLs and addresses the cloud may fetch image data from. Pure, but for asking the resolver.

The attack (server-side request forgery): a URL that leads into the cloud's own network, directly, by a name that
resolves there, by a redirect, or by a name that resolves elsewhere the second time.
Invariant: a connection goes only to an address that `addresses` gave for that very connection.
Sources: RFC 6890 (special addresses), RFC 4291 and 6052 (IPv4 inside of IPv6).
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from gureum.drivers.image.errors import UrlRefused

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], list[str]]

MAX_URL_CHARACTERS = 2048
_DEFAULT_PORTS = {"http": 80, "https": 443}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_TUNNELS = tuple(ipaddress.ip_network(cidr) for cidr in ("2002::/16", "2001::/32", "64:ff9b:1::/48"))
"""6to4, Teredo and a site's own translation: they end wherever a router likes, and interpreters differ about them."""
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,252}[A-Za-z0-9])?\.?|\[[0-9A-Fa-f:.]{2,45}\]")


@dataclass(frozen=True)
class Allowed:
    """The operator's rules. `networks` are those inside addresses that are allowed after all."""

    schemes: tuple[str, ...] = ("http", "https")
    hosts: frozenset[str] = frozenset()
    refused_hosts: frozenset[str] = frozenset()
    ports: frozenset[int] = frozenset({80, 443})
    refused_ports: frozenset[int] = frozenset()
    networks: tuple[Network, ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that passed: where to connect and what to ask for."""

    scheme: str
    host: str
    port: int
    path: str


def target_of(url: str, allowed: Allowed) -> Target:
    """Check a URL as text. Raises UrlRefused."""
    parts = _split(url)
    if parts.scheme not in allowed.schemes:
        raise UrlRefused(f"the scheme of the URL is not among {', '.join(allowed.schemes)}")
    if parts.username is not None or parts.password is not None:
        raise UrlRefused("a URL with a user or a password is not allowed")
    host = (parts.hostname or "").rstrip(".").lower()
    if not host or not _HOST.fullmatch(parts.netloc.rpartition(":")[0] if _has_port(parts) else parts.netloc):
        raise UrlRefused("the URL names no proper host")
    port = _port(parts)
    if port in allowed.refused_ports or (allowed.ports and port not in allowed.ports):
        raise UrlRefused(f"port {port} is not allowed")
    if host in allowed.refused_hosts or (allowed.hosts and host not in allowed.hosts):
        raise UrlRefused(f"host {host[:64]} is not allowed")
    path = parts.path or "/"
    return Target(parts.scheme, host, port, f"{path}?{parts.query}" if parts.query else path)


def addresses(target: Target, allowed: Allowed, resolve: Resolve | None = None) -> list[str]:
    """What the target's host resolves to now. Raises UrlRefused when any of it is inside, or nothing is found."""
    try:
        found = (resolve or _resolve)(target.host, target.port)
    except OSError as error:
        raise UrlRefused(f"host {target.host[:64]} cannot be resolved") from error
    if not found:
        raise UrlRefused(f"host {target.host[:64]} cannot be resolved")
    for text in found:
        if not is_allowed(ipaddress.ip_address(text.partition("%")[0]), allowed):
            raise UrlRefused(f"host {target.host[:64]} leads to an address that is not allowed")
    return found


def is_allowed(address: Address, allowed: Allowed) -> bool:
    """Public internet, or in one of the operator's networks. IPv4 that hides in IPv6 is judged as IPv4."""
    if any(address in tunnel for tunnel in _TUNNELS):
        return False
    inner = _unwrapped(address)
    if any(inner.version == network.version and inner in network for network in allowed.networks):
        return True
    return inner.is_global and not (inner.is_multicast or inner.is_reserved or inner.is_unspecified)


def _unwrapped(address: Address) -> Address:
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address


def _split(url: str) -> SplitResult:
    if len(url) > MAX_URL_CHARACTERS or any(ord(character) <= 32 or ord(character) >= 127 for character in url):
        raise UrlRefused("the URL is too long or holds a character that URLs do not hold")
    try:
        return urlsplit(url)
    except ValueError as error:
        raise UrlRefused("the URL makes no sense") from error


def _has_port(parts: SplitResult) -> bool:
    return re.search(r":\d*\Z", parts.netloc) is not None and not parts.netloc.endswith("]")


def _port(parts: SplitResult) -> int:
    try:
        return parts.port or _DEFAULT_PORTS[parts.scheme]
    except ValueError as error:
        raise UrlRefused("the URL's port makes no sense") from error


def _resolve(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
