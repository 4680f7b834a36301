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
    if limits is not None:
        command = [
            "prlimit",
            f"--as={limits.memory_mib << 20}",
            f"--cpu={limits.cpu_s}",
            "--core=0",
            "--",
            *command,
        ]
    try:
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, errors="replace", timeout=timeout_s, check=False
        )
    except FileNotFoundError as error:
        raise ToolFailed(f"{command[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise ToolFailed(f"{command[0]} took longer than {timeout_s:g} s") from error
    if done.returncode:
        why = done.stderr.strip()[-_KEPT_ERROR_CHARS:] or f"exit status {done.returncode}"
        raise ToolFailed(f"{' '.join(command[:3])}: {why}")
    return done.stdout
