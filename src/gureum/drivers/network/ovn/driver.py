"""The network driver on OVN: the interface's methods, each a few lines over the rooms beside it.

Two databases: it writes the northbound one and listens to the southbound one. Nothing is kept here that they do not
hold, so any number of processes may have a driver each. Invariant: `apply` is one northbound transaction or none.
Read next: `switches.py`, `routers.py` and `groups.py` for the mapping, `northbound.py` for the writing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gureum.drivers.network.interface import (
    FloatingIp,
    Kind,
    Network,
    NetworkDriverError,
    Port,
    Router,
    SecurityGroup,
    Subnet,
    Thing,
)
from gureum.drivers.network.ovn import groups, routers, switches
from gureum.drivers.network.ovn import northbound as north
from gureum.drivers.network.ovn import southbound as south
from gureum.drivers.network.ovn.index import Index
from gureum.drivers.network.ovn.replica import Replica
from gureum.drivers.network.ovn.rows import Picture, RowKey, Surroundings
from gureum.drivers.network.things import Key, refuse_dangling, wanted_by_key

ECHO_PERIOD_S = 5.0
ECHO_GRACE_S = 8.0


class OvnDriver:
    """A NetworkDriver. `northbound` and `southbound` are OVSDB connection methods (ovsdb(7)), e.g. "unix:/run/nb.sock".

    Rows of other owners are neither touched nor seen. Raises NetworkDriverError if a database cannot be reached.
    """

    def __init__(self, northbound: str, southbound: str, *, owner: str, timeout_s: float = 30.0) -> None:
        self._owner = owner
        self._index = Index(owner)
        self._ports = south.PortStates(owner)
        self._liveness = south.Liveness(ECHO_PERIOD_S, ECHO_GRACE_S)
        self._north = Replica(northbound, north.DATABASE, north.COLUMNS, self._index, timeout_s)
        try:
            self._south = Replica(southbound, south.DATABASE, south.COLUMNS, self._ports, timeout_s)
        except NetworkDriverError:
            self._north.close()
            self._ports.close()
            raise

    def apply(self, ensure: Sequence[Thing], remove: Sequence[tuple[Kind, str]] = ()) -> None:
        """As the interface says. Returns when the northbound database has the batch, not when packets flow."""
        wanted = wanted_by_key(ensure, remove)
        if not wanted and not remove:
            return
        with self._south.lock:
            chassis = south.chassis_names(self._south.tables)

        def work(txn: Any) -> None:
            leaving = north.with_contents(remove, wanted, self._index)
            refuse_dangling(wanted, lambda key: key not in leaving and self._index.exists(key))
            around = Surroundings(lambda host: chassis.get(host, host), self._ra_modes(wanted))
            pictures = [_picture(thing, around) for thing in wanted.values()]
            if any(groups.NO_GROUP in picture.groups for picture in pictures):
                pictures.append(groups.no_group(self._owner))
            north.BatchWriter(self._owner, self._index, txn).write(pictures, leaving)

        self._north.transact(work)

    def observe(self) -> Mapping[tuple[Kind, str], int]:
        """The revisions held; INCOMPLETE for a thing some of whose rows or references are gone."""
        with self._north.lock:
            return {key: revision for key, revision in self._index.revisions() if key[0] != groups.NO_GROUP.kind}

    def port_states(self) -> Mapping[str, tuple[bool, str | None]]:
        with self._north.lock:
            wanted = self._index.labelled("port", switches.LABEL_USE, "guest")
        with self._south.lock:
            known = self._ports.snapshot()
        return {port_id: known.get(port_id, south.DOWN) for port_id in wanted}

    def watch_ports(self, on_change: Callable[[str, bool, str | None], None]) -> Callable[[], None]:
        """As the interface says. `on_change` runs in the driver's thread; what it raises is logged."""
        return self._ports.watch(on_change)

    def hosts(self) -> Mapping[str, bool]:
        """As the interface says. Asks the hosts to answer, at most every ECHO_PERIOD_S; the next call knows more."""
        now_s = time.monotonic()
        with self._south.lock:
            due = self._liveness.due(now_s)
        if due:
            number = self._raise_number()
            with self._south.lock:
                self._liveness.asked(now_s, number)
        with self._south.lock:
            return self._liveness.hosts(self._south.tables, now_s)

    def close(self) -> None:
        self._north.close()
        self._south.close()
        self._ports.close()

    def _raise_number(self) -> int:
        numbers: list[int] = [0]

        def work(_txn: Any) -> None:
            for row in self._north.tables["NB_Global"].rows.values():
                row.nb_cfg = row.nb_cfg + 1
                numbers.append(row.nb_cfg)

        self._north.transact(work)
        return numbers[-1]

    def _ra_modes(self, wanted: Mapping[Key, Thing]) -> Callable[[str], str | None]:
        batch = {
            thing.network_id: thing.ipv6_ra_mode
            for thing in wanted.values()
            if isinstance(thing, Subnet) and thing.ip_version == 6 and thing.ipv6_ra_mode is not None
        }

        def mode_of(network_id: str) -> str | None:
            if network_id in batch:
                return batch[network_id]
            for key in self._index.referrers(("network", network_id)):
                held = self._index.row(RowKey(*key)) if key[0] == "subnet" and key not in wanted else None
                if held is not None and switches.LABEL_RA in held.labels:
                    return held.labels[switches.LABEL_RA]
            return None

        return mode_of


def _picture(thing: Thing, around: Surroundings) -> Picture:
    match thing:
        case Network():
            return switches.network(thing)
        case Subnet():
            return switches.subnet(thing)
        case Port():
            return switches.port(thing, around)
        case Router():
            return routers.router(thing, around)
        case SecurityGroup():
            return groups.security_group(thing)
        case FloatingIp():
            return routers.floating_ip(thing)
