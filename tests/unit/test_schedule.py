"""Periodic work: one timer and a few threads, whatever the number of jobs."""

from __future__ import annotations

import logging
import threading
import time

import pytest

from gureum.foundation.db.failures import DatabaseFailure
from gureum.foundation.schedule import Periodic, Schedule

PATIENCE_S = 10


@pytest.fixture
def start():
    schedules = []

    def started(*jobs, **options):
        schedule = Schedule(**options)
        schedule.add(*jobs)
        schedule.start()
        schedules.append(schedule)
        return schedule

    yield started
    for schedule in schedules:
        schedule.stop()


class Turns:
    """A job that counts, and says when it has had `enough` turns."""

    def __init__(self, enough=3, failure=None):
        self.count, self.enough, self.failure, self.done = 0, enough, failure, threading.Event()

    def __call__(self):
        self.count += 1
        if self.count >= self.enough:
            self.done.set()
        if self.failure:
            raise self.failure


def threads_of_schedules():
    return [one.name for one in threading.enumerate() if one.name.startswith("schedule")]


def test_each_job_has_its_turns_at_its_pace(start):
    quick, slow, at_once = Turns(5), Turns(1), Turns(1)
    start(Periodic("quick", 0.01, quick), Periodic("slow", 3600, slow), Periodic("once", 3600, at_once, at_once=True))
    assert quick.done.wait(PATIENCE_S)
    assert at_once.done.wait(PATIENCE_S)
    assert (slow.count, at_once.count) == (0, 1)


def test_jobs_can_come_later(start):
    schedule, late = start(), Turns(2)
    schedule.add(Periodic("late", 0.01, late))
    schedule.start()
    assert late.done.wait(PATIENCE_S)


def test_many_jobs_take_few_threads(start):
    turns = [Turns(2) for _ in range(40)]
    start(*(Periodic(f"job-{number}", 0.01, one) for number, one in enumerate(turns)), max_threads=3)
    assert all(one.done.wait(PATIENCE_S) for one in turns)
    assert len(threads_of_schedules()) <= 4


def test_jobs_that_are_seldom_due_share_a_thread(start):
    turns = [Turns(3) for _ in range(3)]
    start(Periodic("a", 0.05, turns[0]))
    assert turns[0].done.wait(PATIENCE_S)
    assert len(threads_of_schedules()) == 2


def test_a_job_never_runs_beside_itself(start):
    beside, running, enough = [], threading.Lock(), threading.Event()

    def work():
        if not running.acquire(blocking=False):
            beside.append(1)
            return
        time.sleep(0.03)
        running.release()
        work.turns += 1
        if work.turns == 4:
            enough.set()

    work.turns = 0
    start(Periodic("slow", 0.001, work))
    assert enough.wait(PATIENCE_S)
    assert not beside


def test_jobs_that_hang_delay_no_other_while_a_thread_is_free(start):
    hang, quick = threading.Event(), Turns(3)
    hanging = [Periodic(f"hangs-{number}", 0.001, lambda: hang.wait(PATIENCE_S)) for number in range(3)]
    start(*hanging, Periodic("quick", 0.01, quick), max_threads=4)
    try:
        assert quick.done.wait(PATIENCE_S / 2)
    finally:
        hang.set()


@pytest.mark.parametrize("failure", [RuntimeError("the disk is full"), DatabaseFailure("the server went away")])
def test_a_failure_is_logged_and_the_next_turn_comes(start, caplog, failure):
    caplog.set_level(logging.WARNING, "gureum.schedule")
    turns = Turns(3, failure)
    start(Periodic("purge", 0.01, turns))
    assert turns.done.wait(PATIENCE_S)
    assert "purge failed; it runs again" in caplog.text


def test_stop_waits_for_turns_under_way_and_begins_no_other(start):
    begun, ended, turns = threading.Event(), threading.Event(), Turns(99)

    def work():
        begun.set()
        time.sleep(0.2)
        ended.set()

    schedule = start(Periodic("slow", 0.001, work), Periodic("quick", 0.001, turns))
    assert begun.wait(PATIENCE_S)
    schedule.stop()
    assert ended.is_set()
    count = turns.count
    time.sleep(0.05)
    assert turns.count == count


def test_stop_waits_no_longer_than_it_is_told(start):
    hang = threading.Event()
    schedule = start(Periodic("hangs", 0.001, lambda: hang.wait(PATIENCE_S)))
    time.sleep(0.05)
    began = time.monotonic()
    schedule.stop(within_s=0.2)
    assert time.monotonic() - began < 3
    hang.set()
