"""`gureum test [tier|path]`: pytest over the tiers, in the order in which a failure is cheapest to find."""

from __future__ import annotations

import os
import subprocess
import sys

from gureum.cli.terminal import CLONE
from gureum.lab.refusal import Refusal

TIERS = ("unit", "habits", "api", "contracts", "crash", "compat", "system")


def run_tests(what: str, arguments: list[str]) -> int:
    """Run one tier, one path, or every tier. The exit code is pytest's."""
    if what.startswith("-"):
        what, arguments = "", [what, *arguments]
    if what in TIERS:
        targets = [f"tests/{what}"]
    elif what:
        file = what.partition("::")[0]
        targets = [what if (CLONE / file).exists() else os.path.relpath(what, CLONE)]
    else:
        targets = [f"tests/{tier}" for tier in TIERS]
    targets = [target for target in targets if (CLONE / target.partition("::")[0]).exists()]
    if not targets:
        raise Refusal(f"There are no tests {what!r}.", f"Tiers: {' '.join(TIERS)}")
    environment = {
        **os.environ,
        "PYTHONPATH": str(CLONE / "src"),
        "PATH": f"{CLONE}/.venv/bin:{os.environ.get('PATH', '')}:/usr/sbin:/sbin",
    }
    return subprocess.run(
        [sys.executable, "-m", "pytest", *targets, *arguments], cwd=CLONE, env=environment, check=False
    ).returncode
