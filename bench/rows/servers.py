"""Servers: built and deleted in numbers, counted work for one, and reads of one and of pages."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bench import limits
from bench.client import Request, spread, steady
from bench.cloud import Cloud
from bench.figures import Figure
from bench.rows.multiply import multiply_servers

SERVERS = "/compute/v2.1/servers"
COUNTERS = ("gureum_db_statements", "gureum_db_commits", "gureum_agent_calls", "gureum_http_requests")


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


def rows(cloud: Cloud, runs: int) -> Iterator[Figure]:
    cloud.no_quotas()
    wanted = Wanted(cloud.image(), cloud.flavor(), cloud.network())
    yield from _flow(cloud, wanted, runs)
    yield from _counted(cloud, wanted)
    yield from _reads(cloud, wanted, runs)


def _flow(cloud: Cloud, wanted: Wanted, runs: int) -> Iterator[Figure]:
    """200 servers with a port each to ACTIVE, and deleted again."""
    up, gone, up_cpu, gone_cpu = [], [], [], []
    for _ in range(runs):
        cpu, began = cloud.cpu_s(), time.perf_counter()
        spread(cloud.admin, lambda client, i: client.call("POST", SERVERS, wanted.body(f"bench-{i}")), 200)
        cloud.until(lambda: not cloud.admin.call("GET", f"{SERVERS}?status=BUILD&limit=1")["servers"])
        up.append(200 / (time.perf_counter() - began))
        up_cpu.append((cloud.cpu_s() - cpu) / 200 * 1000)
        servers = cloud.admin.call("GET", f"{SERVERS}?status=ACTIVE")["servers"]
        if len(servers) != 200:
            raise RuntimeError(f"{len(servers)} of 200 servers are ACTIVE")
        cpu, began = cloud.cpu_s(), time.perf_counter()
        spread(cloud.admin, lambda client, i: client.call("DELETE", f"{SERVERS}/{servers[i]['id']}"), 200)
        cloud.until(lambda: not cloud.admin.call("GET", f"{SERVERS}?limit=1")["servers"])
        gone.append(200 / (time.perf_counter() - began))
        gone_cpu.append((cloud.cpu_s() - cpu) / 200 * 1000)
    note = f"commits of one row alone {limits.row_inserts():,.0f}/s"
    each = "{:.1f} ms CPU each"
    yield Figure("200 servers with a port to ACTIVE", max(up), "/s", 60, limit=note, note=each.format(min(up_cpu)))
    yield Figure("200 servers deleted", max(gone), "/s", 80, limit=note, note=each.format(min(gone_cpu)))


def _counted(cloud: Cloud, wanted: Wanted) -> Iterator[Figure]:
    """What one server costs, less what the cloud does by itself in as much time. Upstream's counts are for scale."""
    servers: list[str] = []

    def create() -> None:
        servers.append(cloud.admin.call("POST", SERVERS, wanted.body("counted"))["server"]["id"])
        time.sleep(1)

    cost = _cost(cloud, create, 5)
    reached = {"gureum_db_statements": 40, "gureum_db_commits": 8, "gureum_agent_calls": 2, "gureum_http_requests": 1}
    upstream = {
        "gureum_db_statements": 826,
        "gureum_db_commits": 32,
        "gureum_agent_calls": 41,
        "gureum_http_requests": 32,
    }
    for name in COUNTERS:
        what = name.removeprefix("gureum_").replace("_", " ").replace("db ", "")
        note = f"upstream {upstream[name]}"
        yield Figure(
            f"one server with a port, create to ACTIVE: {what}", cost[name], "", reached[name], least=True, note=note
        )
    cost = _cost(cloud, lambda: cloud.admin.call("GET", f"{SERVERS}/{servers[0]}"), 100)
    yield Figure("GET of that server: statements", cost["gureum_db_statements"], "", 3, least=True, note="upstream 37")
    for server in servers:
        cloud.admin.call("DELETE", f"{SERVERS}/{server}")
    cloud.until(lambda: not cloud.admin.call("GET", f"{SERVERS}?limit=1")["servers"])


def _cost(cloud: Cloud, work: Callable[[], object], times: int) -> dict[str, float]:
    """What doing `work` once adds to each counter, without what the cloud counts by itself in as much time."""
    began, before = time.perf_counter(), _counters(cloud)
    for _ in range(times):
        work()
    after, elapsed = _counters(cloud), time.perf_counter() - began
    time.sleep(max(elapsed, 3.0))
    idle, share = _counters(cloud), elapsed / max(elapsed, 3.0)
    cost = {name: after[name] - before[name] - (idle[name] - after[name]) * share for name in COUNTERS}
    cost["gureum_http_requests"] = float(times)  # all others are the bench's own looks at /metrics
    return {name: round(max(0.0, value) / times, 1) for name, value in cost.items()}


def _counters(cloud: Cloud) -> dict[str, float]:
    return {name: cloud.metric(name) for name in COUNTERS}


def _reads(cloud: Cloud, wanted: Wanted, runs: int) -> Iterator[Figure]:
    """GET of one; a page of 100 with 1,000 servers in the database, and again with 100,000."""
    server = cloud.admin.call("POST", SERVERS, wanted.body("original"))["server"]["id"]
    cloud.until(lambda: cloud.admin.call("GET", f"{SERVERS}/{server}")["server"]["status"] == "ACTIVE")
    multiply_servers(cloud, server, 1_000)
    _until_quiet(cloud)
    one = cloud.admin.request("GET", f"{SERVERS}/{server}")
    rate = max(steady(cloud.port, one).per_s for _ in range(runs))
    yield Figure("GET /servers/{id}, 8 connections", rate, "/s", 1500, limit=limits.empty_note())
    page = cloud.admin.request("GET", f"{SERVERS}/detail?limit=100")
    rate = max(steady(cloud.port, page).per_s for _ in range(runs))
    yield Figure("page of 100 of 1,000 servers, 8 connections", rate, "/s", 60, limit=limits.empty_note())
    small = _page_cost(cloud, page, runs)
    yield Figure("the same page, one connection, p50", small[0], "ms", 20, least=True, note=f"{small[1]:.1f} ms CPU")
    multiply_servers(cloud, server, 100_000)
    _until_quiet(cloud)
    large = _page_cost(cloud, page, runs)
    ratio = large[0] / small[0]
    note = f"p50 {large[0]:.1f} ms, {large[1]:.1f} ms CPU"
    yield Figure("the same page with 100,000 servers: cost against 1,000", ratio, "x", 1.5, least=True, note=note)


def _page_cost(cloud: Cloud, page: Request, runs: int) -> tuple[float, float]:
    """Milliseconds of one page at one connection: p50, and of processor time."""
    found = []
    for _ in range(runs):
        cpu, began = cloud.cpu_s(), time.perf_counter()
        rate = steady(cloud.port, page, connections=1, seconds=3)
        count = rate.per_s * (time.perf_counter() - began)
        found.append((rate.p50_ms, (cloud.cpu_s() - cpu) / count * 1000))
    return min(found)


def _until_quiet(cloud: Cloud) -> None:
    """Wait until the writer has taken the copies' ports for repaired: a cloud whose ports came by its API has no such
    backlog."""

    def quiet() -> bool:
        before = cloud.cpu_s()
        time.sleep(2)
        return cloud.cpu_s() - before < 0.3

    cloud.until(quiet, timeout_s=300)
