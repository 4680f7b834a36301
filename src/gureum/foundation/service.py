"""What a service hands to the role that mounts it: routes, rules, lifecycles, reconcilers, and what to start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gureum.foundation.http.routes import Api
from gureum.foundation.policy import Rule
from gureum.foundation.tasks.lifecycle import Lifecycle, Reconciler


@dataclass(frozen=True)
class ServiceParts:
    """`on_start` run once in a process with workers, in order, before requests are answered; `on_stop` in reverse.

    `on_api_start` and `on_api_stop` are the same for a process that answers requests.
    """

    name: str
    apis: tuple[Api, ...] = ()
    rules: tuple[Rule, ...] = ()
    lifecycles: tuple[Lifecycle, ...] = ()
    reconcilers: tuple[Reconciler, ...] = ()
    on_start: tuple[Callable[[], None], ...] = ()
    on_stop: tuple[Callable[[], None], ...] = ()
    on_api_start: tuple[Callable[[], None], ...] = ()
    on_api_stop: tuple[Callable[[], None], ...] = ()
