"""Tables and JSON on standard output. A pipe gets whole lines: only a terminal has a width."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # rich costs more time to import than some commands take
    from rich.table import Table

_PIPE_WIDTH = 10_000


def print_table(table: Table) -> None:
    """Wrapped to the terminal's width, or each row on one line."""
    from rich.console import Console

    if sys.stdout.isatty():
        Console().print(table)
        return
    console = Console(width=_PIPE_WIDTH)
    with console.capture() as captured:
        console.print(table)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))


def print_json(value: object) -> None:
    """For programs: one document."""
    print(json.dumps(value, indent=1, ensure_ascii=False))
