"""Outside programs, run with limits: argument lists only, no shell, no inherited input, a time that ends.

A program that reads bytes which a tenant made also gets a ceiling for memory and CPU time (CVE-2015-5162).
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

_KEPT_ERROR_CHARS = 500


@dataclass(frozen=True, slots=True)
class Limits:
    """Address space and CPU seconds of one program."""

    memory_mib: int = 1024
    cpu_s: int = 300


class ToolFailed(Exception):
    """The program is missing, ended badly, or took too long. The text is for operators."""


def run_tool(command: list[str], *, timeout_s: float = 30, limits: Limits | None = None, stdin: str = "") -> str:
    """Run to the end and return standard output. Raises ToolFailed."""
    try:
        done = subprocess.run(
            _limited(command, limits),
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except FileNotFoundError as error:
        raise ToolFailed(f"{command[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise ToolFailed(f"{command[0]} took longer than {timeout_s:g} s") from error
    if done.returncode:
        raise _ended_badly(command, done.stderr, done.returncode)
    return done.stdout


class RunningTool:
    """A program that somebody else may end; `wait` returns or raises ToolFailed."""

    def __init__(self, command: list[str], limits: Limits | None = None) -> None:
        self._command = command
        try:
            self._process = subprocess.Popen(
                _limited(command, limits), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE, text=True, errors="replace",
            )  # fmt: skip
        except FileNotFoundError as error:
            raise ToolFailed(f"{command[0]} is not installed") from error

    def wait(self) -> None:
        """Until the program ends. Raises ToolFailed."""
        _, said = self._process.communicate()
        if self._process.returncode:
            raise _ended_badly(self._command, said, self._process.returncode)

    def kill(self) -> None:
        """End it at once; whoever waits gets ToolFailed."""
        self._process.kill()


def _limited(command: list[str], limits: Limits | None) -> list[str]:
    if limits is None:
        return command
    return ["prlimit", f"--as={limits.memory_mib << 20}", f"--cpu={limits.cpu_s}", "--core=0", "--", *command]


def _ended_badly(command: list[str], said: str, status: int) -> ToolFailed:
    why = said.strip()[-_KEPT_ERROR_CHARS:] or f"exit status {status}"
    return ToolFailed(f"{' '.join(command[:3])}: {why}")
