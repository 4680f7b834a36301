"""A worker of this version that knows one more kind of task, and asks for such tasks all the time.

    python -m tests.system.worker_with_new_kind --config FILE

Stands for the next version in `test_mixed_versions.py`. Half of the wake-ups reach the other worker, which does not know
the kind. Writes `probes.json` under the state folder: how long each task took from its creation to its end, in seconds.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time

from gureum.foundation import ids
from gureum.foundation.tasks.lifecycle import Done, Lifecycle
from gureum.foundation.tasks.steps import step, steps_of
from gureum.foundation.tasks.store import Tasks
from gureum.foundation.tasks.wakes import Wakes
from gureum.roles.control import built
from gureum.roles.entry import configured, ready_file

KIND = "probe"
EVERY_S = 0.1


class Probes:
    def __init__(self):
        self.seconds = []

    def lifecycle(self):
        return Lifecycle(KIND, steps_of(self), failed=self.end)

    @step(ending=True)
    def end(self, run):
        self.seconds.append(round(time.time() - run.data["begun"], 3))
        return Done()


def main():
    config = configured(__doc__, "worker")
    ready = ready_file(config, f"worker-{os.getpid()}")
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    control, probes = built(config, alone=False), Probes()
    control.engine.register([probes.lifecycle()])
    control.prepare()
    control.start_workers()
    wakes = Wakes(control.bus)
    elsewhere = Tasks(announce=wakes.tell)
    ready.touch()
    while not stopping.wait(EVERY_S):
        begun = {"begun": time.time()}
        control.database.write(lambda tx, data=begun: elsewhere.create(tx, KIND, ids.new_uuid(), Probes.end, data))
    wakes.stop()
    time.sleep(2 * config.tasks.poll_s)
    config.path("probes.json").write_text(json.dumps(probes.seconds))
    ready.unlink(missing_ok=True)
    control.stop()


if __name__ == "__main__":
    main()
