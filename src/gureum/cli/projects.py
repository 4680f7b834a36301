"""`gureum project leftovers` and `clean`: what deleted projects left behind, and having it deleted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from gureum.cli.tables import print_json, print_table
from gureum.lab.refusal import Refusal
from gureum.lab.state import require_config

if TYPE_CHECKING:
    from gureum.foundation.leftovers.projects import Leftover
    from gureum.roles.control import Control


def print_leftovers(file: Path, as_json: bool = False) -> int:
    """Print the deleted projects of which services still hold something."""
    with _control(file) as control, control.database.read() as tx:
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
    with _control(file) as control:
        if not control.database.write(lambda tx: control.deleted_projects.begin_cleaning(tx, project_id)):
            missing = f"There is no deleted project {project_id} of which anything is left."
            raise Refusal(missing, "`gureum project leftovers` shows them.")
    print("The workers delete it: `gureum project leftovers` shows what is still there.")
    return 0


class _Unused:
    """In the place of an engine, all of whose parts are none: counting and asking for work need only the database."""

    def __getattr__(self, _name: str) -> None:
        return None


@contextmanager
def _control(file: Path) -> Iterator[Control]:
    """The services over the cloud's database; nothing of them runs, and no engine is touched. Raises Refusal."""
    from sqlalchemy.exc import SQLAlchemyError

    from gureum.foundation.config import BusConfig, ConfigError
    from gureum.foundation.errors import ApiError
    from gureum.roles.assembly import CATALOGUE, read_config
    from gureum.roles.control import build

    require_config(file)
    try:
        config = read_config(file)
        unused = {interface: _Unused() for one in CATALOGUE.enabled(config.services) for interface in one.drivers}
        control = build(msgspec.structs.replace(config, bus=BusConfig()), overrides=unused)
    except ConfigError as error:
        raise Refusal(str(error), "Correct the file.") from error
    control.tasks.run_elsewhere(lambda _task_id: None)  # the workers look by themselves
    try:
        yield control
    except ApiError as error:
        raise Refusal(error.public, "See `gureum status`.") from error
    except SQLAlchemyError as error:
        raise Refusal(f"The database cannot be read: {error.args[0]}.", "See `gureum status`.") from error
    finally:
        control.close()
