"""Ports made one a request."""

from __future__ import annotations

from collections.abc import Iterator

from bench import limits
from bench.cloud import Cloud, Load, on_fresh_clouds
from bench.figures import Figure
from bench.sizes import Sizes


def rows(sizes: Sizes) -> Iterator[Figure]:
    runs = on_fresh_clouds(sizes, lambda cloud: _one_run(cloud, sizes))
    found = max(runs, key=lambda load: load.rate.per_s)
    yield Figure(
        "port-create",
        "POST /ports, 8 connections",
        found.rate.per_s,
        "/s",
        400,
        limit=f"commits of one row alone {limits.row_inserts(sizes.limit_s):,.0f}/s",
        note=found.note(),
        upstream="25.7/s",
    )


def _one_run(cloud: Cloud, sizes: Sizes) -> Load:
    cloud.no_quotas()
    request = cloud.admin.request("POST", "/network/v2.0/ports", {"port": {"network_id": cloud.network()}})
    return cloud.steady(request, seconds=sizes.seconds)
