"""What each service costs a process, measured by importing them one after the other: `python -m gureum.roles.costs`.

Prints a JSON object: service -> {"import_ms", "memory_kib", "needs"}. What a service shares with one before it counts
there; the order is that of the catalogue.
"""

from __future__ import annotations

import json
import time
from pathlib import Path


def resident_kib() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def main() -> None:
    from gureum.roles.assembly import CATALOGUE

    costs: dict[str, dict[str, object]] = {}
    for name in CATALOGUE.packages:
        began, before = time.perf_counter(), resident_kib()
        service = CATALOGUE.service(name)
        costs[name] = {
            "import_ms": round((time.perf_counter() - began) * 1000),
            "memory_kib": resident_kib() - before,
            "needs": sorted(CATALOGUE.offering(need) for need in service.needs),
        }
    print(json.dumps(costs))  # noqa: T201 - its answer


if __name__ == "__main__":
    main()
