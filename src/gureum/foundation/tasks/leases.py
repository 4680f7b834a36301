"""Named leases: who may do a thing that only one worker does at a time. Reconcilers run under one each.

Invariant: two owners never hold a lease at the same time. One that ends without a word holds it until it runs out, or
until another process of its machine sees that it is dead (`owners.py`).
"""

from __future__ import annotations

from gureum.foundation import clock
from gureum.foundation.db.engine import Database, Tx
from gureum.foundation.schedule import Periodic
from gureum.foundation.tasks.lifecycle import Reconciler
from gureum.foundation.tasks.model import Lease


def take_lease(database: Database, name: str, owner: str, seconds: float) -> bool:
    """Take or renew a named lease. True when `owner` holds it now."""
    now = clock.now()

    def work(tx: Tx) -> bool:
        lease = tx.get(Lease, name)
        if lease is None:
            tx.add(Lease(name=name, owner=owner, until=now + seconds))
            return True
        if lease.owner != owner and lease.until >= now:
            return False
        lease.owner, lease.until = owner, now + seconds
        return True

    with database.read() as tx:
        lease = tx.get(Lease, name)
        if lease is not None and lease.until >= now + seconds / 2:
            return lease.owner == owner
    return database.write(work)


def under_lease(reconciler: Reconciler, database: Database, owner: str) -> Periodic:
    """The job that runs a reconciler, at once and then at its pace, while its lease is free or ours."""
    lease, seconds = f"reconcile:{reconciler.name}", reconciler.every_s * 3 + 30

    def work() -> None:
        if take_lease(database, lease, owner, seconds):
            reconciler.work()

    return Periodic(f"reconcile-{reconciler.name}", reconciler.every_s, work, at_once=True)
