"""The real cloud on one host: its first token, its memory, and how much later than a bare QEMU its servers answer.

Needs root and the engines; without them the rows are skipped with the reason.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from bench import limits
from bench.client import BenchError, Client
from bench.figures import Figure, Row, Skipped, best
from bench.guest import Shape, bare_boot_s, shape_of, until_ssh
from bench.lab import lab
from bench.rows.servers import SERVERS
from bench.rows.start import work
from bench.sizes import Sizes
from gureum.lab import packages

NAMES = {
    "start-real": "up, one real host, to the first token",
    "memory-real": "memory (PSS) of Gureum's processes, one real host, new",
    "memory-real-worked": "the same after servers and ports came and went",
    "real-boot": "real server: POST to SSH answer, less bare QEMU's boot",
}
FLAVOR = "42"  # m1.nano
SERVERS_EACH = 2


@dataclass(frozen=True, slots=True)
class Run:
    """Seconds and MiB of one new cloud. `answers_s` holds each server's time from POST to SSH, the first one first."""

    token_s: float
    engines_s: float
    fresh_mib: float
    worked_mib: float
    engines_mib: float
    answers_s: list[float]
    bare_s: list[float]
    shape: Shape


def unable() -> str:
    """Why this machine cannot run a real cloud; empty when it can."""
    if os.geteuid() != 0:
        return "needs root"
    absent = packages.missing(packages.ENGINES)
    return f"not installed: {', '.join(absent)}; `./gureum up` installs them" if absent else ""


def rows(sizes: Sizes) -> Iterator[Row]:
    if reason := unable():
        yield from (Skipped(key, name, reason) for key, name in NAMES.items())
        return
    with lab(simulate=False) as cloud:
        cloud.up()  # installs what is missing, builds the guest image and finds out about KVM: no part of a start
    runs = [_one_run(sizes) for _ in range(sizes.runs)]
    yield from _start_and_memory(runs)
    answered = best((seconds for run in runs for seconds in run.answers_s), least=True)
    bare = best((seconds for run in runs for seconds in run.bare_s), least=True)
    first = best((run.answers_s[0] for run in runs), least=True)
    shape = runs[0].shape
    yield Figure(
        "real-boot",
        NAMES["real-boot"],
        answered - bare,
        "s",
        1.5,
        least=True,
        limit=f"bare QEMU ({shape.accelerator.partition(',')[0]}) to SSH {bare:.2f} s",
        note=f"POST to SSH {answered:.2f} s, a new host's first server {first:.2f} s",
    )


def _start_and_memory(runs: list[Run]) -> Iterator[Figure]:
    make = partial(Figure, least=True)
    python_s, python_mib = limits.modules()
    engines = f"last engine ran after {best((run.engines_s for run in runs), least=True):.2f} s"
    yield make(
        "start-real",
        NAMES["start-real"],
        best((run.token_s for run in runs), least=True),
        "s",
        10,
        limit=f"{engines}; Python with the modules {python_s:.2f} s",
        upstream="17.2 s, without a hypervisor",
    )
    alone = f"one Python with the control plane's modules alone {python_mib:.0f} MiB"
    beside = f"engines beside them {best((run.engines_mib for run in runs), least=True):.0f} MiB"
    fresh = best((run.fresh_mib for run in runs), least=True)
    worked = best((run.worked_mib for run in runs), least=True)
    yield make("memory-real", NAMES["memory-real"], fresh, "MiB", 150, limit=alone, note=beside, upstream="3,444 MiB")
    yield make("memory-real-worked", NAMES["memory-real-worked"], worked, "MiB", 150, limit=alone, note=beside)


def _one_run(sizes: Sizes) -> Run:
    with lab(simulate=False) as cloud:
        token_s = cloud.up()
        engines_s = cloud.engines_s()
        fresh, engines = cloud.memory_mib()
        admin = cloud.client()
        place = _Place(admin)
        answers, shape = _servers(place)
        work(admin, sizes.servers)
        worked, _ = cloud.memory_mib()
        image = cloud.guest_image()
    bare = [bare_boot_s(image, shape) for _ in range(SERVERS_EACH)]
    return Run(token_s, engines_s, fresh, worked, engines, answers, bare, shape)


class _Place:
    """Where servers come to live: a network behind a router, SSH let in, a port with a floating IP for the next one."""

    def __init__(self, admin: Client) -> None:
        self.admin = admin
        public = self._found("/network/v2.0/networks?name=public", "networks")
        self.public = public["id"]
        self.network = self._made("networks", "network", name="bench")
        subnet = self._made("subnets", "subnet", network_id=self.network, ip_version=4, cidr="10.99.0.0/24")
        router = self._made("routers", "router", external_gateway_info={"network_id": self.public})
        admin.call("PUT", f"/network/v2.0/routers/{router}/add_router_interface", {"subnet_id": subnet})
        project = admin.call("GET", "/identity/v3/auth/projects")["projects"][0]["id"]
        group = self._found(f"/network/v2.0/security-groups?name=default&project_id={project}", "security_groups")
        rule = {"direction": "ingress", "protocol": "tcp", "port_range_min": 22, "port_range_max": 22}
        self._made("security-group-rules", "security_group_rule", security_group_id=group["id"], **rule)
        self.image = self._found("/image/v2/images?name=mini", "images")["id"]
        flavor = admin.call("GET", f"/compute/v2.1/flavors/{FLAVOR}")["flavor"]
        self.ram_mib, self.vcpus = int(flavor["ram"]), int(flavor["vcpus"])

    def _found(self, path: str, kind: str) -> dict[str, str]:
        found: list[dict[str, str]] = self.admin.call("GET", path)[kind]
        if not found:
            raise BenchError(f"{path}: there is none")
        return found[0]

    def _made(self, collection: str, kind: str, **values: object) -> str:
        return str(self.admin.call("POST", f"/network/v2.0/{collection}", {kind: values})[kind]["id"])

    def port(self) -> tuple[str, str]:
        """(port, floating IP)"""
        port = self._made("ports", "port", network_id=self.network)
        wanted = {"floating_network_id": self.public, "port_id": port}
        made = self.admin.call("POST", "/network/v2.0/floatingips", {"floatingip": wanted})["floatingip"]
        return port, str(made["floating_ip_address"])


def _servers(place: _Place) -> tuple[list[float], Shape]:
    """Seconds from POST to SSH of servers that come one after the other, and what QEMU was started with."""
    answers: list[float] = []
    shape = None
    for number in range(SERVERS_EACH):
        port, address = place.port()
        wanted = {"name": f"bench-{number}", "imageRef": place.image, "flavorRef": FLAVOR, "networks": [{"port": port}]}
        began = time.perf_counter()
        server = place.admin.call("POST", SERVERS, {"server": wanted})["server"]["id"]
        if not until_ssh(address, 22):
            found = place.admin.call("GET", f"{SERVERS}/{server}")["server"]
            raise BenchError(f"no SSH from {address}; its server is {found['status']} {found.get('fault', '')}")
        answers.append(time.perf_counter() - began)
        shape = shape_of(server, place.ram_mib, place.vcpus)
        place.admin.call("DELETE", f"{SERVERS}/{server}")
        _until_gone(place.admin)
    assert shape is not None
    return answers, shape


def _until_gone(admin: Client) -> None:
    deadline = time.monotonic() + 60
    while admin.call("GET", SERVERS)["servers"]:
        if time.monotonic() > deadline:
            raise BenchError("a server is not gone within 60 s")
        time.sleep(0.1)
