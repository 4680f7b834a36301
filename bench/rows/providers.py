"""Allocation candidates among 10,000 providers with 100,000 allocations, written into the tables by the bench."""

from __future__ import annotations

from collections.abc import Iterator

from bench import limits
from bench.cloud import Cloud, Load, on_fresh_clouds
from bench.figures import Figure
from bench.rows.multiply import add, database_of
from bench.sizes import Sizes
from gureum.foundation import clock, ids
from gureum.services.placement.model import Allocation, Consumer, Provider, ProviderInventory

CONSUMERS_EACH = 10
HELD = {"VCPU": 1, "MEMORY_MB": 512, "DISK_GB": 4}
OFFERED = {"VCPU": 64, "MEMORY_MB": 262_144, "DISK_GB": 4_096}
CANDIDATES = "/placement/allocation_candidates?resources=VCPU:1,MEMORY_MB:512,DISK_GB:1&limit=1000"


def rows(sizes: Sizes) -> Iterator[Figure]:
    runs = on_fresh_clouds(sizes, lambda cloud: _one_run(cloud, sizes), hosts=1)
    found, size = min(runs, key=lambda run: run[0].rate.p50_ms)
    held = sizes.providers * CONSUMERS_EACH
    prepared = limits.empty_handler(sizes.limit_s, size, 1)
    yield Figure(
        "candidates",
        f"{sizes.providers:,} providers, {held:,} consumers: 1,000 candidates, p50",
        found.rate.p50_ms,
        "ms",
        50,
        least=True,
        limit=f"the same {size / 1024:,.0f} KiB, prepared, {prepared.p50_ms:.1f} ms",
        note=found.note(),
    )


def _one_run(cloud: Cloud, sizes: Sizes) -> tuple[Load, int]:
    _fill(cloud, sizes.providers)
    request = cloud.admin.request("GET", CANDIDATES)
    request.headers["OpenStack-API-Version"] = "placement 1.39"
    load = cloud.steady(request, seconds=sizes.seconds, connections=1)
    return load, len(cloud.admin.send(request)[2])


def _fill(cloud: Cloud, providers: int) -> None:
    """Providers with three classes each, and consumers that hold a little of every class."""
    names = [ids.new_uuid() for _ in range(providers)]
    consumers = [(ids.new_uuid(), provider) for provider in names for _ in range(CONSUMERS_EACH)]
    with database_of(cloud) as database:
        made = ({"id": one, "name": f"bench-{one}", "root_id": one, "generation": 1} | _moments() for one in names)
        add(database, Provider, made)
        add(database, ProviderInventory, (_inventory(one, kind) for one in names for kind in OFFERED))
        add(
            database,
            Consumer,
            ({"id": one, "project_id": "bench", "user_id": "bench", "generation": 1} for one, _ in consumers),
        )
        add(
            database,
            Allocation,
            (
                {"consumer_id": one, "provider_id": provider, "resource_class": kind, "used": used}
                for one, provider in consumers
                for kind, used in HELD.items()
            ),
        )


def _moments() -> dict[str, object]:
    return {"created_at": clock.utcnow(), "updated_at": clock.utcnow()}


def _inventory(provider: str, kind: str) -> dict[str, object]:
    return {
        "provider_id": provider,
        "resource_class": kind,
        "total": OFFERED[kind],
        "reserved": 0,
        "min_unit": 1,
        "max_unit": OFFERED[kind],
        "step_size": 1,
        "allocation_ratio": 1.0,
        "used": HELD[kind] * CONSUMERS_EACH,
    }
