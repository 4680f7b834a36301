"""What the control plane's processes begin with: command line, configuration, log, ready file, memory.

A role imports the rest of its modules after `configured`: a mistake in the file is told at once, and nothing looks for
garbage while a thousand modules are imported. `settle_memory` ends that.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gureum.foundation import log
from gureum.foundation.config import ApiConfig, Config, ConfigError, load
from gureum.foundation.connections import raise_open_files
from gureum.foundation.private import own_files_only

if TYPE_CHECKING:
    from gureum.foundation.http.edge import ConnectionLimits

LOOK_S = 1.0
WORK_S = 0.025
"""Processor time between two looks: an idle control plane takes less, the hash of one password more."""


def configured(description: str | None, role: str, *, alone: bool = False) -> Config:
    """The file of `--config`, read, with the log set up. A process that is not `alone` needs what several can share.

    Garbage in cycles is not looked for from here to `settle_memory`: start-up leaves next to none, and the search took
    a tenth of it. Raises SystemExit with a sentence for the operator.
    """
    gc.disable()
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--config", type=Path, required=True, help="a TOML file")
    own_files_only()
    try:
        config = load(parser.parse_args().config)
        if not alone:
            _require_shared(config)
    except ConfigError as error:
        raise SystemExit(str(error)) from error
    log.configure(role, config.path(config.log.file) if config.log.file else None, config.log.level)
    raise_open_files()
    return config


def connection_limits(section: ApiConfig) -> ConnectionLimits:
    """The bounds on open connections. Raises SystemExit with a sentence for the operator."""
    from gureum.foundation.http.edge import ConnectionLimits

    try:
        return ConnectionLimits(section.connections, section.connections_per_address, tuple(section.proxies))
    except ValueError as error:
        raise SystemExit(f"[api] proxies: {error}") from error


@contextmanager
def failures_in_a_sentence() -> Iterator[None]:
    """A database that cannot be used at the start is one sentence for the operator, with the remedy. Raises SystemExit.

    What the driver says names the server's address, never the password.
    """
    from gureum.foundation.db.failures import DatabaseFailure

    try:
        yield
    except DatabaseFailure as failure:
        cause = failure.public.replace(" Try again later.", "")
        raise SystemExit(f"{cause} {failure.internal}: mend that, or correct [database] url") from failure


def ready_file(config: Config, name: str) -> Path:
    """The file that says a process serves, not there yet."""
    ready = config.path(f"run/{name}.ready")
    ready.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    ready.unlink(missing_ok=True)
    return ready


def _require_shared(config: Config) -> None:
    """Raises ConfigError for a database or a bus that only one process can use."""
    if config.database.url.startswith("sqlite"):
        raise ConfigError("[database] url: several processes need postgresql+psycopg://user:password@host/name")
    if config.bus.url == "inprocess:":
        raise ConfigError("[bus] url: several processes need unix:/path (one machine) or amqp://broker (many)")


def settle_memory() -> None:
    """Garbage in cycles is rare here, and looking for it took a tenth of the time of a long list.

    What start-up made lives as long as the process: it is never looked at again. `docs/operate/performance.md`.
    """
    gc.freeze()
    gc.set_threshold(5_000, 10, 10)
    gc.enable()
    give_back()


def give_back() -> None:
    """Memory that start-up took and left goes back to the machine: a quarter of a process that made its database.

    glibc keeps it otherwise; other libraries have no such call.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


class Rest:
    """Gives memory back when work is over: of a password's hash glibc keeps 19 MiB, for each thread that made one.

    Not after each piece of work: taking the memory anew costs a login a third of its time.
    """

    def __init__(
        self, used_s: Callable[[], float] = time.process_time, give_back: Callable[[], None] = give_back
    ) -> None:
        self._used_s, self._give_back = used_s, give_back
        self._last_s = used_s()
        self._worked = False

    def look(self) -> None:
        """To be called every `LOOK_S`."""
        now_s = self._used_s()
        worked, self._last_s = now_s - self._last_s > WORK_S, now_s
        if self._worked and not worked:
            self._give_back()
        self._worked = worked
