"""`gureum task list`: what waits on what, since when, as the database has it."""

from __future__ import annotations

from gureum.lab.refusal import Refusal
from gureum.lab.state import StateFolder


def print_tasks(state: StateFolder, every: bool) -> int:
    """The composition root knows the tables; this only calls it."""
    if not state.config.exists():
        raise Refusal(f"There is no cloud in {state.root}.", "`gureum up` starts one.")
    from gureum.roles.inspect import print_tasks as print_them

    return int(print_them(state.config, every))
