"""Ports made one a request."""

from __future__ import annotations

from collections.abc import Iterator

from bench import limits
from bench.client import steady
from bench.cloud import Cloud
from bench.figures import Figure


def rows(cloud: Cloud, runs: int) -> Iterator[Figure]:
    cloud.no_quotas()
    request = cloud.admin.request("POST", "/network/v2.0/ports", {"port": {"network_id": cloud.network()}})
    rates = []
    for _ in range(runs):
        cpu, before = cloud.cpu_s(), cloud.metric("gureum_http_requests")
        rates.append(steady(cloud.port, request).per_s)
        each = (cloud.cpu_s() - cpu) / (cloud.metric("gureum_http_requests") - before) * 1000
    limit = f"commits of one row alone {limits.row_inserts():,.0f}/s"
    yield Figure("POST /ports, 8 connections", max(rates), "/s", 400, limit=limit, note=f"{each:.1f} ms CPU each")
