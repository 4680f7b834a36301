"""The mode of a public cloud: PostgreSQL and a broker, one API process and one worker, and four of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench import limits
from bench.client import Request
from bench.cloud import Load
from bench.distributed import DistributedCloud, distributed_cloud, missing
from bench.figures import Figure, Row, Skipped, words
from bench.rows.servers import SERVERS, Flow, active_server, flow_of, wanted_of
from bench.sizes import Sizes

REACH = {"show": 2000, "port": 2000, "create": 300, "boots": 80}


@dataclass(frozen=True, slots=True)
class Served:
    """One run."""

    show: Load
    port: Load
    create: Load
    flow: Flow
    bus: str


def rows(sizes: Sizes) -> Iterator[Row]:
    if reason := missing():
        yield Skipped("postgresql", "the rows of PostgreSQL", reason)
        return
    limit = f"psycopg alone, one row by key, 8 threads {limits.postgresql_reads(sizes.limit_s):,.0f}/s"
    commits = f"psycopg alone, a commit of one row, 8 threads {limits.postgresql_commits(sizes.limit_s):,.0f}/s"
    for count in (1, 4):
        runs = [_one_run(count, sizes) for _ in range(sizes.runs)]
        where = f"PostgreSQL, {runs[0].bus}, {count} API and {count} worker"
        reach = REACH if count == 1 else {}
        show = max((run.show for run in runs), key=lambda load: load.rate.per_s)
        port = max((run.port for run in runs), key=lambda load: load.rate.per_s)
        create = max((run.create for run in runs), key=lambda load: load.rate.per_s)
        flow = max((run.flow for run in runs), key=lambda one: one.up_s)
        for key, name, load, bound in (
            ("show", "GET /servers/{id}", show, limit),
            ("port", "GET /ports/{id}", port, limit),
            ("create", "POST /ports", create, commits),
        ):
            named = f"{where}: {name}, 8 connections"
            yield Figure(
                f"pg{count}-{key}", named, load.rate.per_s, "/s", reach.get(key), limit=bound, note=load.note()
            )
        note = words(f"{flow.up_cpu_ms:.1f} ms CPU each", f"deleted {flow.gone_s:.0f}/s")
        named = f"{where}: {sizes.servers} servers with a port to ACTIVE"
        yield Figure(f"pg{count}-boots", named, flow.up_s, "/s", reach.get("boots"), limit=commits, note=note)


def _one_run(count: int, sizes: Sizes) -> Served:
    with distributed_cloud(count, count) as cloud:
        wanted = wanted_of(cloud)
        server = active_server(cloud, wanted, "original")
        show = cloud.steady(cloud.admin.request("GET", f"{SERVERS}/{server}"), seconds=sizes.seconds)
        port = cloud.steady(_port(cloud, server), seconds=sizes.seconds)
        flow = flow_of(cloud, wanted, sizes.servers)
        body = {"port": {"network_id": wanted.network}}
        create = cloud.steady(cloud.admin.request("POST", "/network/v2.0/ports", body), seconds=sizes.seconds)
        return Served(show, port, create, flow, cloud.bus)


def _port(cloud: DistributedCloud, server: str) -> Request:
    (port,) = cloud.admin.call("GET", f"/network/v2.0/ports?device_id={server}")["ports"]
    return cloud.admin.request("GET", f"/network/v2.0/ports/{port['id']}")
