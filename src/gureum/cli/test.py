"""`gureum test [tier|path]`: pytest over the tiers, in the order in which a failure is cheapest to find."""

from __future__ import annotations

import os
import subprocess
import sys

from gureum.cli.terminal import CLONE
from gureum.lab.refusal import Refusal

PARALLEL = ("unit", "habits", "api", "crash")
SERIAL = ("contracts", "compat", "system")
TIERS = (*PARALLEL, *SERIAL)


def run_tests(what: str, arguments: list[str]) -> int:
    """Run one tier, one path, or every tier. The exit code is pytest's."""
    if what.startswith("-"):
        what, arguments = "", [what, *arguments]
    if what in TIERS:
        rounds = [[f"tests/{what}"]]
    elif what:
        file = what.partition("::")[0]
        rounds = [[what if (CLONE / file).exists() else os.path.relpath(what, CLONE)]]
    else:
        # What needs engines has the machine for itself; the rest shares the processors.
        rounds = [["-n", "2", *_present(PARALLEL)], _present(SERIAL)]
    if what and not (CLONE / rounds[0][0].partition("::")[0]).exists():
        raise Refusal(f"There are no tests {what!r}.", f"Tiers: {' '.join(TIERS)}")
    environment = {
        **os.environ,
        "PYTHONPATH": str(CLONE / "src"),
        "PATH": f"{CLONE}/.venv/bin:{os.environ.get('PATH', '')}:/usr/sbin:/sbin",
    }
    codes = [
        subprocess.run(
            [sys.executable, "-m", "pytest", *targets, *arguments], cwd=CLONE, env=environment, check=False
        ).returncode
        for targets in rounds
    ]
    return max(codes)


def _present(tiers: tuple[str, ...]) -> list[str]:
    return [f"tests/{tier}" for tier in tiers if (CLONE / "tests" / tier).exists()]
