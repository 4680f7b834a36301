"""Reads of servers: one, a page among a thousand, the same page among a hundred thousand."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from bench import limits
from bench.client import Request
from bench.cloud import Cloud, Load, on_fresh_clouds
from bench.figures import Figure
from bench.rows.multiply import multiply_servers
from bench.rows.servers import SERVERS, active_server, wanted_of
from bench.sizes import Sizes


@dataclass(frozen=True, slots=True)
class Reads:
    """One run. `alone` and `crowded` are the page at one connection, with few and with many servers in the database."""

    one: Load
    page: Load
    alone: Load
    crowded: Load
    page_bytes: int


def rows(sizes: Sizes) -> Iterator[Figure]:
    runs = on_fresh_clouds(sizes, lambda cloud: _one_run(cloud, sizes))
    one = max((run.one for run in runs), key=lambda load: load.rate.per_s)
    page = max((run.page for run in runs), key=lambda load: load.rate.per_s)
    alone = min((run.alone for run in runs), key=lambda load: load.rate.p50_ms)
    crowded = min((run.crowded for run in runs), key=lambda load: load.rate.p50_ms)
    size = runs[0].page_bytes
    yield Figure(
        "server-show",
        "GET /servers/{id}, 8 connections",
        one.rate.per_s,
        "/s",
        1500,
        limit=limits.empty_note(sizes.limit_s),
        note=one.note(),
        upstream="39.5/s",
    )
    yield Figure(
        "servers-page",
        f"page of 100 of {sizes.listed:,} servers, 8 connections",
        page.rate.per_s,
        "/s",
        60,
        limit=limits.canned_note(sizes.limit_s, size),
        note=page.note(),
        upstream="8.5/s for a page of 50",
    )
    prepared = limits.empty_handler(sizes.limit_s, size, 1)
    yield Figure(
        "servers-page-p50",
        "the same page, one connection, p50",
        alone.rate.p50_ms,
        "ms",
        20,
        least=True,
        limit=f"the same {size / 1024:,.0f} KiB, prepared, {prepared.p50_ms:.1f} ms",
        note=alone.note(),
    )
    yield Figure(
        "servers-page-crowded",
        f"the same page with {sizes.many:,} servers: cost against {sizes.listed:,}",
        min(run.crowded.cpu_ms for run in runs) / min(run.alone.cpu_ms for run in runs),
        "x",
        1.5,
        least=True,
        limit="the page among fewer, in the same run",
        note=f"processor time; by the clock {crowded.rate.p50_ms / alone.rate.p50_ms:.2f} x, p50 {crowded.rate.p50_ms:.1f} ms",
    )


def _one_run(cloud: Cloud, sizes: Sizes) -> Reads:
    server = active_server(cloud, wanted_of(cloud), "original")
    multiply_servers(cloud, server, sizes.listed)
    until_quiet(cloud)
    one = cloud.admin.request("GET", f"{SERVERS}/{server}")
    page = cloud.admin.request("GET", f"{SERVERS}/detail?limit=100")
    shown, listed = cloud.steady(one, seconds=sizes.seconds), cloud.steady(page, seconds=sizes.seconds)
    alone = _alone(cloud, page, sizes)
    multiply_servers(cloud, server, sizes.many)
    until_quiet(cloud)
    return Reads(shown, listed, alone, _alone(cloud, page, sizes), len(cloud.admin.send(page)[2]))


def _alone(cloud: Cloud, page: Request, sizes: Sizes) -> Load:
    return cloud.steady(page, seconds=sizes.seconds, connections=1)


def until_quiet(cloud: Cloud) -> None:
    """Wait until the cloud has taken in what was written behind its back: one whose rows came by its API has no such
    backlog."""

    def quiet() -> bool:
        before = cloud.cpu_s()
        time.sleep(1)
        return cloud.cpu_s() - before < 0.15

    cloud.until(quiet, timeout_s=300)
