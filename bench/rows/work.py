"""What one server costs, counted: statements, commits, calls to agents, HTTP requests. No clock is involved."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from bench.client import BenchError
from bench.cloud import Cloud, on_fresh_clouds
from bench.figures import Figure
from bench.rows.servers import SERVERS, active_server, wanted_of
from bench.sizes import Sizes

REQUESTS = "gureum_http_requests"
COUNTED = {
    "gureum_db_statements": ("statements", 40, "826"),
    "gureum_db_commits": ("commits", 8, "32"),
    "gureum_agent_calls": ("calls to agents", 2, "41 messages"),
    REQUESTS: ("HTTP requests", 1, "32"),
}
"""metric -> what it counts, the reach, upstream's count."""
CREATED = 10
READ = 200


def rows(sizes: Sizes) -> Iterator[Figure]:
    created, read = on_fresh_clouds(sizes, _one_run)[0]
    for metric, (what, reach, upstream) in COUNTED.items():
        name = f"one server with a port, POST to ACTIVE: {what}"
        yield Figure(f"work-create-{what}", name, created[metric], "", reach, least=True, upstream=upstream)
    for metric, reach, upstream in (("gureum_db_statements", 3, "37"), (REQUESTS, 1, "3")):
        what = COUNTED[metric][0]
        yield Figure(
            f"work-get-{what}", f"GET of that server: {what}", read[metric], "", reach, least=True, upstream=upstream
        )


def _one_run(cloud: Cloud) -> tuple[dict[str, float], dict[str, float]]:
    wanted = wanted_of(cloud)
    active_server(cloud, wanted, "first")  # what is made once for a network or a project is no server's cost

    def create() -> None:
        cloud.admin.call("POST", SERVERS, wanted.body("counted"))
        time.sleep(0.6)

    created = _cost(cloud, create, CREATED)
    servers = cloud.admin.call("GET", f"{SERVERS}?status=ACTIVE")["servers"]
    if len(servers) != CREATED + 1:
        raise BenchError("not every server came up in time: the machine is too busy to count on")
    path = f"{SERVERS}/{servers[0]['id']}"
    return created, _cost(cloud, lambda: cloud.admin.call("GET", path), READ)


def _cost(cloud: Cloud, work: Callable[[], object], times: int) -> dict[str, float]:
    """What doing `work` once adds to each counter, without what the cloud counts by itself in as much time."""
    began, before = time.perf_counter(), cloud.counters()
    for _ in range(times):
        work()
    time.sleep(1)  # what the last one set going is done
    after, elapsed = cloud.counters(), time.perf_counter() - began
    waited = max(elapsed, 3.0)
    time.sleep(waited)
    idle = cloud.counters()
    return {name: once_cost(before[name], after[name], idle[name], elapsed / waited, name, times) for name in COUNTED}


def once_cost(before: float, after: float, idle: float, share: float, name: str, times: int) -> float:
    """One work's part of a counter that was read before it, after it and again after idling.

    `share` is how much of the idle time the work took. Each look at /metrics is a request that the next look counts.
    """
    look = 1.0 if name == REQUESTS else 0.0
    by_itself = (idle - after - look) * share
    return max(0.0, round((after - before - look - by_itself) / times, 1))
