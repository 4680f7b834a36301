"""A simulated cloud whose worker may die, on a copy of a folder that was prepared once."""

from __future__ import annotations

from tests.api.client import Client

from gureum.foundation.tasks.hooks import WorkerDied

ROUND_S = 31
"""Longer than a lease and than any pause before a step is tried again: what does not run after it waits for somebody."""
MOST_ROUNDS = 6


class CloudLife:
    """`cloud` runs undisturbed until `disturb`; `settle` runs it until rest, however often its worker dies.
    `headers` carry the token that the prepared cloud gave.

    The worker that takes over is a new control plane on the same state, which `client` asks then; the hosts live on.
    """

    def __init__(self, cloud, moving, hooks, headers):
        self.cloud, self.clock, self.hooks = cloud, moving, hooks
        self.client = Client(cloud.control.app, headers)

    def disturb(self):
        self.cloud.control.engine.hooks = self.hooks

    def settle(self):
        """When the worker dies, another process takes over after the lease has run out."""
        for _ in range(MOST_ROUNDS):
            before = len(self.hooks.steps)
            try:
                self.cloud.settle()
            except WorkerDied:
                self.cloud.restart()
                self.client = Client(self.cloud.control.app, self.client.headers)
                self.disturb()
            self.clock.advance(ROUND_S)
            self.cloud.beat()
            self.between()
            if len(self.hooks.steps) == before:
                return

    def between(self):
        """What a reconciler would do now and then."""

    def close(self):
        self.cloud.close()
