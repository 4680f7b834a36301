"""Steps of a life: functions or methods with `@step` or `@transactional`, named by what they are called in the code.

`steps_of(self)` collects those of an object, so that none is forgotten. A name that does not exist is refused there, at
start, and not by a task under way. Read next: `lifecycle.py`.
"""

from __future__ import annotations

import dis
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from types import CodeType, MethodType
from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    from gureum.foundation.db.engine import Tx
    from gureum.foundation.tasks.lifecycle import Outcome, Run

    Outside = Callable[[Any, Run], Outcome] | Callable[[Run], Outcome]
    Inside = Callable[[Any, Run, Tx], Outcome] | Callable[[Run, Tx], Outcome]


@dataclass(frozen=True, slots=True)
class Step:
    """A step, bound to an object like a method. Its name is what a task's row holds.

    The steps of the destroy chain are `ending`: they are not diverted and never give up. A `transfer` moves data and
    may take hours: such steps have threads of their own, a bounded number for each project, so that no
    other task waits.
    """

    name: str
    work: Callable[..., Outcome]
    transactional: bool = False
    ending: bool = False
    transfer: bool = False

    def __get__(self, owner: object, _type: type | None = None) -> Step:
        if owner is None:
            return self
        return Step(self.name, MethodType(self.work, owner), self.transactional, self.ending, self.transfer)

    def __call__(self, *arguments: Any) -> Outcome:
        return self.work(*arguments)


@overload
def step(work: Outside, /) -> Step: ...
@overload
def step(*, ending: bool = False, transfer: bool = False) -> Callable[[Outside], Step]: ...
def step(work: Outside | None = None, /, *, ending: bool = False, transfer: bool = False) -> Any:
    """A step that may call the outside world."""

    def made(work: Outside) -> Step:
        return Step(work.__name__, work, ending=ending, transfer=transfer)

    return made if work is None else made(work)


@overload
def transactional(work: Inside, /) -> Step: ...
@overload
def transactional(*, ending: bool = False) -> Callable[[Inside], Step]: ...
def transactional(work: Inside | None = None, /, *, ending: bool = False) -> Any:
    """A step that only touches the transaction that it gets, which is also that of the move to the next step."""

    def made(work: Inside) -> Step:
        return Step(work.__name__, work, transactional=True, ending=ending)

    return made if work is None else made(work)


def steps_of(owner: object) -> tuple[Step, ...]:
    """The steps among the methods of `owner`. Raises AttributeError for a method that names what is not there."""
    known = set(dir(owner))
    for kind in type(owner).__mro__:
        for name, value in vars(kind).items():
            code = getattr(value.work if isinstance(value, Step) else value, "__code__", None)
            for asked in _attributes_of_self(code) if code else ():
                if asked not in known:
                    raise AttributeError(f"{kind.__name__}.{name} names self.{asked}, which does not exist")
    names = [name for kind in type(owner).__mro__ for name, value in vars(kind).items() if isinstance(value, Step)]
    return tuple(getattr(owner, name) for name in dict.fromkeys(names))


def _attributes_of_self(code: CodeType) -> Iterator[str]:
    """The names that a function and those inside it look up on `self`."""
    for before, after in pairwise(dis.get_instructions(code)):
        of_self = before.argval == "self" and before.opname.startswith(("LOAD_FAST", "LOAD_DEREF"))
        if of_self and after.opname in {"LOAD_ATTR", "LOAD_METHOD"}:
            yield after.argval
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _attributes_of_self(inner)
