"""Who holds a lease: a name that tells a process of this machine apart from every other, for ever.

`host:namespace/pid/start/part`: the machine's name with its process namespace (containers may share a name), the pid
and the kernel's start time of the process. So the processes of a machine see which owners of theirs are dead, and
nobody waits for those leases to run out. Invariant: an owner of another machine or namespace is never called dead.
Read next: `engine.py`.
"""

from __future__ import annotations

import logging
import os
import socket
from pathlib import Path

from sqlalchemy import delete, select, update

from gureum.foundation import clock
from gureum.foundation.db.engine import Database, Tx
from gureum.foundation.tasks.model import Lease, Task

log = logging.getLogger("gureum.tasks")


def own_name(part: str) -> str:
    """The name of this process as an owner; `part` tells several owners in it apart."""
    pid = os.getpid()
    return f"{_machine()}/{pid}/{_start_time(pid)}/{part}"


def release_dead(database: Database, mine: str) -> None:
    """Free the leases of owners of this machine that no longer live. `mine` is the caller's own name."""
    now, here = clock.now(), _machine() + "/"
    # What is leased is due, and the index is on that.
    leased = select(Task.lease_owner).where(Task.wake_at <= now, Task.lease_until >= now)
    with database.read() as tx:
        owners = {*tx.scalars(leased.distinct()), *tx.scalars(select(Lease.owner).where(Lease.until >= now).distinct())}
    dead = [one for one in owners if one.startswith(here) and one != mine and not is_alive(one)]
    if dead:
        log.info("the owners of leases are dead: %s", ", ".join(dead))
        database.write(lambda tx: _free(tx, dead))


def _free(tx: Tx, owners: list[str]) -> None:
    now = clock.now()
    theirs = (Task.lease_owner.in_(owners), Task.lease_until >= now)
    tx.execute(update(Task).where(*theirs).values(lease_until=0.0, wake_at=now))
    tx.execute(delete(Lease).where(Lease.owner.in_(owners)))


def is_alive(owner: str) -> bool:
    """Whether the process of an owner of this machine lives. One that ended and is not yet reaped does not."""
    _machine_name, pid, start, *_ = owner.split("/")
    return bool(start) and _start_time(int(pid)) == start


def _machine() -> str:
    return f"{socket.gethostname()}:{Path('/proc/self/ns/pid').stat().st_ino}"


def _start_time(pid: int) -> str:
    """The kernel's start time of a living process: with the pid, its name for ever. Empty for any other."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state in "ZX" else fields[18]
