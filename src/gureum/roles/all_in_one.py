"""The whole control plane in one process: API, workers and, when simulated, the hosts.

`python -m gureum.roles.all_in_one --config FILE`. Writes `run/control.ready` under the state folder once it
answers, a line for each API with its type and path, and removes it when it stops.
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

    def tell() -> None:
        """At once, so that whoever waits for the file never reads half of it."""
        whole = ready.with_suffix(".new")
        whole.write_text(control.endpoints())
        whole.replace(ready)

    try:
        with failures_in_a_sentence():
            control.prepare()
        control.start_api()
        control.start_workers()
        settle_memory()
        serve(
            control.app,
            config.api.host,
            config.api.port,
            on_ready=tell,
            limits=limits,
        )
    finally:
        ready.unlink(missing_ok=True)
        control.stop()
        logging.shutdown()


if __name__ == "__main__":
    main()
