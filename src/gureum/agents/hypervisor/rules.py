"""What to do next for one server: a pure decision over what is wanted, what took effect, and what is.

Invariant: from any state, repeating `next_action` and doing what it says reaches None in a handful of steps, and
the boot number is raised only while the machine is off, so a kill between two steps never costs a second reboot.
Read next: `pursuit.py`, which does it.
"""

from __future__ import annotations

from typing import Literal

from gureum.agents.hypervisor.protocol import ObservedPower, ServerSpec
from gureum.agents.hypervisor.server_store import Effect

Action = Literal["stop", "make_disks", "define", "start", "pause", "resume"]


def next_action(spec: ServerSpec, effect: Effect, power: ObservedPower) -> Action | None:
    """The next step towards the spec; None when the server is as wanted.

    "stop" is graceful for a running guest that has `grace_s`; "start" honours a wanted pause; "define" also records
    the boot number of a server that is to stay off.
    """
    active = power in {"running", "paused"}
    fresh_disk = effect.disk < spec.disk
    if active and (fresh_disk or effect.boot < spec.boot or spec.power == "stopped"):
        return "stop"
    if fresh_disk:
        return "make_disks"
    if not active:
        return _while_off(spec, effect, power)
    if spec.power != power:
        return "pause" if spec.power == "paused" else "resume"
    return None


def _while_off(spec: ServerSpec, effect: Effect, power: ObservedPower) -> Action | None:
    if spec.power != "stopped":
        return "start"
    return None if power != "absent" and effect.boot >= spec.boot else "define"


def shown_power(spec: ServerSpec | None, power: ObservedPower) -> ObservedPower:
    """What to tell: a crash is news only for a server that should be on; the engine remembers it until a start."""
    return "stopped" if power == "crashed" and spec is not None and spec.power == "stopped" else power


def is_late(spec: ServerSpec, known: ServerSpec) -> bool:
    """Whether a spec repeats an older wish than the one known: its call was delayed, and acting would undo a newer."""
    return spec.boot < known.boot or spec.disk < known.disk


def is_forced(spec: ServerSpec, power: ObservedPower) -> bool:
    """Whether a stop needs no waiting: no grace is given, or the guest cannot hear (it is held before or between)."""
    return spec.grace_s <= 0 or power != "running"
