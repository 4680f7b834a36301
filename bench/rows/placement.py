"""The placement decision with 1,000 hosts: in a process that only decides, and from a server's POST to its host's name."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator

from bench import limits
from bench.client import BenchError
from bench.cloud import Cloud, on_fresh_clouds
from bench.figures import Figure, best, median
from bench.rows.multiply import database_of
from bench.rows.servers import SERVERS, wanted_of
from bench.sizes import Sizes
from gureum.foundation.db.engine import Database
from gureum.services.compute.servers.choosing import ROOMIEST
from gureum.services.compute.servers.model import Server
from gureum.services.compute.servers.rules import WEIGHED, HostFacts, Wish, choose
from gureum.services.placement.facade import PlacementFacade, Snapshot, Wanted

CLASSES = 3


def rows(sizes: Sizes) -> Iterator[Figure]:
    runs = on_fresh_clouds(sizes, lambda cloud: _one_run(cloud, sizes), sizes.hosts)
    hosts = f"{sizes.hosts:,} simulated hosts"
    yield Figure(
        "placement-decision",
        f"{hosts}: placement decision, p50",
        best((run[0] for run in runs), least=True),
        "ms",
        10,
        least=True,
        limit=f"reading {CLASSES} rows a host from SQLite alone {limits.rows_ms(CLASSES * sizes.hosts):.1f} ms",
    )
    empty = limits.empty_handler(sizes.limit_s, 2, 1)
    yield Figure(
        "placement-from-post",
        f"{hosts}: POST /servers to the decision committed, p50",
        best((run[1] for run in runs), least=True),
        "ms",
        least=True,
        limit=f"empty handler, one connection {empty.p50_ms:.2f} ms",
        note="the POST's own transaction and the task's wake-up included",
    )


def _one_run(cloud: Cloud, sizes: Sizes) -> tuple[float, float]:
    hosts = "/placement/resource_providers"
    cloud.until(lambda: len(cloud.admin.call("GET", hosts)["resource_providers"]) == sizes.hosts)
    with database_of(cloud) as database:
        inside = _decisions_ms(database, sizes.decisions)
    return inside, _from_post_ms(cloud, sizes.decisions)


def _decisions_ms(database: Database, count: int) -> float:
    """The median of decisions in this process, which does nothing else."""
    placement, times = PlacementFacade(), []
    wanted = Wanted({"VCPU": 1, "MEMORY_MB": 64, "DISK_GB": 1})
    for _ in range(count):
        began = time.perf_counter()
        with database.read() as tx:
            views = placement.roomiest(tx, wanted, WEIGHED, ROOMIEST)
        facts = {host.name: HostFacts("nova", up=True, enabled=True) for host in views}
        choice = choose(Snapshot(views), facts, Wish())
        if choice.host is None:
            raise BenchError("no host was chosen")
        times.append(time.perf_counter() - began)
    return median(times) * 1000


def _from_post_ms(cloud: Cloud, count: int) -> float:
    """The median from sending a POST until the database names the host, asked of the file itself: no request of ours
    stands in the way."""
    wanted = wanted_of(cloud, port=False)
    times = []
    file = sqlite3.connect(f"file:{cloud.folder}/gureum.sqlite?mode=ro", uri=True, isolation_level=None)
    try:
        for number in range(count):
            began = time.perf_counter()
            server = cloud.admin.call("POST", SERVERS, wanted.body(f"placed-{number}"))["server"]["id"]
            while not _host(file, server):
                if time.perf_counter() - began > 30:
                    raise BenchError("a server was not placed within 30 s")
                time.sleep(0.0002)
            times.append(time.perf_counter() - began)
            cloud.until(lambda server=server: _active(cloud, server))  # type: ignore[misc]
    finally:
        file.close()
    return median(times) * 1000


def _host(file: sqlite3.Connection, server: str) -> str | None:
    found = file.execute(f"SELECT host FROM {Server.__tablename__} WHERE id = ?", (server,)).fetchone()
    return found[0] if found else None


def _active(cloud: Cloud, server: str) -> bool:
    """Whether the server rests, so that it does not disturb the next one."""
    return bool(cloud.admin.call("GET", f"{SERVERS}/{server}")["server"]["status"] == "ACTIVE")
