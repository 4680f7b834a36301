"""`gureum event list`, `replay`, `skip` and `forget`: where durable subscribers of events stand, and moving them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from gureum.cli.tables import print_json, print_table
from gureum.cli.without_engines import without_engines
from gureum.lab.refusal import Refusal
from gureum.lab.state import require_config

if TYPE_CHECKING:
    from gureum.foundation.db.engine import Database, Tx
    from gureum.foundation.events.positions import SubscriberState

_COLUMNS = ("subscriber", "waiting", "next event", "since (UTC)", "tries", "problem")


def print_subscribers(file: Path, as_json: bool = False) -> int:
    """Print where each durable subscriber stands."""
    from gureum.foundation.events.positions import states

    with _database(file) as database, database.read() as tx:
        found = states(tx)
    if as_json:
        print_json(msgspec.to_builtins(found))
    elif found:
        _print(found)
    else:
        print("Nothing reads events.")
    return 0


def _print(states: list[SubscriberState]) -> None:
    from rich import box
    from rich.table import Table

    table = Table(*_COLUMNS, box=box.SIMPLE, pad_edge=False)
    for one in states:
        since = f"{one.since:%Y-%m-%d %H:%M:%S}" if one.since else ""
        following = "" if one.next is None else str(one.next)
        table.add_row(one.name, str(one.waiting), following, since, str(one.attempts or ""), one.problem)
    print_table(table)


def replay(file: Path, name: str, number: int) -> int:
    """Have the subscriber go on with the event of this number."""
    from gureum.foundation.events import positions

    return _move(file, name, lambda tx: positions.replay(tx, name, number))


def skip(file: Path, name: str) -> int:
    """Have the subscriber pass the event that it cannot handle."""
    from gureum.foundation.events import positions

    with _database(file) as database:
        number = database.write(lambda tx: positions.skip(tx, name))
    if number is None:
        raise Refusal(f"No event fails at a subscriber {name}.", "`gureum event list` shows which events fail.")
    print(f"{name} goes on after the event {number}, which it has not handled.")
    return 0


def forget(file: Path, name: str) -> int:
    """Keep no events for the subscriber any more. Raises Refusal for one of a service that the cloud carries."""
    from gureum.foundation.events import positions

    with without_engines(file) as control:
        if name in control.events.durable:
            alive = f"{name} belongs to a service that this cloud carries: forgotten, it would read every event again."
            raise Refusal(alive, "`gureum event skip` passes an event that fails.")
    return _move(file, name, lambda tx: positions.forget(tx, name))


def _move(file: Path, name: str, work: Callable[[Tx], bool]) -> int:
    with _database(file) as database:
        if not database.write(work):
            raise Refusal(f"There is no subscriber {name}.", "`gureum event list` shows them.")
    return 0


@contextmanager
def _database(file: Path) -> Iterator[Database]:
    """The cloud's database. Raises Refusal."""
    from sqlalchemy.exc import SQLAlchemyError

    from gureum.foundation.config import load
    from gureum.foundation.db.engine import Database
    from gureum.foundation.errors import ApiError

    require_config(file)
    config = load(file)
    database = Database(config.absolute(config.database.url))
    try:
        yield database
    except ApiError as error:
        raise Refusal(error.public, "See `gureum status`.") from error
    except SQLAlchemyError as error:
        raise Refusal(f"The database cannot be read: {error.args[0]}.", "See `gureum status`.") from error
    finally:
        database.close()
