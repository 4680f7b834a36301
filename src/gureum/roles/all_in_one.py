"""The whole control plane in one process: API, workers and, when simulated, the hosts.

`python -m gureum.roles.all_in_one --config FILE`. Writes `run/control.ready` under the state folder once it
answers, and removes it when it stops.
"""

from __future__ import annotations

import argparse
import gc
import logging
from pathlib import Path

from gureum.foundation import log
from gureum.foundation.config import load
from gureum.foundation.http.serve import serve
from gureum.roles.control import build


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    config = load(parser.parse_args().config)
    log.configure("control", config.path(config.log.file) if config.log.file else None, config.log.level)
    ready = config.path("run/control.ready")
    ready.parent.mkdir(parents=True, exist_ok=True)
    ready.unlink(missing_ok=True)
    control = build(config)
    try:
        control.prepare()
        control.start_api()
        control.start_workers()
        _collect_rarely()
        serve(control.app, config.api.host, config.api.port, on_ready=ready.touch)
    finally:
        ready.unlink(missing_ok=True)
        control.stop()
        logging.shutdown()


def _collect_rarely() -> None:
    """Garbage in cycles is rare here, and looking for it took a tenth of the time of a long list.

    What start-up made lives as long as the process: it is never looked at again. `docs/operate/performance.md`.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


if __name__ == "__main__":
    main()
