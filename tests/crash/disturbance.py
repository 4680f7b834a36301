"""What strikes a life: a worker that dies, or a step that fails, at one point of one step."""

from __future__ import annotations

from gureum.foundation.tasks.hooks import Hooks, WorkerDied

MODES = ("dies_before_step", "dies_before_commit", "dies_after_commit", "fails")


class Disturbance(Hooks):
    """Counts the steps run, and at the `at`-th one does what `mode` says, once; without a mode it only records.

    `steps` are (kind of task, step) in the order they ran; `ended` the numbers of those that came to an outcome: one
    that raises by itself has no commit to die before.
    """

    def __init__(self, mode="", at=-1):
        self.mode, self.at, self.done = mode, at, False
        self.steps, self.ended = [], set()

    def points(self, mode):
        """The numbers of the steps that `mode` can strike."""
        needs_outcome = mode in ("fails", "dies_before_commit")
        return [at for at in range(len(self.steps)) if at in self.ended or not needs_outcome]

    def _strike(self, mode):
        if self.mode == mode and len(self.steps) - 1 == self.at and not self.done:
            self.done = True
            raise RuntimeError("struck by the crash suite") if mode == "fails" else WorkerDied

    def before_step(self, task):
        self.steps.append((task.kind, task.step))
        self._strike("dies_before_step")

    def before_commit(self, task, outcome):
        self.ended.add(len(self.steps) - 1)
        self._strike("fails")
        self._strike("dies_before_commit")

    def after_commit(self, task, outcome):
        self._strike("dies_after_commit")
