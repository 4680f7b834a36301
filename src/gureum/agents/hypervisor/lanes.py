"""One worker for each server that has something to do, so that a slow one never holds another up.

A lane runs one goal at a time. A newer goal for the same server replaces the one that waits and asks the one that
runs to give way; whoever waited for a replaced goal waits for its successor. Nothing here knows what a goal does.
Invariant: two goals of one server never run at once, and a removal is never replaced by a wish to have the server.
Read next: `pursuit.py`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from gureum.foundation import log

T = TypeVar("T")


class GaveWay(Exception):
    """Raised by a running goal that saw `Turn.must_yield`."""


@dataclass(eq=False)
class Goal(Generic[T]):
    """A wish and its outcome. `waits_for_guest` tells callers that the rest may take a guest's own time."""

    wish: T
    request_id: str
    done: bool = False
    failure: Exception | None = None
    waits_for_guest: bool = False
    answered_early: bool = False
    followers: list[Goal[T]] = field(default_factory=list)


@dataclass(eq=False)
class _Lane(Generic[T]):
    current: Goal[T] | None = None
    next: Goal[T] | None = None
    stir: threading.Event = field(default_factory=threading.Event)


class Turn(Generic[T]):
    """What a running goal sees of its lane."""

    def __init__(self, lanes: Lanes[T], lane: _Lane[T], goal: Goal[T]) -> None:
        self._lanes = lanes
        self._lane = lane
        self._goal = goal

    @property
    def wish(self) -> T:
        return self._goal.wish

    def must_yield(self) -> bool:
        """Whether a newer goal waits for this one to stop, or all are to stop."""
        return self._lane.next is not None or self._lanes.stopping

    def yield_if_asked(self) -> None:
        if self.must_yield():
            raise GaveWay("the agent stops, or a newer call took over")

    def wait_for_guest(self, timeout_s: float) -> None:
        """Sleep until the server stirs (power changed, newer goal) or the time is over; callers may be answered."""
        self._lanes.mark_waiting(self._goal)
        if not self.must_yield():
            self._lane.stir.wait(timeout_s)
        self._lane.stir.clear()


class Lanes(Generic[T]):
    """`run(name, turn)` does a goal; `same(a, b)` says whether two wishes are one; `wins(a, b)` whether a outlives b.

    `ended(name)` is called when a goal ends after somebody who waited for it was answered without it.
    """

    def __init__(
        self,
        run: Callable[[str, Turn[T]], None],
        *,
        same: Callable[[T, T], bool],
        wins: Callable[[T, T], bool],
        ended: Callable[[str], None],
    ) -> None:
        self._run = run
        self._ended = ended
        self._same = same
        self._wins = wins
        self._lanes: dict[str, _Lane[T]] = {}
        self._changed = threading.Condition()
        self.stopping = False

    def pursue(self, name: str, wish: T) -> Goal[T]:
        """Hand a wish to the server's lane and return the goal to wait for. Its work logs the caller's request id."""
        request_id = log.request_id.get()
        with self._changed:
            lane = self._lanes.get(name)
            if lane is None:
                lane = self._lanes[name] = _Lane()
                goal = lane.next = Goal(wish, request_id)
                threading.Thread(target=self._work, args=(name, lane), name=f"server-{name[:8]}", daemon=True).start()
                return goal
            if lane.next is not None:
                if not self._wins(lane.next.wish, wish):
                    lane.next.wish, lane.next.request_id = wish, request_id
                return lane.next
            if lane.current is not None and (
                self._same(lane.current.wish, wish) or self._wins(lane.current.wish, wish)
            ):
                return lane.current
            goal = lane.next = Goal(wish, request_id)
            lane.stir.set()
            return goal

    def wait(self, goal: Goal[T], *, work_s: float, guest_s: float) -> bool:
        """Wait for the goal: `work_s` seconds at most, `guest_s` once it waits for its guest. True when done."""
        with self._changed:
            if self._changed.wait_for(lambda: goal.done or goal.waits_for_guest, work_s) and not goal.done:
                self._changed.wait_for(lambda: goal.done, guest_s)
            goal.answered_early = goal.answered_early or not goal.done
            return goal.done

    def stir(self, name: str) -> None:
        """Wake the server's lane, if one waits for its guest."""
        with self._changed:
            lane = self._lanes.get(name)
        if lane is not None:
            lane.stir.set()

    def busy(self, name: str) -> bool:
        with self._changed:
            return name in self._lanes

    def stop(self, timeout_s: float) -> bool:
        """Ask every goal to give way at its next point, and wait until they did; true when all have."""
        with self._changed:
            self.stopping = True
            for lane in self._lanes.values():
                lane.stir.set()
        return self.drain(timeout_s)

    def drain(self, timeout_s: float) -> bool:
        """Wait until no lane is at work."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._lanes, timeout_s)

    def mark_waiting(self, goal: Goal[T]) -> None:
        with self._changed:
            for waiting in (goal, *goal.followers):
                waiting.waits_for_guest = True
            self._changed.notify_all()

    def _work(self, name: str, lane: _Lane[T]) -> None:
        while True:
            with self._changed:
                goal = lane.current = lane.next
                lane.next = None
                if goal is None:
                    del self._lanes[name]
                    self._changed.notify_all()
                    return
            failure: Exception | None = None
            log.request_id.set(goal.request_id)
            try:
                self._run(name, Turn(self, lane, goal))
            except GaveWay as gave_way:
                if self._hand_over(lane, goal):
                    continue
                failure = gave_way
            except Exception as error:
                failure = error
            self._finish(name, goal, failure)

    def _hand_over(self, lane: _Lane[T], goal: Goal[T]) -> bool:
        with self._changed:
            if lane.next is None:
                return False
            lane.next.followers += [goal, *goal.followers]
            return True

    def _finish(self, name: str, goal: Goal[T], failure: Exception | None) -> None:
        with self._changed:
            early = any(ended.answered_early for ended in (goal, *goal.followers))
            for ended in (goal, *goal.followers):
                ended.failure = failure
                ended.done = True
            self._changed.notify_all()
        if early:
            self._ended(name)
