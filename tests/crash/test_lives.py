"""Each life, interrupted at every point of every step in every way; then nothing is stuck, left over or leaked.

The points are not listed here: an undisturbed life records them, so that a step added later is covered.
"""

from __future__ import annotations

import pytest
from tests.cloud import SimulatedCloud
from tests.crash.disturbance import MODES, Disturbance
from tests.crash.lives import LIVES


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", LIVES)
def test_a_life_interrupted(subtests, stage, name, mode):
    recorded, kind = stage.recorded(name), LIVES[name].kind
    for at in recorded.points(mode):
        task, step = recorded.steps[at]
        with subtests.test(f"{name}: {mode} at step {at}, {step} of {task}"):
            hooks = Disturbance(mode, at)
            with stage.life(name, hooks) as life:
                life.live(kind)
                assert hooks.done, "the disturbance never struck: the life took another course"
                life.assert_clean(kind)


def test_every_step_of_every_kind_of_task_is_lived(stage, tmp_path):
    lived = {point for name in LIVES for point in stage.recorded(name).steps}
    cloud = SimulatedCloud(tmp_path)
    declared = {
        (kind, step.name) for kind, lifecycle in cloud.control.engine.lifecycles.items() for step in lifecycle.steps
    }
    cloud.close()
    missing = "these steps are disturbed by nothing: let a life in tests/crash/lives/ pass them"
    assert sorted(declared - lived) == [], missing
    assert {kind for kind, _ in lived} == {kind for kind, _ in declared}
