"""Pure decisions about servers: which host takes one, and what a legal host name is."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from msgspec import Struct

from gureum.services.compute.flavors.rules import named_resources
from gureum.services.compute.servers.model import KeptFlavor, KeptImage
from gureum.services.placement.facade import HostView, Snapshot

GIB = 1 << 30


class HostFacts(Struct, frozen=True, gc=False):
    """What compute knows of a host beyond its inventory. A choice makes thousands of them."""

    zone: str
    up: bool
    enabled: bool


@dataclass(frozen=True, slots=True)
class Wish:
    """Where a server may go. `near` and `apart` are hosts of group members; `tried` refused it before.

    `same_host`, `different_host` and `within` are the hosts that scheduler hints speak of, None without such a hint.
    """

    zone: str | None = None
    host: str | None = None
    tried: frozenset[str] = frozenset()
    near: frozenset[str] = frozenset()
    apart: frozenset[str] = frozenset()
    prefer_near: frozenset[str] = frozenset()
    prefer_apart: frozenset[str] = frozenset()
    same_host: frozenset[str] | None = None
    different_host: frozenset[str] | None = None
    within: frozenset[str] | None = None

    def suits_most(self) -> bool:
        """Whether no constraint leaves only hosts that are named, or prefers some of them."""
        named = self.near or self.prefer_near or self.prefer_apart
        return not (named or self.host is not None or self.same_host is not None or self.within is not None)


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen host, or None with the constraint that removed each host."""

    host: HostView | None
    eliminated: dict[str, list[str]] = field(default_factory=dict)

    def public_reason(self) -> str:
        """For tenants: the constraints, neither the hosts' names nor how many there are."""
        constraints = "; ".join(sorted(self.eliminated))
        return "No valid host was found. " + (f"Left out: {constraints}." if constraints else "There is no host.")

    def internal_reason(self) -> str:
        """For administrators: the same with host names, at most ten for each constraint."""
        parts = []
        for reason, names in sorted(self.eliminated.items()):
            more = f" and {len(names) - 10} more" if len(names) > 10 else ""
            parts.append(f"{reason}: {', '.join(sorted(names)[:10])}{more}")
        return "; ".join(parts)


WEIGHED = ("MEMORY_MB", "VCPU")
"""By the room of which classes hosts are preferred, one after the other."""


def choose(snapshot: Snapshot, facts: Mapping[str, HostFacts], wish: Wish) -> Choice:
    """The host with the most free memory among those that pass every constraint; ties by free vCPUs, then name."""
    weight = _weigher(wish)
    best = max(snapshot.hosts, key=weight, default=None)
    if best is not None and not _against(best.name, facts.get(best.name), wish):
        return Choice(best)
    eliminated = {reason: list(names) for reason, names in snapshot.eliminated.items()}
    fitting = []
    for view in snapshot.hosts:
        reason = _against(view.name, facts.get(view.name), wish)
        if reason:
            eliminated.setdefault(reason, []).append(view.name)
        else:
            fitting.append(view)
    if not fitting:
        return Choice(None, eliminated)
    return Choice(max(fitting, key=weight), eliminated)


def _against(name: str, facts: HostFacts | None, wish: Wish) -> str:
    """The first constraint that removes a host, or ""."""
    if facts is None:
        return "is not a compute host"
    constraints = (
        (not facts.up, "is down"),
        (wish.host not in (None, name), "is not the requested host"),
        (not facts.enabled and wish.host is None, "is disabled"),
        (wish.zone not in (None, facts.zone), f"is not in availability zone {wish.zone}"),
        (name in wish.tried, "failed to build this server"),
        (bool(wish.near) and name not in wish.near, "does not hold the server group's members (affinity)"),
        (name in wish.apart, "holds a member of the server group (anti-affinity)"),
        (wish.same_host is not None and name not in wish.same_host, "holds no server of the hint same_host"),
        (wish.different_host is not None and name in wish.different_host, "holds a server of the hint different_host"),
        (wish.within is not None and name not in wish.within, "is not near the hint build_near_host_ip"),
    )
    return next((reason for holds, reason in constraints if holds), "")


def _weigher(wish: Wish) -> Callable[[HostView], tuple[bool, bool, float, float, str]]:
    """A function that gives the weight of a host; made once for all hosts of a choice."""
    near, apart = wish.prefer_near, wish.prefer_apart

    def weight(view: HostView) -> tuple[bool, bool, float, float, str]:
        name, room = view.name, view.room
        return name in near, name not in apart, room.get("MEMORY_MB", 0), room.get("VCPU", 0), name

    return weight


_NOT_IN_HOSTNAME = re.compile(r"[^a-z0-9-]+")


def hostname_of(name: str, server_id: str) -> str:
    """A DNS label (RFC 1123) made from a server's name, or `Server-<id>` when nothing is left of it."""
    kept = re.sub(r"[ _.]+", "-", name.strip().lower())
    label = _NOT_IN_HOSTNAME.sub("", kept).strip("-")[:63].strip("-")
    return label or f"server-{server_id}"


def resources_of(flavor: KeptFlavor, image: KeptImage) -> dict[str, int]:
    """What a server claims of a host: VCPU, MEMORY_MB, DISK_GB and the classes that its flavor's extra specs name,
    without what is zero. A flavor without a disk makes one as large as the image, and that is claimed.
    Source: compute user guide, "Extra Specs", `resources`.
    """
    root_gib = flavor["disk"] or -(-int(image.get("virtual_size", 0)) // GIB)
    disk = root_gib + flavor["ephemeral"] + -(-flavor["swap"] // 1024)
    sizes = {"VCPU": flavor["vcpus"], "MEMORY_MB": flavor["ram"], "DISK_GB": disk}
    named = named_resources(flavor.get("extra_specs") or {})
    return {name: amount for name, amount in (named | sizes).items() if amount > 0}


def traits_of(extra_specs: Mapping[str, str]) -> tuple[frozenset[str], frozenset[str]]:
    """(required, forbidden) traits of a flavor's extra specs: `trait:NAME` = required or forbidden."""
    named = {key.removeprefix("trait:"): value for key, value in extra_specs.items() if key.startswith("trait:")}
    return _with(named, "required"), _with(named, "forbidden")


def _with(named: Mapping[str, str], wanted: str) -> frozenset[str]:
    return frozenset(name for name, value in named.items() if value == wanted)
