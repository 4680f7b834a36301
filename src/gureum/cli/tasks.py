"""`gureum task list`: what waits on what, since when, as the database has it. Reads only."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from gureum.cli.tables import print_json, print_table
from gureum.lab.refusal import Refusal
from gureum.lab.state import require_config

_COLUMNS = ("kind", "resource", "step", "for", "tries", "request", "waits for")


class TaskRow(msgspec.Struct, frozen=True):
    """A task as the list shows it; `for_s` is how long it is in its step."""

    kind: str
    resource: str
    step: str
    for_s: int
    tries: int
    request: str
    waits_for: str


def print_tasks(file: Path, every: bool, as_json: bool = False) -> int:
    """Print the tasks that have something to do or to wait for; with `every`, also those that only wait for a wish."""
    require_config(file)
    tasks = _read(file, every)
    if as_json:
        print_json(msgspec.to_builtins(tasks))
    elif tasks:
        _print(tasks)
    else:
        print("No task works or waits." if not every else "There are no tasks.")
    return 0


def _read(file: Path, every: bool) -> list[TaskRow]:
    from sqlalchemy import select
    from sqlalchemy.exc import SQLAlchemyError

    from gureum.foundation.config import load
    from gureum.foundation.db.engine import Database
    from gureum.foundation.errors import ApiError
    from gureum.foundation.log import Origin
    from gureum.foundation.tasks.model import Task

    busy = select(Task).order_by(Task.since)
    if not every:
        busy = busy.where(~Task.reason.startswith("nothing"))  # what lifecycles say of a resource at rest
    database, now = Database(load(file).database.url), time.time()
    try:
        with database.read() as tx:
            return [
                TaskRow(
                    task.kind, task.resource_id, task.step, int(now - task.since), task.attempts,
                    Origin.of(task.origin).request_id, task.reason,
                )
                for task in tx.scalars(busy)
            ]  # fmt: skip
    except ApiError as error:
        raise Refusal(error.public, "See `gureum status`.") from error
    except SQLAlchemyError as error:
        raise Refusal(f"The database cannot be read: {error.args[0]}.", "See `gureum status`.") from error
    finally:
        database.close()


def _print(tasks: Sequence[TaskRow]) -> None:
    from rich import box
    from rich.table import Table

    table = Table(*_COLUMNS, box=box.SIMPLE, pad_edge=False)
    for task in tasks:
        words = (task.kind, task.resource, task.step, f"{task.for_s} s", str(task.tries), task.request, task.waits_for)
        table.add_row(*words)
    print_table(table)
