"""A cloud's services in a command's process: for what counts, asks for work or looks at what they declare."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from gureum.lab.refusal import Refusal
from gureum.lab.state import require_config

if TYPE_CHECKING:
    from gureum.roles.control import Control


class _Unused:
    """In the place of an engine, all of whose parts are none: counting and asking for work need only the database."""

    def __getattr__(self, _name: str) -> None:
        return None


@contextmanager
def without_engines(file: Path) -> Iterator[Control]:
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
