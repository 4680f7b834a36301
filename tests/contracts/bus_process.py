"""A process for the bus's tests: `python -m tests.contracts.bus_process URL ROLE NAME` serves NAME until it is ended.

It answers `echo`, `pid`, `sleep` (seconds in the payload) and `modules` (which of the client libraries it has loaded), and prints
`ready` when it serves.
"""

from __future__ import annotations

import os
import sys
import threading
import time

from gureum.foundation.bus.open import open_bus


def handle(method: str, payload: bytes) -> bytes:
    if method == "pid":
        return str(os.getpid()).encode()
    if method == "sleep":
        time.sleep(float(payload))
    if method == "modules":
        return " ".join(sorted({"kombu", "amqp", "asyncio", "multiprocessing"} & set(sys.modules))).encode()
    return payload


def main() -> None:
    url, role, name = sys.argv[1:4]
    bus = open_bus(url, role="control" if role == "control" else "agent")
    bus.serve(name, handle)
    print("ready", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
