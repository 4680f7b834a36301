"""Runs due tasks on threads: claim, step, commit the outcome with the move, hand back.

The row is the task. A worker holds a lease while it runs one; a lease that expired, or whose owner on this
machine is dead, is taken by another. The outcome's writes and the move to the next step commit together, on
condition that the lease is still ours. The engine knows no service.
"""

from __future__ import annotations

import contextlib
import heapq
import logging
import math
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import update

from gureum.foundation import clock, log
from gureum.foundation.db.engine import Database, Tx
from gureum.foundation.db.failures import DatabaseFailure
from gureum.foundation.metrics import Metrics
from gureum.foundation.tasks import owners, story
from gureum.foundation.tasks.lifecycle import (
    Done,
    Goto,
    Lifecycle,
    Outcome,
    PermanentFailureError,
    Run,
    Sleep,
    Wait,
)
from gureum.foundation.tasks.model import Claimed, Task
from gureum.foundation.tasks.statements import ARE_DUE, END, FIND_DUE, HELD, LEASE, MOVE
from gureum.foundation.tasks.store import Tasks
from gureum.foundation.tasks.waiting import WaitingTasks

logger = logging.getLogger("gureum.tasks")

MAX_BACKOFF_S = 30.0
MAX_WORKERS = 64
MOST_AT_ONCE = 256
LOOK_FOR_DEAD_S = 3.0
STOP_WITHIN_S = 10.0
_NEW_LEASE = math.inf
"""Heard of a task that was just leased: whatever its steps met before does not count."""


class LeaseLostError(Exception):
    """Another worker owns the task now: what this one was about to write is thrown away."""


class Hooks:
    """Where the crash suite looks in; nothing here in production. Raising from one is dying at that point."""

    def before_step(self, task: Claimed) -> None: ...

    def before_commit(self, task: Claimed, outcome: Outcome) -> None: ...

    def after_commit(self, task: Claimed, outcome: Outcome) -> None: ...


class WorkerDied(BaseException):
    """Raised by hooks to stop a worker as kill -9 would: nothing is written, the lease stays."""


@dataclass(frozen=True, slots=True)
class _Rest:
    """When a task that comes to rest is looked at again, and what its deadline is."""

    wake_at: float | None
    deadline_at: float | None
    on_deadline: str | None


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """`transfers` are the threads for the steps that lifecycles name so, `transfers_of_project` how many of them work
    for one project.
    """

    workers: int = 4
    lease_s: float = 30.0
    poll_s: float = 1.0
    transfers: int = 16
    transfers_of_project: int = 4


class TaskEngine:
    """One per process that has workers. `start` runs threads; `run_due` runs everything due on the caller's thread."""

    def __init__(
        self, database: Database, tasks: Tasks, options: EngineOptions | None = None, metrics: Metrics | None = None
    ) -> None:
        self.database = database
        self.options = options or EngineOptions()
        self.hooks = Hooks()
        self.owner = owners.own_name(f"{id(self):x}")
        self.lifecycles: dict[str, Lifecycle] = {}
        self._tasks = tasks
        self._metrics = metrics
        self._queue = WaitingTasks()
        self._transfers = WaitingTasks(self.options.transfers_of_project)
        self._timers: list[tuple[float, str]] = []
        self._condition = threading.Condition()
        self._held: dict[str, float] = {}
        self._dropped: set[str] = set()
        self._stopping = False
        self._workers = self._ended = self._ended_before = 0
        self._stuck = False
        self._threads: list[threading.Thread] = []
        tasks.owner, tasks.lease_s, tasks.adopt = self.owner, self.options.lease_s, self._adopt

    def register(self, lifecycles: Iterable[Lifecycle]) -> None:
        for lifecycle in lifecycles:
            self.lifecycles[lifecycle.kind] = lifecycle

    # -- threads -----------------------------------------------------------------------------------------

    def start(self) -> None:
        self._add_workers()
        for number in range(self.options.transfers):
            self._thread(partial(self._work, self._transfers), f"transfer-{number + 1}")
        self._thread(self._keep_time, "timers")

    def _add_workers(self) -> None:
        for _ in range(self.options.workers):
            self._workers += 1
            self._thread(partial(self._work, self._queue), f"worker-{self._workers}")

    def _relieve(self) -> None:
        """More workers when tasks wait and none of their steps ended between three looks: hosts that hang hold them."""
        stuck = self._ended == self._ended_before and not self._queue.empty()
        if stuck and self._stuck and self._workers < MAX_WORKERS:
            logger.warning("all %d workers wait for something outside: adding more", self._workers)
            self._add_workers()
        self._ended_before, self._stuck = self._ended, stuck

    def _thread(self, target: Any, name: str) -> None:
        thread = threading.Thread(target=target, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def stop(self) -> None:
        """Finish the steps under way, start no other."""
        with self._condition:
            self._stopping = True
            self._condition.notify_all()
        self._queue.close()
        self._transfers.close()
        until = time.monotonic() + STOP_WITHIN_S
        for thread in self._threads:
            thread.join(timeout=max(until - time.monotonic(), 0))

    def wake(self, task_ids: Iterable[str]) -> None:
        """Another process says that these tasks are due."""
        for task_id in task_ids:
            self._at(0.0, task_id)

    def _adopt(self, task: Claimed, heard: float | None = None) -> None:
        """Queue a task leased to us. For one that is queued or running already, keep how many signals were `heard` of:
        unless its steps meet them, it is looked at again when it ends. One that waits for a transfer may have been
        diverted: its newer copy takes its place.
        """
        with self._condition:
            if task.id in self._held:
                self._held[task.id] = max(self._held[task.id], task.signals if heard is None else heard)
                if not self._transfers.withdraw(task):
                    return
            else:
                self._held[task.id] = 0
        (self._transfers if self._is_transfer(task) else self._queue).put(task)

    def _is_transfer(self, task: Claimed) -> bool:
        lifecycle = self.lifecycles.get(task.kind)
        return lifecycle is not None and lifecycle.next_step(task.step, task.divert) in lifecycle.transfers

    def _work(self, waiting: WaitingTasks) -> None:
        while (task := waiting.get()) is not None:
            try:
                self.run_task(task, waiting)
            except WorkerDied:
                return
            except Exception:
                logger.exception("task %s: the worker failed; the lease runs out and it goes on", task.id)
            finally:
                waiting.done(task)

    def _keep_time(self) -> None:
        renewed = looked = clock.now()
        while not self._stopping:
            try:
                if clock.now() - looked > LOOK_FOR_DEAD_S:
                    looked = clock.now()
                    self.release_dead()
                self._free_dropped()
                self._queue_due()
                self._relieve()
                if clock.now() - renewed > self.options.lease_s / 3:
                    renewed = clock.now()
                    self._renew()
            except DatabaseFailure as failure:
                logger.warning("looking for due tasks failed: %s", failure)
            except Exception:
                logger.exception("looking for due tasks failed")
            until = clock.now() + self.options.poll_s
            while not self._stopping and (left := until - clock.now()) > 0:
                with self._condition:
                    first = self._timers[0][0] - clock.now() if self._timers else left
                    if first > 0:
                        self._condition.wait(min(left, first))
                    due = self._due_timers()
                with contextlib.suppress(Exception):
                    for task in self._claim(len(due), due) if due else ():
                        self._adopt(task, _NEW_LEASE)
                    self._look_at_waiting(due)

    def _look_at_waiting(self, task_ids: list[str]) -> None:
        """Of tasks that another process woke, those that wait here for a transfer may have been diverted."""
        for task_id in filter(self._transfers.holds, task_ids):
            with self.database.read() as tx:
                task = HELD.first(tx, task_id=task_id, owner=self.owner, now=clock.now())
            if task is not None:
                self._adopt(task)

    def _due_timers(self) -> list[str]:
        due: list[str] = []
        while self._timers and len(due) < MOST_AT_ONCE and self._timers[0][0] <= clock.now():
            due.append(heapq.heappop(self._timers)[1])
        return due

    def _at(self, moment: float, task_id: str) -> None:
        with self._condition:
            heapq.heappush(self._timers, (moment, task_id))
            self._condition.notify()

    def _queue_due(self) -> None:
        for task in self._claim(64):
            self._adopt(task, _NEW_LEASE)

    def _free_dropped(self) -> None:
        """Make due what a failure of the database stopped here, with the first write that works again."""
        with self._condition:
            dropped = self._dropped - self._held.keys()
        if not dropped:
            return
        now = clock.now()
        ours = (Task.id.in_(dropped), Task.lease_owner == self.owner, Task.lease_until >= now)
        self.database.write(lambda tx: tx.execute(update(Task).where(*ours).values(lease_until=0.0, wake_at=now)))
        with self._condition:
            self._dropped -= dropped

    def _renew(self) -> None:
        """Keep the leases of what is queued or running here."""
        with self._condition:
            held = list(self._held)
        if held:
            until = clock.now() + self.options.lease_s
            statement = update(Task).where(Task.id.in_(held), Task.lease_owner == self.owner, Task.lease_until > 0)
            self.database.write(lambda tx: tx.execute(statement.values(lease_until=until)))

    # -- claiming ----------------------------------------------------------------------------------------

    def _claim(self, most: int, wanted: list[str] | None = None) -> list[Claimed]:
        """Lease up to `most` due tasks to this worker, or those of these that are due."""
        now = clock.now()
        with self.database.read() as tx:
            found = ARE_DUE.all(tx, now=now, wanted=wanted) if wanted else FIND_DUE.all(tx, now=now, most=most)
        if not found:
            return []
        values = {"found": found, "now": now, "owner": self.owner, "until": now + self.options.lease_s}
        return self.database.write(lambda tx: LEASE.all(tx, **values))

    def release_dead(self) -> None:
        """Free the leases of workers of this machine that no longer live, so that nobody waits for them to run out."""
        owners.release_dead(self.database, self.owner)

    # -- running -----------------------------------------------------------------------------------------

    def run_due(self, most: int = 1000) -> int:
        """Run what is due, and what that makes due, on this thread; returns how many tasks ran. For tests."""
        self._free_dropped()
        count = 0
        while count < most:
            batch = [*self._queue.take_all(), *self._transfers.take_all()]
            if not batch:
                for task in self._claim(16):
                    self._adopt(task, _NEW_LEASE)
                if self._queue.empty() and self._transfers.empty():
                    return count
            for task in batch:
                count += 1
                self.run_task(task)
        raise AssertionError(f"more than {most} tasks ran: some task never comes to rest")

    def run_task(self, task: Claimed, source: WaitingTasks | None = None) -> None:
        """Run steps until the task waits, sleeps, ends, is lost to another worker, or comes to a transfer.

        `source` is what the calling thread works for; without one it makes transfers too.
        """
        current: Claimed | None = task
        before, handed_over = log.origin(), False
        try:
            while current is not None and not handed_over:
                try:
                    handed_over = self._run_steps(current, source)
                except LeaseLostError:
                    logger.info("%s %s: its task went to another worker", task.kind, task.resource_id)
                if not handed_over:
                    current = self._look_again(current)
        except DatabaseFailure as failure:
            logger.warning("%s %s: goes on when the database works again: %s", task.kind, task.resource_id, failure)
            with self._condition:
                self._dropped.add(task.id)
        finally:
            if not handed_over:
                with self._condition:
                    self._held.pop(task.id, None)
            log.work_for(before)

    def _run_steps(self, task: Claimed, source: WaitingTasks | None) -> bool:
        """Run steps while one follows another at once. True when the task went over to the threads for transfers."""
        while not self._stopping:
            if source is self._queue and self._is_transfer(task):
                self._transfers.put(task)
                return True
            again = self._run_step(task)
            self._ended += source is self._queue
            if not again:
                break
        return False

    def _look_again(self, task: Claimed) -> Claimed | None:
        """The task's present row when a signal came that no move saw, and its lease is ours; else let go of it."""
        seen: float = task.signals
        while True:
            with self._condition:
                heard = self._held.get(task.id, 0)
                if heard <= seen:
                    self._held.pop(task.id, None)
                    return None
                self._held[task.id] = 0
            with self.database.read() as tx:
                found = HELD.first(tx, task_id=task.id, owner=self.owner, now=clock.now())
            if found is not None:
                return found
            seen = 0

    def _run_step(self, task: Claimed) -> bool:
        """Run one step and commit its outcome; True when another is to follow at once."""
        log.work_for(log.Origin.of(task.origin))
        lifecycle = self.lifecycles[task.kind]
        self._choose_step(lifecycle, task)
        run = Run(task.resource_id, task.step, dict(task.data), task.attempts, clock.now())
        begun, started, failed = story.Begun.of(task), time.perf_counter(), False
        self.hooks.before_step(task)
        transactional = lifecycle.transactional.get(task.step)
        try:
            if transactional:
                outcome, again = self.database.write(lambda tx: self._in_one(tx, task, run, transactional))
            else:
                outcome = lifecycle.steps[task.step](run)
                self.hooks.before_commit(task, outcome)
                again = self.database.write(lambda tx: self._move(tx, task, run, outcome))
        except (LeaseLostError, DatabaseFailure):
            raise  # nothing is written of it, or it is not known: the task's row says where it goes on
        except Exception as error:
            failed = True
            run.data = dict(task.data)  # what the step noted was to commit with its outcome
            outcome = self._after_failure(lifecycle, task, run, error)
            failed_run, failed_outcome = run, outcome
            again = self.database.write(lambda tx: self._move(tx, task, failed_run, failed_outcome))
        if self._metrics:
            self._metrics.steps.labels(task.kind, type(outcome).__name__).inc()
        gives_up = not failed and isinstance(outcome, Goto) and outcome.step == lifecycle.failed
        problem = run.error.get("text", "") if gives_up else ""
        story.ended(begun, outcome, time.perf_counter() - started, failed=failed, problem=problem)
        self.hooks.after_commit(task, outcome)
        return again

    def _in_one(self, tx: Tx, task: Claimed, run: Run, step: Any) -> tuple[Outcome, bool]:
        run.data = dict(task.data)
        outcome = step(run, tx)
        self.hooks.before_commit(task, outcome)
        return outcome, self._move(tx, task, run, outcome)

    def _choose_step(self, lifecycle: Lifecycle, task: Claimed) -> None:
        if task.divert and task.step not in lifecycle.ending:
            task.step, task.attempts, task.deadline_at = task.divert, 0, None
        elif task.deadline_at is not None and task.on_deadline and task.deadline_at <= clock.now():
            logger.warning("%s %s: %s took too long: %s", task.kind, task.resource_id, task.step, task.reason)
            task.data = {**task.data, "error": _problem(task.step, f"timed out: {task.reason}", "")}
            task.step, task.deadline_at, task.attempts = task.on_deadline, None, 0

    def _after_failure(self, lifecycle: Lifecycle, task: Claimed, run: Run, error: Exception) -> Outcome:
        final = isinstance(error, PermanentFailureError)
        text = f"{type(error).__name__}: {error}"
        run.attempts += 1
        ending = task.step in lifecycle.ending
        if not ending and (final or run.attempts >= lifecycle.attempts) and task.step != lifecycle.failed:
            logger.error("%s %s: %s gave up: %s", task.kind, task.resource_id, task.step, text, exc_info=not final)
            run.data["error"] = _problem(task.step, text, getattr(error, "public", ""))
            return Goto(lifecycle.failed)
        pause = min(lifecycle.retry_s * 2 ** (run.attempts - 1), MAX_BACKOFF_S)
        return Sleep(pause, f"trying {task.step} again after: {text}"[:2000])

    def _move(self, tx: Tx, task: Claimed, run: Run, outcome: Outcome) -> bool:
        """Write the outcome and the new state of the task, if it is still ours."""
        if not isinstance(outcome, Done | Goto | Wait | Sleep):
            raise TypeError(f"step {task.step} of {task.kind} returned {outcome!r}")
        if outcome.commit is not None:
            outcome.commit(tx)
        if isinstance(outcome, Done):
            if not END.run(tx, task_id=task.id, owner=self.owner):
                raise LeaseLostError
            return False
        values = self._values(task, run, outcome)
        row = MOVE.first(tx, **values, task_id=task.id, owner=self.owner)
        if row is None:
            raise LeaseLostError
        signalled = row.signals != task.signals
        again = isinstance(outcome, Goto) or signalled
        if not again and values["rest_wake"] is not None:
            tx.on_commit(lambda: self._at(self._wake_moment(outcome), task.id))
        self._remember(tx, task, run, outcome, row)
        return again

    def _values(self, task: Claimed, run: Run, outcome: Goto | Wait | Sleep) -> dict[str, Any]:
        """The parameters of `MOVE` for an outcome: one set for a task that goes on, one for one that rests."""
        now = clock.now()
        lease = now + self.options.lease_s
        step = (outcome.step if isinstance(outcome, Goto | Wait) else None) or task.step
        rests = isinstance(outcome, Wait) and outcome.deadline_s is None
        common = {
            "new_data": run.data,
            "new_step": step,
            "seen": task.signals,
            "now": now,
            "lease": lease,
            "rests": rests,
        }
        if isinstance(outcome, Goto):
            return common | {
                "new_attempts": 0,
                "new_reason": "",
                "new_deadline": None,
                "new_on_deadline": None,
                "rest_wake": now,
                "rest_lease": lease,
            }
        rest = self._waiting(task, outcome, now)
        return common | {
            "new_attempts": run.attempts if isinstance(outcome, Sleep) else 0,
            "new_reason": outcome.reason,
            "new_deadline": rest.deadline_at,
            "new_on_deadline": rest.on_deadline,
            "rest_wake": rest.wake_at,
            "rest_lease": 0.0,
        }

    def _waiting(self, task: Claimed, outcome: Wait | Sleep, now: float) -> _Rest:
        deadline, on_deadline = task.deadline_at, task.on_deadline
        if isinstance(outcome, Wait) and outcome.step not in (None, task.step):
            deadline = None  # another step's wait begins
        if outcome.deadline_s is not None:
            deadline, on_deadline = deadline or now + outcome.deadline_s, outcome.on_deadline
        if isinstance(outcome, Sleep):
            return _Rest(min(now + outcome.seconds, deadline or now + outcome.seconds), deadline, on_deadline)
        return _Rest(deadline, deadline, on_deadline) if outcome.deadline_s is not None else _Rest(None, None, None)

    def _wake_moment(self, outcome: Outcome) -> float:
        seconds = outcome.seconds if isinstance(outcome, Sleep) else getattr(outcome, "deadline_s", None) or 0.0
        return clock.now() + seconds

    def _remember(self, tx: Tx, task: Claimed, run: Run, outcome: Outcome, row: Any) -> None:
        """Bring the copy in memory up to date after the commit, for the next step on this thread."""

        def update_copy() -> None:
            task.data, task.attempts, task.signals, task.divert = run.data, run.attempts, row.signals, row.divert
            task.origin = row.origin
            if isinstance(outcome, Goto):
                task.step, task.attempts, task.deadline_at, task.reason = outcome.step, 0, None, ""
                return
            if isinstance(outcome, Wait | Sleep):
                rest = self._waiting(task, outcome, clock.now())
                task.deadline_at, task.on_deadline, task.reason = rest.deadline_at, rest.on_deadline, outcome.reason
            if isinstance(outcome, Wait):
                task.step, task.attempts = outcome.step or task.step, 0

        tx.on_commit(update_copy)


def _problem(step: str, text: str, public: str) -> dict[str, str]:
    return {"step": step, "text": text[:4000], "public": public}
