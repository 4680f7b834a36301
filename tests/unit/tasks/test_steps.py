"""Steps are named by their methods, and wrong names are refused when a lifecycle is made."""

from __future__ import annotations

import pytest

from gureum.foundation.tasks.lifecycle import Done, Goto, Lifecycle, Sleep, Wait
from gureum.foundation.tasks.statements import Claims
from gureum.foundation.tasks.steps import step, steps_of, transactional


class Life:
    timeout_s = 5.0

    @step
    def make(self, _run):
        return Goto(self.rest)

    @transactional
    def rest(self, _run, _tx):
        return Wait("nothing")

    @step(transfer=True)
    def move(self, _run):
        return Sleep(1, "the disk", self.timeout_s, self.remove)

    @step(ending=True)
    def remove(self, _run):
        return Done()


class MoreLife(Life):
    @step
    def make(self, _run):
        return Goto(self.move)


def test_steps_are_collected_from_an_object_and_bound_to_it():
    steps = {one.name: one for one in steps_of(Life())}
    assert set(steps) == {"make", "rest", "move", "remove"}
    assert steps["make"](None).step.name == "rest"
    assert [name for name, one in steps.items() if one.transactional] == ["rest"]
    assert [name for name, one in steps.items() if one.ending] == ["remove"]
    assert [name for name, one in steps.items() if one.transfer] == ["move"]


def test_a_step_of_a_subclass_takes_the_place_of_its_parents():
    steps = {one.name: one for one in steps_of(MoreLife())}
    assert len(steps) == 4
    assert steps["make"](None).step.name == "move"


def test_a_step_has_its_name_on_the_class_too():
    """Requests name steps without an object: `tasks.create(..., Life.make)`."""
    assert Life.make.name == "make"


class Misspelt(Life):
    @step
    def wander(self, _run):
        return Goto(self.remvoe)


class MisspeltInside(Life):
    def _waits(self):
        return lambda: Wait("a port", 5, on_deadline=self.gvie_up)


@pytest.mark.parametrize(("life", "wrong"), [(Misspelt, "remvoe"), (MisspeltInside, "gvie_up")])
def test_a_wrong_name_is_refused_at_start(life, wrong):
    with pytest.raises(AttributeError, match=f"names self.{wrong}, which does not exist"):
        steps_of(life())


def test_the_failure_step_is_one_of_the_lifecycle():
    life = Life()
    with pytest.raises(ValueError, match="unknown step 'remove'"):
        Lifecycle("thing", (life.make,), failed=life.remove)


def test_the_rename_table_leads_to_steps_and_holds_no_name_in_use():
    life = Life()
    Lifecycle("thing", steps_of(life), failed=life.remove, renamed={"build": life.make})
    with pytest.raises(ValueError, match="unknown step 'make'"):
        Lifecycle("thing", (life.remove,), failed=life.remove, renamed={"build": life.make})
    with pytest.raises(ValueError, match="has a step 'rest'"):
        Lifecycle("thing", steps_of(life), failed=life.remove, renamed={"rest": life.make})


def test_two_steps_of_one_name_are_refused():
    with pytest.raises(ValueError, match="two steps of the same name"):
        Lifecycle("thing", (Life.make, MoreLife.make), failed=Life.make)


@pytest.mark.parametrize("kind", ["", "a'b", "Thing", "x" * 65])
def test_a_kind_that_is_no_plain_name_is_refused_at_start(kind):
    life = Life()
    with pytest.raises(ValueError, match="is no name of a kind or step"):
        Claims([Lifecycle(kind, steps_of(life), failed=life.remove)])


@pytest.mark.parametrize(
    "outcome", [lambda: Wait("x", 5), lambda: Wait("x", on_deadline=Life.rest), lambda: Sleep(1, "x", 5)]
)
def test_a_deadline_names_the_step_that_follows_it(outcome):
    with pytest.raises(ValueError, match="belong together"):
        outcome()
