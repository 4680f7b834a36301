"""The whole control plane in one process: API, workers and, when simulated, the hosts.

`python -m gureum.roles.all_in_one --config FILE`. Writes `run/control.ready` under the state folder once it
answers, and removes it when it stops.
"""

from __future__ import annotations

import logging

from gureum.roles.entry import configured, connection_limits, failures_in_a_sentence, ready_file, settle_memory


def main() -> None:
    config = configured(__doc__, "control", alone=True)
    from gureum.foundation.http.serve import serve
    from gureum.roles.control import built

    ready = ready_file(config, "control")
    limits = connection_limits(config.api)
    control = built(config, alone=True)
    try:
        with failures_in_a_sentence():
            control.prepare()
        control.start_api()
        control.start_workers()
        settle_memory()
        serve(control.app, config.api.host, config.api.port, on_ready=ready.touch, limits=limits)
    finally:
        ready.unlink(missing_ok=True)
        control.stop()
        logging.shutdown()


if __name__ == "__main__":
    main()
