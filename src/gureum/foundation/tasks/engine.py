"""Runs due tasks on threads: claim, run steps one after the other, hand back.

The row is the task. A worker holds a lease while it runs one, takes only tasks that it knows, and looks for what others
left: a lease that expired, or whose owner on this machine is dead, is taken by another. The engine knows no service.
Read next: `running.py` for a single step, `store.py` for how tasks come to be.
"""

from __future__ import annotations

import contextlib
import heapq
import logging
import math
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from sqlalchemy import update

from gureum.foundation import clock, log
from gureum.foundation.db.engine import Database
from gureum.foundation.db.failures import DatabaseFailure
from gureum.foundation.metrics import Metrics
from gureum.foundation.tasks import owners
from gureum.foundation.tasks.hooks import Hooks, WorkerDied
from gureum.foundation.tasks.lifecycle import Lifecycle, UnknownStepError
from gureum.foundation.tasks.model import Claimed, Task
from gureum.foundation.tasks.moves import is_transfer
from gureum.foundation.tasks.running import LeaseLostError, Runner
from gureum.foundation.tasks.statements import HELD, Claims
from gureum.foundation.tasks.waiting import WaitingTasks

logger = logging.getLogger("gureum.tasks")

MAX_WORKERS = 64
MOST_AT_ONCE = 256
LOOK_FOR_DEAD_S = 3.0
STOP_WITHIN_S = 10.0
_NEW_LEASE = math.inf
"""The signals heard of a task that was just leased: its row is looked at again after its steps, whatever they saw."""


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
        self, database: Database, options: EngineOptions | None = None, metrics: Metrics | None = None
    ) -> None:
        self.database = database
        self.options = options or EngineOptions()
        self.owner = owners.own_name(f"{id(self):x}")
        self.lifecycles: dict[str, Lifecycle] = {}
        self.claims = Claims(())
        self._runner = Runner(database, self.owner, self.options.lease_s, self._at, metrics)
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

    @property
    def lease_s(self) -> float:
        return self.options.lease_s

    @property
    def hooks(self) -> Hooks:
        return self._runner.hooks

    @hooks.setter
    def hooks(self, hooks: Hooks) -> None:
        self._runner.hooks = hooks

    def register(self, lifecycles: Iterable[Lifecycle]) -> None:
        """Run tasks of these kinds too. Before `start`: no other kind is claimed."""
        self.lifecycles |= {lifecycle.kind: lifecycle for lifecycle in lifecycles}
        self.claims = Claims(tuple(self.lifecycles.values()))

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

    def _thread(self, target: Callable[[], None], name: str) -> None:
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

    def adopt(self, task: Claimed, heard: float | None = None) -> None:
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
        return is_transfer(self.lifecycles[task.kind], task)

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
                        self.adopt(task, _NEW_LEASE)
                    self._look_at_waiting(due)

    def _look_at_waiting(self, task_ids: list[str]) -> None:
        """Of tasks that another process woke, those that wait here for a transfer may have been diverted."""
        for task_id in filter(self._transfers.holds, task_ids):
            with self.database.read() as tx:
                task = HELD.first(tx, task_id=task_id, owner=self.owner, now=clock.now())
            if task is not None:
                self.adopt(task)

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
            self.adopt(task, _NEW_LEASE)

    def _drop(self, task: Claimed) -> None:
        with self._condition:
            self._dropped.add(task.id)

    def _free_dropped(self) -> None:
        """Give back what stopped here before its steps were over, with the first write that works."""
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

    def _claim(self, most: int, ids: list[str] | None = None) -> list[Claimed]:
        """Lease up to `most` due tasks to this worker, or those of these `ids` that are due; only such as it knows."""
        now, claims = clock.now(), self.claims
        if not claims.kinds:
            return []
        with self.database.read() as tx:
            due = claims.are_due.all(tx, now=now, ids=ids) if ids else claims.find_due.all(tx, now=now, most=most)
        if not due:
            return []
        values = {"ids": due, "now": now, "owner": self.owner, "until": now + self.lease_s}
        return self.database.write(lambda tx: claims.lease.all(tx, **values))

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
                    self.adopt(task, _NEW_LEASE)
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
            self._drop(task)
        except UnknownStepError as error:
            logger.info("%s %s: left to a worker of another version: %s", task.kind, task.resource_id, error)
            self._drop(task)
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
            again = self._runner.run_step(self.lifecycles[task.kind], task)
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
