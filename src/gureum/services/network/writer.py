"""The network writer: turns everything that changed into one transaction of the engine, and hears which ports are up.

One thread in each process with workers; the lease `network-writer` lets one of them write. It wakes when any process
commits a change (others say so over the bus) and looks by itself now and then. What it reads of the change log and of
the rows is one snapshot, and it deletes exactly the entries that it read, after the engine took them: dying at any
point repeats work, nothing more. Every minute, and when it gets the lease, it compares the engine with all rows and
repairs the difference.
Read next: `changes.py`, `things.py`.
"""

from __future__ import annotations

import logging
import queue
import random
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import cast

from sqlalchemy import bindparam, delete, select, update

from gureum.drivers.network.interface import Kind, NetworkDriverError, Thing
from gureum.foundation import clock
from gureum.foundation.db.engine import Database
from gureum.foundation.db.failures import DatabaseFailure
from gureum.foundation.db.prepared import Prepared, table_of
from gureum.foundation.tasks.leases import take_lease
from gureum.foundation.tasks.model import Lease
from gureum.foundation.tasks.owners import own_name
from gureum.services.network import things
from gureum.services.network.changes import NetworkChange
from gureum.services.network.context import NetworkContext
from gureum.services.network.ports import states

log = logging.getLogger("gureum.network.writer")

LEASE = "network-writer"
LEASE_S = 15.0
POLL_S = 0.5
GAP_S = 0.03
RESYNC_S = 60.0
BATCH = 5000
FEW = 200
MAX_PAUSE_S = 10.0
GIVE_UP_AFTER = 5
ASIDE_S = 30.0


class NetworkWriter:
    """`owner` names this process in the lease; `start` runs the thread, `run_once` does one round for tests.

    `watch` has the engine tell which ports come up and go down; `start` does it too.
    """

    name = "network-writer"

    def __init__(self, database: Database, ctx: NetworkContext, owner: Callable[[], str]) -> None:
        self._database = database
        self._ctx = ctx
        self._owner_of = owner
        self._owner = ""
        self._news: queue.SimpleQueue[tuple[str, bool, str | None]] = queue.SimpleQueue()
        self._untold: dict[str, tuple[bool, str | None]] = {}
        self._lease_seen = 0.0
        self._resynced = 0.0
        self._looked = 0.0
        self._failures = 0
        self._hosts: dict[str, bool] | None = None
        self._aside: dict[int, float] = {}
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._unwatch: Callable[[], None] = lambda: None

    # -- the thread ---------------------------------------------------------------------------------------

    def watch(self) -> None:
        self._unwatch = self._ctx.driver.watch_ports(self._hear)

    def unwatch(self) -> None:
        self._unwatch()

    def start(self) -> None:
        self.watch()
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish the round under way and let go of the lease, so that the next process need not wait for its end."""
        self._stopping.set()
        self._ctx.changes.event.set()
        self._unwatch()
        if self._thread is not None:
            self._thread.join(timeout=10)
        if self._lease_seen:
            mine = (Lease.name == LEASE, Lease.owner == self._owner)
            self._database.write(lambda tx: tx.execute(update(Lease).where(*mine).values(until=0.0)))
            self._lease_seen = 0.0

    def _hear(self, port_id: str, up: bool, host: str | None) -> None:
        self._news.put((port_id, up, host))
        self._ctx.changes.event.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            woken = self._ctx.changes.event.wait(POLL_S * random.uniform(0.8, 1.2))  # noqa: S311 spreading, not secrecy
            self._ctx.changes.event.clear()
            began = clock.now()
            try:
                self.run_once(look=not woken or self._entries_wait())
            except Exception as error:
                self._failures += 1
                pause = min(0.2 * 2 ** min(self._failures, 10), MAX_PAUSE_S)
                known = isinstance(error, NetworkDriverError | DatabaseFailure)
                log.error("the engine is not up to date, again in %.1f s: %s", pause, error, exc_info=not known)  # noqa: TRY400
                self._ctx.changes.event.wait(pause)
            # Whatever comes within the gap goes into one transaction: a busy writer would take one for each port.
            self._stopping.wait(max(0.0, GAP_S - (clock.now() - began)))

    def _entries_wait(self) -> bool:
        """Whether the change log may hold new entries, or was not looked at for long. Asking takes the word back."""
        if self._ctx.changes.entries.is_set():
            self._ctx.changes.entries.clear()
            return True
        return clock.now() - self._looked >= POLL_S

    def run_once(self, *, look: bool = True) -> None:
        """Take the lease if it is free; then write what changed, note which ports came up, compare when it is time.

        Without `look` the change log is left alone: what woke the writer is news of ports.
        """
        if not self._holds_lease():
            self._drop_news()
            return
        now = clock.now()
        if not self._resynced or now - self._resynced >= RESYNC_S:
            self.resync()
            self._resynced = now
        self._note_ports(self._drain_news())
        while look and self._write_changes() == BATCH:
            pass
        self._looked = now if look else self._looked
        self._follow_hosts()
        self._note_ports(self._drain_news())
        self._failures = 0

    def _holds_lease(self) -> bool:
        now = clock.now()
        if self._lease_seen and now - self._lease_seen < LEASE_S / 3:
            return True
        self._owner = self._owner or self._owner_of() or own_name("network")
        held = self._ctx.changes.written_here = take_lease(self._database, LEASE, self._owner, LEASE_S)
        if not held:
            self._lease_seen, self._resynced = 0.0, 0.0
            return False
        self._lease_seen = now
        return True

    # -- changes to the engine ----------------------------------------------------------------------------

    def _write_changes(self) -> int:
        """One batch of the change log, one transaction of the engine; returns how many entries it was."""
        around = self._around()
        with self._database.read() as tx:
            entries = _DUE.all(tx, aside=self._set_aside(), most=BATCH)
            if not entries:
                return 0
            ids: defaultdict[Kind, dict[str, None]] = defaultdict(dict)
            for _, kind, resource_id in entries:
                ids[cast("Kind", kind)][resource_id] = None
            ensure = [
                thing
                for kind in things.KINDS
                if kind in ids
                for thing in things.wanted(tx, kind, list(ids[kind]), around)
            ]
        keys = {things_key(thing) for thing in ensure}
        remove = [(kind, one) for kind in ids for one in ids[kind] if (kind, one) not in keys]
        refused = self._apply(ensure, remove)
        done = [number for number, kind, one in entries if (cast("Kind", kind), one) not in refused]
        if done:
            self._database.write(lambda tx: _FORGET.run(tx, numbers=done))
        again = clock.now() + ASIDE_S
        self._aside |= {number: again for number, kind, one in entries if (cast("Kind", kind), one) in refused}
        return len(entries)

    def _set_aside(self) -> list[int]:
        """Entries of things that the engine refused lately: they wait, so that no other waits for them."""
        self._aside = {number: again for number, again in self._aside.items() if again > clock.now()}
        return list(self._aside)

    def _apply(self, ensure: Sequence[Thing], remove: Sequence[tuple[Kind, str]]) -> set[tuple[Kind, str]]:
        """All at once; after a second failure one by one, so that one bad thing does not hold up the others.

        Returns what the engine refused. Raises when it takes nothing at all: then it is away.
        """
        try:
            self._ctx.driver.apply(ensure, remove)
        except NetworkDriverError as error:
            if not self._failures:
                raise
            log.warning("the batch of %d things is refused, trying them singly: %s", len(ensure), error)
        else:
            return set()
        refused: set[tuple[Kind, str]] = set()
        taken = 0
        if remove:
            self._ctx.driver.apply((), remove)
            taken = 1
        for place, thing in enumerate(ensure, 1):
            try:
                self._ctx.driver.apply([thing])
                taken += 1
            except NetworkDriverError as error:
                log.error("%s %s is refused: %s", *things_key(thing), error)  # noqa: TRY400 the text says it all
                refused.add(things_key(thing))
                if not taken and place in (GIVE_UP_AFTER, len(ensure)):
                    raise
        return refused

    def _follow_hosts(self) -> None:
        """Routers' gateways move when hosts come, go, die or recover."""
        hosts = dict(self._ctx.driver.hosts())
        if hosts == self._hosts:
            return
        if self._hosts is not None:
            with self._database.read() as tx:
                ensure = things.wanted(tx, "router", things.routers_with_gateway(tx), self._around())
            if ensure:
                self._apply(ensure, ())
        self._hosts = hosts

    def _around(self) -> things.Surroundings:
        return things.Surroundings(self._ctx.driver.hosts(), self._ctx.config.dns_servers)

    def resync(self) -> None:
        """Compare everything the engine holds with everything it should hold, and repair the difference.

        The first time, subnets that follow the configuration are written whatever the engine holds of them: an earlier
        writer may have had other options.
        """
        driver = self._ctx.driver
        observed = dict(driver.observe())
        around = self._around()
        with self._database.read() as tx:
            wanted = things.revisions(tx)
            drifted = [key for key, revision in wanted.items() if observed.get(key) != revision]
            ids: defaultdict[Kind, dict[str, None]] = defaultdict(dict)
            for kind, one in drifted:
                ids[kind][one] = None
            if not self._resynced:
                ids["subnet"] |= dict.fromkeys(things.subnets_without_resolvers(tx))
            ensure = [thing for kind in things.KINDS for thing in things.wanted(tx, kind, list(ids[kind]), around)]
        remove = [key for key in observed if key not in wanted]
        if drifted or remove:
            log.info("repairing the engine: %d things differ, %d are to go", len(drifted), len(remove))
        if ensure or remove:
            self._apply(ensure, remove)
        self._note_ports([(port_id, up, host) for port_id, (up, host) in driver.port_states().items()])

    # -- ports that came up -------------------------------------------------------------------------------

    def _drain_news(self) -> list[tuple[str, bool, str | None]]:
        found = []
        while not self._news.empty():
            found.append(self._news.get())
        return found

    def _drop_news(self) -> None:
        self._drain_news()
        self._untold = {}

    def _note_ports(self, news: Sequence[tuple[str, bool, str | None]]) -> None:
        """The latest state of each port, all in one transaction, if any row differs. News that a failure of the
        database kept from the rows are told with the next.
        """
        latest = self._untold | {port_id: (up, host) for port_id, up, host in news}
        if not latest:
            return
        self._untold = latest
        changed = latest
        # What is said to be up has just come up and changes its row. Down are mostly ports that are deleted; and the
        # engine, asked for everything, says little that is new.
        if len(latest) > FEW or not any(up for up, _ in latest.values()):
            with self._database.read() as tx:
                changed = states.differing(tx, latest)
        if changed:
            self._database.write(lambda tx: states.record(tx, self._ctx, changed))
        self._untold = {}


def things_key(thing: Thing) -> tuple[Kind, str]:
    return _KIND_OF[type(thing).__name__], thing.id


_KIND_OF: dict[str, Kind] = {
    "Network": "network",
    "Subnet": "subnet",
    "Port": "port",
    "Router": "router",
    "SecurityGroup": "security_group",
    "FloatingIp": "floating_ip",
}


_DUE = Prepared(
    select(NetworkChange.number, NetworkChange.kind, NetworkChange.resource_id)
    .where(NetworkChange.number.not_in(bindparam("aside", expanding=True)))
    .order_by(NetworkChange.number)
    .limit(bindparam("most"))
)
_FORGET = Prepared(
    delete(table_of(NetworkChange)).where(NetworkChange.number.in_(bindparam("numbers", expanding=True)))
)
