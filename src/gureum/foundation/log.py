"""One line format for every process and agent, with the request id, user and project of the work at hand.

A line reads: time, level, process role, logger, request id, user, project, message, key=value pairs. What took time
ends in `took=12.345ms`; `gureum trace` puts such a line where the work began. The context variables are set at the edge
(HTTP, bus, task step) and follow the work through threads that the foundation starts. Secrets never reach a line:
they pass `redact.py`.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from gureum.foundation import ids
from gureum.foundation.private import make_private
from gureum.foundation.redact import redact

request_id: ContextVar[str] = ContextVar("request_id", default="-")
user_id: ContextVar[str] = ContextVar("user_id", default="-")
project_id: ContextVar[str] = ContextVar("project_id", default="-")


class Origin(NamedTuple):
    """Whose work it is: what every line of it carries. As text, the three words in this order."""

    request_id: str = "-"
    user_id: str = "-"
    project_id: str = "-"

    def __str__(self) -> str:
        return " ".join(self)

    @classmethod
    def of(cls, text: str) -> Origin:
        """The origin that `str` made this text of."""
        return cls(*text.split(" "))


NOBODY = Origin()
"""The cloud's own work, which no request asked for."""


def origin() -> Origin:
    """Whose work this thread does."""
    return Origin(request_id.get(), user_id.get(), project_id.get())


def work_for(whose: Origin) -> None:
    """From now on, this thread's lines are `whose`."""
    request_id.set(whose.request_id)
    user_id.set(whose.user_id)
    project_id.set(whose.project_id)


@contextmanager
def own_story() -> Iterator[None]:
    """Work that the cloud begins by itself gets a request id of its own, so that it can be traced too."""
    before = origin()
    work_for(Origin(ids.new_request_id()))
    try:
        yield
    finally:
        work_for(before)


def took(seconds: float) -> str:
    """How long something took, as the end of its line."""
    return f"took={seconds * 1000:.3f}ms"


def one_line(text: str) -> str:
    """Control characters as escapes: what a client sends must not begin a line of its own."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


@lru_cache(maxsize=4)
def _second(moment: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment))


class LineFormatter(logging.Formatter):
    """`2026-01-31T12:00:00.123456Z INFO api gureum.http req-... user project message`."""

    def __init__(self, role: str) -> None:
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        stamp = f"{_second(int(record.created))}.{int(record.created % 1 * 1_000_000):06d}Z"
        head = f"{stamp} {record.levelname} {self._role} {record.name}"
        line = f"{head} {request_id.get()} {user_id.get()} {project_id.get()} {one_line(redact(record.getMessage()))}"
        if record.exc_info:
            line += "\n" + redact(self.formatException(record.exc_info))
        return line


def configure(role: str, file: Path | None = None, level: str = "INFO") -> None:
    """Send every logger's lines to `file`, or to standard error."""
    if file:
        make_private(file)
    handler: logging.Handler = logging.FileHandler(file) if file else logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter(role))
    # Lines name no source line, thread or process, so nobody looks for them.
    logging._srcfile = None  # noqa: SLF001 the way that the logging documentation names
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("uvicorn.access", "amqp", "kombu", "ovsdbapp", "asyncio"):
        logging.getLogger(noisy).setLevel("WARNING")
