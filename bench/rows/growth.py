"""Servers built beside those that a cloud has: what one costs among many against one among few, and the memory.

All servers come through the API, for the hosts have to hold them: a row without its server on a host is rebuilt.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from bench.cloud import Cloud, resident_mib, simulated_cloud
from bench.figures import Figure
from bench.rows.servers import Wanted, built, wanted_of
from bench.sizes import Sizes

IDLE_S = 6.0
"""Three heartbeats of every host."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A cloud of some size: servers built a second, their processor time, that of an idle second, and memory."""

    rate: float
    cpu_ms: float
    idle_ms: float
    pss_mib: float


def rows(sizes: Sizes) -> Iterator[Figure]:
    """One run, whatever the number of runs: it takes minutes."""
    with simulated_cloud(sizes.hosts) as cloud:
        wanted = wanted_of(cloud)
        few = _stage(cloud, wanted, 0, sizes.few)
        many = _stage(cloud, wanted, sizes.few, sizes.crowd)
    few_shown, many_shown = f"{sizes.few:,}", f"{sizes.crowd:,}"
    yield Figure(
        "growth-cost",
        f"{sizes.hosts:,} simulated hosts: a server to ACTIVE among {many_shown}, cost against {few_shown}",
        many.cpu_ms / few.cpu_ms,
        "x",
        1.15,
        least=True,
        limit="the same among fewer, in the same run; processor time",
        note=f"{many.cpu_ms:.1f} ms CPU each against {few.cpu_ms:.1f}; {many.rate:.0f}/s against {few.rate:.0f}",
    )
    yield Figure(
        "growth-idle",
        f"the same cloud idle with {many_shown} servers: processor time of a second",
        many.idle_ms,
        "ms",
        least=True,
        limit=f"with {few_shown} servers {few.idle_ms:.0f} ms",
    )
    yield Figure(
        "growth-memory",
        f"the same cloud, simulated hosts included: memory (PSS) with {many_shown} servers",
        many.pss_mib,
        "MiB",
        least=True,
        limit=f"with {few_shown} servers {few.pss_mib:.0f} MiB",
    )


def _stage(cloud: Cloud, wanted: Wanted, present: int, total: int) -> Stage:
    """Fill up to `total` servers; the last part is measured."""
    part = max(total // 20, min(total - present, 1_000))
    for start in range(present, total - part, 1_000):
        built(cloud, wanted, range(start, min(start + 1_000, total - part)))
    seconds, cpu = built(cloud, wanted, range(total - part, total))
    return Stage(part / seconds, cpu / part * 1000, _idle_ms(cloud), resident_mib([cloud.process.pid]))


def _idle_ms(cloud: Cloud) -> float:
    """Processor milliseconds of an idle second, once the work before it has come to rest."""
    time.sleep(IDLE_S)
    cpu = cloud.cpu_s()
    time.sleep(IDLE_S)
    return (cloud.cpu_s() - cpu) / IDLE_S * 1000
