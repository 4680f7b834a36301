"""The whole control plane in one process: API, workers and, when simulated, the hosts.

`python -m gureum.roles.all_in_one --config FILE`. Writes `run/control.ready` under the state folder once it
answers, and removes it when it stops.
"""

from __future__ import annotations

import argparse
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
        serve(control.app, config.api.host, config.api.port, on_ready=ready.touch)
    finally:
        ready.unlink(missing_ok=True)
        control.stop()
        logging.shutdown()


if __name__ == "__main__":
    main()
