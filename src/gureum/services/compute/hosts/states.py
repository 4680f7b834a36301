"""Whether hosts are up, for a choice among them and for the API.

Not here: what they offer (`inventories.py`), which servers they have (`drift.py`), how one is asked (`agents`).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from sqlalchemy import Integer, bindparam, select, type_coerce

from gureum.agents.hypervisor.protocol import HostObserved, HypervisorAgent
from gureum.foundation.db.engine import Tx
from gureum.foundation.db.prepared import Prepared, as_tuple
from gureum.foundation.fleet.agents import Agents, Heartbeat
from gureum.services.compute.hosts.model import Host
from gureum.services.compute.servers.rules import HostFacts

FIRST_HOST_WITHIN_S = 60.0

_FLAGS = (type_coerce(Host.disabled, Integer), type_coerce(Host.forced_down, Integer))
"""As the database says them: a choice reads thousands, and turning them into booleans takes as long as the query."""
_STATES = select(Host.name, Host.zone, Host.seen_at, *_FLAGS)
_FACTS = Prepared(_STATES, make=as_tuple)
_FACTS_OF = Prepared(_STATES.where(Host.name.in_(bindparam("names", expanding=True))), make=as_tuple)


class HostStates:
    """One per control-plane process. `agents` are those of the hosts, to be asked."""

    def __init__(self, agents: Agents[HypervisorAgent, HostObserved]) -> None:
        self.agents = agents
        self._lock = threading.Lock()
        self._uptimes: dict[str, str] = {}

    @property
    def timeout_s(self) -> float:
        """After how many silent seconds a host is down."""
        return self.agents.timeout_s

    def facts(self, tx: Tx, names: Sequence[str] | None = None) -> dict[str, HostFacts]:
        """Every host, or those of these names, as placement sees it."""
        rows = _FACTS.all(tx) if names is None else _FACTS_OF.all(tx, names=names)
        return {
            name: HostFacts(zone, not forced and self.agents.is_recent(seen), not disabled)
            for name, zone, seen, disabled, forced in rows
        }

    def is_up(self, seen_at: float | None, *, forced_down: bool | None) -> bool:
        """Whether a host with these columns is up; None are those of a host that is gone."""
        return seen_at is not None and not forced_down and self.agents.is_recent(seen_at)

    def awaits_hosts(self, facts: dict[str, HostFacts]) -> bool:
        """Whether this process is so young that hosts may still report for the first time. It waits longest when it
        knows none.
        """
        if not facts:
            return self.agents.age_s <= FIRST_HOST_WITHIN_S
        return self.agents.age_s <= self.timeout_s and not all(host.up for host in facts.values())

    def arrived(self, beat: Heartbeat[HostObserved]) -> None:
        """Note what only the last heartbeat says."""
        with self._lock:
            self._uptimes[beat.host] = beat.report.uptime

    def uptime(self, name: str) -> str:
        """How long the host is up, as its last heartbeat said; "" when it did not say, or is silent."""
        return self._uptimes.get(name, "") if self.agents.answers(name) else ""
