"""A process that answers requests and runs no tasks: `python -m gureum.roles.api --config FILE`.

As many as are wanted, on any machine; those of one machine may share a port. What a request starts is run by workers
(`worker.py`), which are woken over the bus. Writes `run/api-PID.ready` under the state folder while it answers.
"""

from __future__ import annotations

import logging
import os

from gureum.roles.entry import configured, connection_limits, failures_in_a_sentence, ready_file, settle_memory


def main() -> None:
    config = configured(__doc__, "api")
    from gureum.foundation.http.serve import serve
    from gureum.roles.control import built

    ready = ready_file(config, f"api-{os.getpid()}")
    limits = connection_limits(config.api)
    control = built(config, alone=False)
    try:
        with failures_in_a_sentence():
            control.prepare()
        control.start_api(workers=False)
        settle_memory()
        serve(control.app, config.api.host, config.api.port, on_ready=ready.touch, shared=True, limits=limits)
    finally:
        ready.unlink(missing_ok=True)
        control.stop()
        logging.shutdown()


if __name__ == "__main__":
    main()
