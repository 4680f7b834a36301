"""The names of kinds of tasks and of their steps: databases hold them, so none goes without an entry in `renamed`.

`steps.txt` is the golden file: `kind step`, and `kind old -> step` for each entry in a lifecycle's `renamed`.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.cloud import config

from gureum.foundation.config import ServicesConfig
from gureum.roles.control import build

GOLDEN = Path(__file__).with_name("steps.txt")

GONE = """{kind} {name}: this name is gone, and tasks under way still hold it, as do those that workers of the version
before go on to write.
- If the step was renamed, say so in its lifecycle: `renamed={{"{name}": self.NEW_NAME}}`.
- If it was removed, say with `renamed` at which step such tasks go on; for a whole kind, keep a lifecycle that ends them.
- If it is an old name in `renamed`: a release after the one that renamed it, delete the line from {file} by hand."""


@pytest.fixture(scope="module")
def lifecycles(tmp_path_factory):
    """Those of every service that there is."""
    control = build(config(tmp_path_factory.mktemp("cloud"), services=ServicesConfig(profile="all")))
    yield control.engine.lifecycles
    control.close()


def lines_of(lifecycle):
    for step in lifecycle.steps:
        yield f"{lifecycle.kind} {step.name}"
    for old, step in lifecycle.renamed.items():
        yield f"{lifecycle.kind} {old} -> {step.name}"


def missing(golden, lifecycles):
    """What to do about each name of the golden file that no lifecycle knows."""
    for line in golden:
        kind, name, *_ = line.split()
        lifecycle = lifecycles.get(kind)
        if lifecycle is None or name not in lifecycle.by_name:
            yield GONE.format(kind=kind, name=name, file=GOLDEN.name)


def test_no_name_that_tasks_under_way_hold_is_gone(lifecycles):
    gone = list(missing(GOLDEN.read_text().splitlines() if GOLDEN.exists() else [], lifecycles))
    assert not gone, "\n".join(gone)
    present = "".join(f"{line}\n" for one in lifecycles.values() for line in sorted(lines_of(one)))
    if os.environ.get("GUREUM_GOLDEN") == "write":
        GOLDEN.write_text(present)
    assert present == GOLDEN.read_text(), "new names or renamed steps: GUREUM_GOLDEN=write writes the file anew"


def test_rename_tables_lead_from_old_names_to_steps(lifecycles):
    for lifecycle in lifecycles.values():
        names = {step.name for step in lifecycle.steps}
        assert {step.name for step in lifecycle.renamed.values()} <= names
        assert not names & lifecycle.renamed.keys()


def test_a_name_that_is_gone_is_told_with_the_remedy(lifecycles):
    [told] = missing(["server wiring"], lifecycles)
    assert told.startswith("server wiring: this name is gone")
    assert '`renamed={"wiring": self.NEW_NAME}`' in told
    [told] = missing(["volume attach"], lifecycles)
    assert "for a whole kind" in told
