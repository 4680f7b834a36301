"""From any state, following the rules settles, and settles in what was wanted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gureum.agents.hypervisor.protocol import ServerSpec
from gureum.agents.hypervisor.rules import is_forced, is_late, next_action, shown_power
from gureum.agents.hypervisor.server_store import Effect

POWERS = ("running", "paused", "stopped", "crashed", "absent")
numbers = st.integers(1, 3)


def spec_of(power="running", boot=1, disk=1, grace_s=0):
    return ServerSpec("s", "s", 1, 64, 1, power, boot, disk=disk, grace_s=grace_s)


def apply(action, spec, effect, power):
    match action:
        case "stop":
            return effect, "stopped"
        case "make_disks":
            return Effect(effect.boot, spec.disk), power
        case "define":
            return Effect(spec.boot, effect.disk), "stopped"
        case "start":
            return Effect(spec.boot, effect.disk), spec.power
        case "pause":
            return effect, "paused"
        case "resume":
            return effect, "running"


@given(
    st.builds(spec_of, st.sampled_from(("running", "paused", "stopped")), numbers, numbers),
    st.builds(Effect, st.integers(0, 3), st.integers(0, 3)),
    st.sampled_from(POWERS),
)
def test_it_settles_in_what_is_wanted(spec, effect, power):
    for _ in range(6):
        action = next_action(spec, effect, power)
        if action is None:
            break
        effect, power = apply(action, spec, effect, power)
    assert next_action(spec, effect, power) is None
    assert shown_power(spec, power) == spec.power
    assert effect.boot >= spec.boot
    assert effect.disk >= spec.disk


@given(
    st.builds(spec_of, st.sampled_from(("running", "paused", "stopped")), numbers, numbers),
    st.builds(Effect, st.integers(0, 3), st.integers(0, 3)),
    st.sampled_from(POWERS),
)
def test_disks_are_made_only_while_the_machine_is_off(spec, effect, power):
    if next_action(spec, effect, power) == "make_disks":
        assert power in {"stopped", "absent", "crashed"}


def test_a_settled_server_is_left_alone():
    assert next_action(spec_of("running", 2), Effect(2, 1), "running") is None
    assert next_action(spec_of("stopped", 2), Effect(2, 1), "stopped") is None
    assert next_action(spec_of("paused", 2), Effect(2, 1), "paused") is None


def test_a_raised_boot_stops_first_and_starts_after():
    assert next_action(spec_of("running", 2), Effect(1, 1), "running") == "stop"
    assert next_action(spec_of("running", 2), Effect(1, 1), "stopped") == "start"


def test_late_calls_and_forced_stops():
    assert is_late(spec_of(boot=1), spec_of(boot=2))
    assert is_late(spec_of(disk=1), spec_of(disk=2))
    assert not is_late(spec_of(boot=2), spec_of(boot=2))
    assert is_forced(spec_of(grace_s=0), "running")
    assert is_forced(spec_of(grace_s=60), "paused")
    assert not is_forced(spec_of(grace_s=60), "running")
