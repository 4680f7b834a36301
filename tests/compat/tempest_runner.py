"""Tempest in a virtual environment of its own: it brings a hundred packages that the project does not want.

`.venv-tempest` is made once and stamped with the version that it holds; a workspace belongs to one run.
Nothing of Tempest is changed: the stock package from the registry, run by its own command.
"""

from __future__ import annotations

import fcntl
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.compat import tempest_conf
from tests.compat.judged_cloud import CLONE, clean_environment, fresh_folder

VERSION = "47.0.0"
FOLDER = CLONE / ".venv-tempest"
NEUTRON_PLUGIN = "neutron-tempest-plugin==3.3.0"
KEYSTONE_PLUGIN = "keystone-tempest-plugin==0.22.0"
GLANCE_PLUGIN = "glance-tempest-plugin==0.17.0"
GLANCE_CLIENT = ("python-glanceclient==4.13.0", "openstacksdk==4.22.0")
"""Other projects' own tests; they bring as many packages again, so each has an environment of its own."""
_RESULT = re.compile(r"^\{\d+\} (\S+(?: \(\S+\))?) .*\.\.\. (ok|FAILED|SKIPPED)(?:: (.*))?$", re.MULTILINE)


@dataclass(frozen=True)
class Verdict:
    """Test names, ids in brackets left out; `skipped` with the reason. `log` is all that Tempest printed."""

    passed: list[str]
    failed: list[str]
    skipped: dict[str, str]
    log: str

    def story(self) -> str:
        """What a person needs of a bad verdict: each failed test with the end of its traceback."""
        parts = [f"{len(self.passed)} passed, {len(self.skipped)} skipped, {len(self.failed)} failed"]
        blocks = re.split(r"\n(?=\{\d+\} )", self.log)
        for name in self.failed:
            found = [block for block in blocks if re.match(rf"\{{\d+\}} {re.escape(name)} .*FAILED", block)]
            trace = found[0].partition("Captured traceback:")[2].partition("Captured pythonlogging:")[0]
            parts.append(f"--- {name}\n{(trace or found[0])[-2500:].rstrip()}")
        return "\n".join(parts)


def environment(*plugins: str) -> Path:
    """The folder of Tempest's programs; made when it is missing or holds other versions."""
    folder = FOLDER.with_name("-".join([FOLDER.name, *(re.split("[-=]", name)[0] for name in plugins)]))
    packages = [f"tempest=={VERSION}", *plugins]
    stamp, wanted = folder / "made", " ".join([VERSION, *plugins])
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # other tests may want the same folder at this moment
        if not stamp.exists() or stamp.read_text() != wanted:
            fresh_folder(folder)
            _run([sys.executable, "-m", "venv", str(folder)], CLONE, 120)
            _run([str(folder / "bin/python"), "-m", "pip", "install", "-q", *packages], CLONE, 600)
            stamp.write_text(wanted)
    return folder / "bin"


def judge(
    cloud: Any,
    workspace: Path,
    tests: str,
    *,
    guests: bool,
    timeout_s: float,
    at_once: int = 2,
    more: tempest_conf.Options | None = None,
    plugins: tuple[str, ...] = (),
) -> Verdict:
    """Run the tests whose names match the regular expression `tests`; every process of the run ends with it.

    `more` are options of tempest.conf over the usual ones; `plugins` packages with more tests.
    """
    programs = environment(*plugins)
    fresh_folder(workspace)
    tempest = str(programs / "tempest")
    registry = workspace.with_suffix(".yaml")
    registry.unlink(missing_ok=True)
    _run([tempest, "init", "--workspace-path", str(registry), "--name", workspace.name, str(workspace)], CLONE, 60)
    tempest_conf.write(workspace / "etc/tempest.conf", cloud, workspace, guests=guests, more=more)
    words = [tempest, "run", "--config-file", "etc/tempest.conf", "--concurrency", str(at_once), "--regex", tests]
    log = _run(words, workspace, timeout_s, check=False)
    (workspace / "output.log").write_text(log)
    return verdict(log)


def verdict(log: str) -> Verdict:
    """Read Tempest's own report. A class that could not be set up counts as a failed test."""
    passed, failed, skipped = [], [], {}
    for name, outcome, reason in _RESULT.findall(log):
        if outcome == "ok":
            passed.append(name)
        elif outcome == "FAILED":
            failed.append(name)
        else:
            skipped[name] = reason
    totals = re.search(r"^ - Failed: (\d+)$", log, re.MULTILINE)
    assert totals, f"Tempest did not come to an end:\n{log[-4000:]}"
    assert int(totals[1]) == len(failed), f"Tempest counts {totals[1]} failures, the log names {failed}"
    return Verdict(passed, failed, skipped, log)


def _run(words: list[str], folder: Path, timeout_s: float, *, check: bool = True) -> str:
    process = subprocess.Popen(
        words, cwd=folder, env=clean_environment(), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        said, _ = process.communicate(timeout=timeout_s)
    except BaseException:
        subprocess.run(["kill", "-KILL", "--", f"-{process.pid}"], check=False)
        said, _ = process.communicate()
        print(said[-4000:])
        raise
    assert process.returncode == 0 or not check, f"{' '.join(words)}: {said[-4000:]}"
    return said
