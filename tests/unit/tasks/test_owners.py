"""Leases of dead processes of this machine are freed; those of the living and of other machines are not."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import select

from gureum.foundation import clock
from gureum.foundation.db.types import Row
from gureum.foundation.tasks import owners
from gureum.foundation.tasks.model import Lease, Task
from gureum.foundation.tasks.steps import step
from gureum.foundation.tasks.store import Tasks

NAME_ONESELF = "from gureum.foundation.tasks.owners import own_name; print(own_name('x'), flush=True); input()"


@pytest.fixture
def child():
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3] / "src")}
    process = subprocess.Popen(
        [sys.executable, "-c", NAME_ONESELF], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    process.owner = process.stdout.readline().strip()
    yield process
    process.kill()
    process.communicate()


@step
def make(_run):
    raise NotImplementedError


def _hold(database, owner):
    """The owner has a task that is due, one that rests, and a lease."""
    Row.metadata.create_all(database.engine)
    tasks = Tasks()

    def work(tx):
        for one in ("held", "resting"):
            tasks.create(tx, "thing", one, make)
        tx.flush()
        now = clock.now()
        for task in tx.scalars(select(Task)):
            task.lease_owner = owner
            task.lease_until = now + 1000 if task.resource_id == "held" else 0.0
            task.wake_at = now if task.resource_id == "held" else None
        tx.add(Lease(name="network-writer", owner=owner, until=now + 1000))

    database.write(work)


def _state(database):
    with database.read() as tx:
        held = {task.resource_id: (task.lease_until > 0, task.wake_at is not None) for task in tx.scalars(select(Task))}
        return held, len(tx.scalars(select(Lease)).all())


HELD = {"held": (True, True), "resting": (False, False)}


def test_what_a_killed_process_held_is_free_before_it_is_reaped(database, child):
    _hold(database, child.owner)
    owners.release_dead(database, owners.own_name("me"))
    assert _state(database) == (HELD, 1), "it lives"
    child.kill()
    deadline = time.monotonic() + 10
    while owners.is_alive(child.owner):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    owners.release_dead(database, owners.own_name("me"))
    assert _state(database) == ({"held": (False, True), "resting": (False, False)}, 0)


@pytest.mark.parametrize("change", ["machine", "namespace"])
def test_processes_elsewhere_are_not_called_dead(database, child, change):
    machine, rest = child.owner.split("/", 1)
    name, namespace = machine.split(":")
    elsewhere = f"other:{namespace}/{rest}" if change == "machine" else f"{name}:1/{rest}"
    child.kill()
    child.wait()
    _hold(database, elsewhere)
    owners.release_dead(database, owners.own_name("me"))
    assert _state(database) == (HELD, 1)


def test_a_pid_that_another_process_has_now_is_dead(child):
    machine, pid, start, part = child.owner.split("/")
    assert owners.is_alive(child.owner)
    assert not owners.is_alive(f"{machine}/{pid}/{int(start) - 1}/{part}")
