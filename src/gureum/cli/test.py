"""`gureum test [tier|path]`: pytest over the tiers, in the order in which a failure is cheapest to find."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

from gureum.cli.terminal import CLONE
from gureum.lab.refusal import Refusal

PARALLEL = ("unit", "habits", "api", "crash")
SERIAL = ("contracts", "compat", "system")
TIERS = (*PARALLEL, *SERIAL)
NO_TESTS = 5
"""What pytest ends with when none is selected."""


def run_tests(what: str, arguments: list[str]) -> int:
    """Run one tier, one path, every tier, or with `--changed` what a change asks for. The exit code is pytest's."""
    if not what and (changed := [word for word in arguments if word.partition("=")[0] == "--changed"]):
        return _run_changed(changed[0].partition("=")[2], [word for word in arguments if word not in changed])
    if not what:
        codes = [_pytest(["-n", "2", *_present(PARALLEL), *arguments]), *_two_at_once(_present(SERIAL), arguments)]
        return max((abs(code) for code in codes if code != NO_TESTS), default=NO_TESTS)  # below 0: killed by a signal
    target = f"tests/{what}" if what in TIERS else what
    if not (CLONE / target.partition("::")[0]).exists():
        target = os.path.relpath(target, CLONE)
    if not (CLONE / target.partition("::")[0]).exists():
        raise Refusal(f"There are no tests {what!r}.", f"Tiers: {' '.join(TIERS)}")
    return _pytest([target, *arguments])


def _run_changed(base: str, arguments: list[str]) -> int:
    """The tests of what differs from the commit `base`, without those that need engines."""
    from gureum.cli.changed_tests import changed_files, paths_for
    from gureum.roles.assembly import CATALOGUE

    services = [CATALOGUE.service(name) for name in CATALOGUE.packages]
    needs = {service.name: [CATALOGUE.offering(need) for need in service.needs] for service in services}
    paths = [path for path in paths_for(changed_files(CLONE, base), needs) if (CLONE / path).exists()]
    print(f"Tests of the change: {' '.join(paths)}", flush=True)
    return _pytest(["-n", "2", "-m", "not engines and not postgresql and not rabbitmq", *paths, *arguments])


def _two_at_once(targets: list[str], arguments: list[str]) -> list[int]:
    """What needs engines goes one by one and mostly waits for guests; the rest runs beside it, told afterwards."""
    if "-m" in arguments:
        return [_pytest([*targets, *arguments])]
    with tempfile.TemporaryFile() as told:
        beside = subprocess.Popen(
            _command(["-m", "not engines", *targets, *arguments]),
            cwd=CLONE, env=_environment(), stdout=told, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            codes = [_pytest(["-m", "engines", *targets, *arguments]), beside.wait()]
        finally:
            if beside.poll() is None:
                beside.terminate()
                beside.wait()
        told.seek(0)
        print(told.read().decode(errors="replace"), flush=True)
    return codes


def _pytest(words: list[str]) -> int:
    return subprocess.run(_command(words), cwd=CLONE, env=_environment(), check=False).returncode


def _command(words: list[str]) -> list[str]:
    return [sys.executable, "-m", "pytest", *words]


def _environment() -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(CLONE / "src"),
        "PATH": f"{CLONE}/.venv/bin:{os.environ.get('PATH', '')}:/usr/sbin:/sbin",
    }


def _present(tiers: tuple[str, ...]) -> list[str]:
    return [f"tests/{tier}" for tier in tiers if (CLONE / "tests" / tier).exists()]
