"""`gureum host list`: the agents of every host, as the directory has them. Reads only."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from gureum.cli.tables import print_json, print_table
from gureum.lab.refusal import Refusal
from gureum.lab.state import require_config

if TYPE_CHECKING:
    from gureum.foundation.fleet.directory import Entry

_COLUMNS = ("host", "agent", "protocol", "address", "runs for", "heard")


def print_hosts(file: Path, as_json: bool = False) -> int:
    """Print every agent that was heard in the last days."""
    require_config(file)
    entries = _read(file)
    if as_json:
        print_json(msgspec.to_builtins(entries))
    elif entries:
        _print(entries, time.time())
    else:
        print("No host was heard yet.")
    return 0


def _read(file: Path) -> list[Entry]:
    from sqlalchemy.exc import SQLAlchemyError

    from gureum.foundation.config import load
    from gureum.foundation.db.engine import Database
    from gureum.foundation.errors import ApiError
    from gureum.foundation.fleet.directory import directory

    database = Database(load(file).database.url)
    try:
        with database.read() as tx:
            return directory(tx)
    except ApiError as error:
        raise Refusal(error.public, "See `gureum status`.") from error
    except SQLAlchemyError as error:
        raise Refusal(f"The database cannot be read: {error.args[0]}.", "See `gureum status`.") from error
    finally:
        database.close()


def _print(entries: Sequence[Entry], now: float) -> None:
    from rich import box
    from rich.table import Table

    table = Table(*_COLUMNS, box=box.SIMPLE, pad_edge=False)
    for entry in entries:
        runs = span(now - entry.started_at) if entry.started_at else "?"
        heard = f"{span(now - entry.seen_at)} ago"
        table.add_row(entry.host, entry.kind, str(entry.version), entry.address, runs, heard)
    print_table(table)


def span(seconds: float) -> str:
    """Such as `4 s`, `12 min`, `3 h`, `2 d`."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return f"{max(0, int(seconds))} s"
