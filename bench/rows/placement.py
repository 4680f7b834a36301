"""The placement decision with 1,000 hosts: the candidates query and the choice, as the server's task makes them."""

from __future__ import annotations

import time
from collections.abc import Iterator

from bench import limits
from bench.client import steady
from bench.cloud import simulated_cloud
from bench.figures import Figure
from gureum.foundation.db.engine import Database
from gureum.services.compute.servers.rules import HostFacts, Wish, choose
from gureum.services.placement.facade import PlacementFacade, Wanted

HOSTS = 1_000


def rows(runs: int) -> Iterator[Figure]:
    with simulated_cloud(HOSTS) as cloud:
        hosts = "/placement/resource_providers"
        cloud.until(lambda: len(cloud.admin.call("GET", hosts)["resource_providers"]) == HOSTS)
        database = Database(f"sqlite:///{cloud.folder}/gureum.sqlite")
        p50 = min(_decision_ms(database) for _ in range(runs))
        database.close()
        note = f"an empty handler takes {8000 / limits.empty_handler():.2f} ms"
        yield Figure("1,000 hosts: placement decision, p50", p50, "ms", 10, least=True, limit=note)
        asked = "/placement/allocation_candidates?resources=VCPU:1,MEMORY_MB:64,DISK_GB:1&limit=10"
        cloud.admin.headers["OpenStack-API-Version"] = "placement 1.39"
        request = cloud.admin.request("GET", asked)
        outside = min(steady(cloud.port, request, connections=1, seconds=3).p50_ms for _ in range(runs))
        yield Figure("1,000 hosts: GET /allocation_candidates limit 10, p50", outside, "ms")


def _decision_ms(database: Database) -> float:
    """The median of 100 decisions in a process that only decides."""
    placement, times = PlacementFacade(), []
    wanted = Wanted({"VCPU": 1, "MEMORY_MB": 64, "DISK_GB": 1})
    for _ in range(100):
        began = time.perf_counter()
        with database.read() as tx:
            snapshot = placement.candidates(tx, wanted)
        facts = {host.name: HostFacts("nova", True, True) for host in snapshot.hosts}
        choice = choose(snapshot, facts, Wish())
        if choice.host is None:
            raise RuntimeError("no host was chosen")
        times.append(time.perf_counter() - began)
    return sorted(times)[50] * 1000
