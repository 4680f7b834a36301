"""`gureum task list`: what waits on what, since when, as the database has it. Reads only."""

from __future__ import annotations

import time

from gureum.lab.refusal import Refusal
from gureum.lab.state import StateFolder

_COLUMNS = ("kind", "resource", "step", "for", "tries", "request", "waits for")


def print_tasks(state: StateFolder, every: bool) -> int:
    """Print the tasks that have something to do or to wait for; with `every`, also those that only wait for a wish."""
    if not state.config.exists():
        raise Refusal(f"There is no cloud in {state.root}.", "`gureum up` starts one.")
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from sqlalchemy import select
    from sqlalchemy.exc import SQLAlchemyError

    from gureum.foundation.config import load
    from gureum.foundation.db.engine import Database
    from gureum.foundation.log import Origin
    from gureum.foundation.tasks.model import Task

    database = Database(load(state.config).database.url)
    busy = select(Task).order_by(Task.since)
    if not every:
        busy = busy.where(~Task.reason.startswith("nothing"))  # what lifecycles say of a resource at rest
    table = Table(*_COLUMNS, box=box.SIMPLE, pad_edge=False)
    try:
        with database.read() as tx:
            for task in tx.scalars(busy):
                waited = f"{time.time() - task.since:.0f} s"
                request_id = Origin.of(task.origin).request_id
                words = (task.kind, task.resource_id, task.step, waited, str(task.attempts), request_id)
                table.add_row(*words, task.reason)
    except SQLAlchemyError as error:
        raise Refusal(f"The database cannot be read: {error.args[0]}.", "See `gureum status`.") from error
    finally:
        database.close()
    if table.row_count:
        Console().print(table)
    else:
        print("No task works or waits." if not every else "There are no tasks.")
    return 0
