"""What in the operator's policy file does not do what was meant: `doctor`'s findings, one for each rule."""

from __future__ import annotations

import shlex
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from gureum.foundation.config import Config, ConfigError, load
from gureum.foundation.policy import Policy
from gureum.foundation.policy.operators_file import PolicyFileError, checks_of
from gureum.lab.checks import Finding
from gureum.roles.assembly import CATALOGUE

_SUBJECT = "policy file"


def policy_findings(file: Path | None) -> Iterator[Finding]:
    """Findings on the file that the configuration in `file` names; nothing where none is named."""
    try:
        config = load(file) if file else Config()
    except ConfigError:
        return  # told beside, of the whole file
    if not config.policy.file:
        return
    policy = config.path(config.policy.file).absolute()
    yield from _writable_by_others(policy)
    try:
        checks = checks_of(policy.read_bytes())
        found = Policy(CATALOGUE.rules(CATALOGUE.enabled(config.services))).problems(checks)
    except OSError as error:
        remedy = f"Make it readable for the control plane, or empty [policy] file: ls -l {shlex.quote(str(policy))}"
        yield Finding(_SUBJECT, "bad", f"{policy}: {error.strerror or error}; no process starts without it", remedy)
        return
    except ConfigError:
        return  # told beside, of the whole file
    except PolicyFileError as error:
        remedy = f"Correct {policy}; what runs keeps the rules from before, and no process starts with it."
        yield Finding(_SUBJECT, "bad", f"{policy}: {error}", remedy)
        return
    for problem in found:
        yield Finding(_SUBJECT, "bad", problem, f"Correct or remove the line: {policy}")
    if not found:
        yield Finding(_SUBJECT, "good", f"{policy}: {len(checks)} rules in the place of defaults")


def _writable_by_others(policy: Path) -> Iterator[Finding]:
    """Whoever writes the file, or another one in its place, may do everything in the cloud."""
    for path in (policy, policy.parent):
        with suppress(OSError):
            mode = path.stat().st_mode
            if mode & (stat.S_IWGRP | stat.S_IWOTH) and not mode & stat.S_ISVTX:
                remedy = f"Run: chmod go-w {shlex.quote(str(path))}"
                yield Finding(
                    _SUBJECT, "bad", f"others than its owner can write {path}, and so what they may do", remedy
                )
