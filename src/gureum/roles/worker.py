"""A process that runs tasks and answers no requests: `python -m gureum.roles.worker --config FILE`.

As many as are wanted, on any machine: leases in the database decide who runs a task, a reconciler and the network
writer. Writes `run/worker-PID.ready` under the state folder while it works. SIGTERM ends it after the steps under way;
kill -9 costs nothing but their repetition. With `[worker] port` it tells its health and its counts (`watched.py`).
"""

from __future__ import annotations

import logging
import os
import signal
import threading

from gureum.foundation.config import ConfigError
from gureum.roles.entry import configured, failures_in_a_sentence, ready_file, settle_memory


def main() -> None:
    config = configured(__doc__, "worker")
    from gureum.roles.control import built
    from gureum.roles.health import measured
    from gureum.roles.watched import Health, watched

    ready = ready_file(config, f"worker-{os.getpid()}")
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    control = built(config, alone=False)
    try:
        with failures_in_a_sentence():
            control.prepare()
        control.start_workers()
        health = Health({"database": control.database.answers, "bus": control.bus.connected})
        with watched(config.worker, health, lambda: measured(control.database, control.metrics)):
            settle_memory()
            ready.touch()
            stopping.wait()
    except ConfigError as error:
        raise SystemExit(str(error)) from error
    finally:
        ready.unlink(missing_ok=True)
        control.stop()
        logging.shutdown()


if __name__ == "__main__":
    main()
