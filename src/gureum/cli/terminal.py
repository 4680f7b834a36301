"""What a person sees while a command works: one line for each step with its time, and a live line for what is awaited.

Plain escape sequences: a table library would cost more time than `up --simulate` has. On anything but a terminal, and
with NO_COLOR, the same lines come without colour and without the live one.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn, Self

from gureum.foundation.redact import redact

CLONE = Path(__file__).resolve().parents[3]
_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


def default_state() -> Path:
    """`.gureum` in the clone, wherever the command is run from."""
    return CLONE / ".gureum"


def shown(path: Path) -> str:
    """Relative to where the user stands when that is shorter."""
    relative = os.path.relpath(path)
    return relative if len(relative) < len(str(path)) else str(path)


def launcher() -> str:
    """The command as the user can type it here: `gureum` where it is on the path, else the clone's own."""
    path = shown(CLONE / "gureum")
    return "gureum" if shutil.which("gureum") else path if "/" in path else f"./{path}"


def runnable(text: str) -> str:
    """A sentence whose commands (`gureum down`) can be typed as they stand."""
    return text.replace("`gureum ", f"`{launcher()} ")


def become(words: list[str]) -> NoReturn:
    """Replace this process by another program. Python ignores SIGPIPE; programs expect to end by it (`| head`)."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.execvp(words[0], words)  # noqa: S606 - no shell wanted


def explain(problem: str, remedy: str) -> None:
    """One sentence that says what is wrong, and one that mends it, on standard error."""
    red, plain = ("\033[31m", "\033[0m") if _colours(sys.stderr.fileno()) else ("", "")
    print(f"{red}gureum:{plain} {redact(runnable(problem))} {redact(runnable(remedy))}".rstrip(), file=sys.stderr)


class Terminal:
    """A `lab.launch.Report` for people. Use as a context manager: it ends its live line."""

    def __init__(self) -> None:
        self._begun = float(
            os.environ.get("GUREUM_BEGUN") or time.monotonic()
        )  # the launcher may have installed things
        self._live = sys.stdout.isatty()
        self._colours = _colours(sys.stdout.fileno()) if self._live else False
        self._text = ""
        self._text_since = 0.0
        self._lock = threading.Lock()
        self._over = threading.Event()

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._begun

    def __enter__(self) -> Self:
        if self._live:
            threading.Thread(target=self._animate, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.waiting("")

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Show what is being done and, when it is done, how long it took."""
        begun = time.monotonic()
        self.waiting(title)
        yield
        self.done(title, time.monotonic() - begun)

    def done(self, title: str, seconds: float) -> None:
        mark = "\033[32m✓\033[0m" if self._colours else "✓"
        with self._lock:
            self._clear()
            self._write(f" {mark} {title:<58} {seconds:6.1f} s\n")
            self._text = ""

    def waiting(self, what: str) -> None:
        if what == self._text:
            return
        with self._lock:
            self._clear()
            self._text, self._text_since = what, time.monotonic()

    def _animate(self) -> None:
        frame = 0
        while not self._over.wait(0.1):
            with self._lock:
                if self._text and not self._over.is_set():
                    waited = time.monotonic() - self._text_since
                    line = f" {_FRAMES[frame % len(_FRAMES)]} {self._text} ({waited:.0f} s)"
                    self._write(f"\r\033[K{line[: _width()]}")
            frame += 1

    def _clear(self) -> None:
        if self._live and self._text:
            self._write("\r\033[K")

    def _write(self, text: str) -> None:
        """Whoever stopped reading (`| head`) does not stop the work."""
        with suppress(BrokenPipeError):
            sys.stdout.write(text)
            sys.stdout.flush()


def _width() -> int:
    with suppress(OSError):
        return os.get_terminal_size().columns - 1
    return 79


def _colours(descriptor: int) -> bool:
    return os.isatty(descriptor) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
