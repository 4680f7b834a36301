"""`gureum project leftovers` and `clean`: what deleted projects left behind, and having it deleted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from gureum.cli.tables import print_json, print_table
from gureum.cli.without_engines import without_engines
from gureum.lab.refusal import Refusal

if TYPE_CHECKING:
    from gureum.foundation.leftovers.projects import Leftover


def print_leftovers(file: Path, as_json: bool = False) -> int:
    """Print the deleted projects of which services still hold something."""
    with without_engines(file) as control, control.database.read() as tx:
        found = control.deleted_projects.all(tx)
    if as_json:
        print_json(msgspec.to_builtins(found))
    elif found:
        _print(found)
    else:
        print("No deleted project left anything.")
    return 0


def _print(leftovers: list[Leftover]) -> None:
    from rich import box
    from rich.table import Table

    from gureum.foundation.leftovers.projects import in_words

    table = Table("project", "name", "deleted (UTC)", "left", "", box=box.SIMPLE, pad_edge=False)
    for one in leftovers:
        state = "is being cleaned" if one.cleaning else ""
        table.add_row(one.id, one.name, f"{one.deleted_at:%Y-%m-%d %H:%M:%S}", in_words(one.left), state)
    print_table(table)


def clean(file: Path, project_id: str) -> int:
    """Begin to delete what the project left; workers go on with it."""
    with without_engines(file) as control:
        if not control.database.write(lambda tx: control.deleted_projects.begin_cleaning(tx, project_id)):
            missing = f"There is no deleted project {project_id} of which anything is left."
            raise Refusal(missing, "`gureum project leftovers` shows them.")
    print("The workers delete it: `gureum project leftovers` shows what is still there.")
    return 0
