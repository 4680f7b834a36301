"""Servers built and deleted in numbers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bench import limits
from bench.client import BenchError, Request, once
from bench.cloud import Cloud, on_fresh_clouds
from bench.figures import Figure
from bench.sizes import Sizes

SERVERS = "/compute/v2.1/servers"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The body of a server with a port, or without any network."""

    image: str
    flavor: str
    network: str | None

    def body(self, name: str) -> dict[str, object]:
        networks = [{"uuid": self.network}] if self.network else "none"
        server = {"name": name, "imageRef": self.image, "flavorRef": self.flavor, "networks": networks}
        return {"server": server}


def wanted_of(cloud: Cloud, *, port: bool = True) -> Wanted:
    """What servers of this cloud are made of; its quotas are lifted."""
    cloud.no_quotas()
    return Wanted(cloud.image(), cloud.flavor(), cloud.network() if port else None)


def active_server(cloud: Cloud, wanted: Wanted, name: str) -> str:
    """The id of a new server once it is ACTIVE."""
    server = str(cloud.admin.call("POST", SERVERS, wanted.body(name))["server"]["id"])
    cloud.until(lambda: cloud.admin.call("GET", f"{SERVERS}/{server}")["server"]["status"] == "ACTIVE")
    return server


@dataclass(frozen=True, slots=True)
class Flow:
    """Servers a second, and milliseconds of processor for each."""

    up_s: float
    up_cpu_ms: float
    gone_s: float
    gone_cpu_ms: float


def rows(sizes: Sizes) -> Iterator[Figure]:
    runs = on_fresh_clouds(sizes, lambda cloud: _one_run(cloud, sizes.servers))
    up = max(runs, key=lambda flow: flow.up_s)
    gone = max(runs, key=lambda flow: flow.gone_s)
    limit = f"6 commits alone {limits.six_commits(sizes.limit_s):,.0f}/s"
    yield Figure(
        "servers-active",
        f"{sizes.servers} servers with a port to ACTIVE",
        up.up_s,
        "/s",
        60,
        limit=limit,
        note=f"{up.up_cpu_ms:.1f} ms CPU each",
        upstream="1.9/s (1,001 ms CPU)",
    )
    yield Figure(
        "servers-deleted",
        f"{sizes.servers} servers deleted",
        gone.gone_s,
        "/s",
        80,
        limit=limit,
        note=f"{gone.gone_cpu_ms:.1f} ms CPU each",
        upstream="4.6/s",
    )


def _one_run(cloud: Cloud, count: int) -> Flow:
    return flow_of(cloud, wanted_of(cloud), count)


def flow_of(cloud: Cloud, wanted: Wanted, count: int) -> Flow:
    """`count` servers made and deleted. Others that the cloud has are left alone."""
    kept = {server["id"] for server in cloud.admin.call("GET", f"{SERVERS}?limit=1000")["servers"]}
    up_s, up_cpu = built(cloud, wanted, range(count))
    active = cloud.admin.call("GET", f"{SERVERS}?status=ACTIVE&limit=1000")["servers"]
    servers = [server for server in active if server["id"] not in kept]
    if len(servers) != count:
        raise BenchError(f"{len(servers)} of {count} servers are ACTIVE")
    requests = [cloud.admin.request("DELETE", f"{SERVERS}/{server['id']}") for server in servers]
    gone_s, gone_cpu = _timed(cloud, requests, lambda: _gone(cloud, f"{SERVERS}?name=^bench-&limit=1"))
    return Flow(count / up_s, up_cpu / count * 1000, count / gone_s, gone_cpu / count * 1000)


def built(cloud: Cloud, wanted: Wanted, numbers: range) -> tuple[float, float]:
    """Servers named by their numbers, until none is BUILD: seconds and processor seconds."""
    requests = [cloud.admin.request("POST", SERVERS, wanted.body(f"bench-{number}")) for number in numbers]
    return _timed(cloud, requests, lambda: _gone(cloud, f"{SERVERS}?status=BUILD&limit=1"))


def _timed(cloud: Cloud, requests: list[Request], done: Callable[[], bool]) -> tuple[float, float]:
    """Seconds from the first request until it is done, and the processor seconds that the cloud used.

    Looking whether it is done takes a tenth of the time at most, lest it become part of the load.
    """
    cpu = cloud.cpu_s()
    began = once(cloud.port, requests).began
    while True:
        looked = time.monotonic()
        if done():
            return time.monotonic() - began, cloud.cpu_s() - cpu
        now = time.monotonic()
        if now - began > 600:
            raise BenchError("the servers are not done within 600 s")
        time.sleep(max(0.02, 9 * (now - looked)))


def _gone(cloud: Cloud, path: str) -> bool:
    return not cloud.admin.call("GET", path)["servers"]
