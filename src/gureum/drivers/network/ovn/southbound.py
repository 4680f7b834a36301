"""What the southbound database tells: which ports are up and where, which chassis answer.

Read only. A port's state is taken from its Port_Binding, where ovn-controller writes it first. Whether a chassis
lives is known from its echo: northd hands every new number of NB_Global.nb_cfg to all chassis, each writes it back to
its Chassis_Private row. Invariant: callbacks run in a thread of their own, in the order of the changes.
Read next: ovn-sb(5), Port_Binding, Chassis and Chassis_Private.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gureum.drivers.network.ovn.index import ID, KIND, OWNER
from gureum.drivers.network.ovn.switches import LABEL_USE

LOG = logging.getLogger(__name__)

DATABASE = "OVN_Southbound"
COLUMNS: Mapping[str, Sequence[str]] = {
    "Port_Binding": ("logical_port", "type", "chassis", "up", "external_ids"),
    "Chassis": ("name", "hostname", "other_config"),
    "Chassis_Private": ("name", "nb_cfg"),
}

State = tuple[bool, str | None]
PortWatcher = Callable[[str, bool, str | None], None]
DOWN: State = (False, None)


class PortStates:
    """The states of one owner's guest ports, and those who want to hear of them. A replica's listener."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._states: dict[str, State] = {}
        self._loads = 0
        self._watchers: list[PortWatcher] = []
        self._news: queue.SimpleQueue[tuple[str, State] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._tell, name="ovn-port-states", daemon=True)
        self._thread.start()

    def loaded(self, tables: Mapping[str, Any]) -> None:
        states = {}
        for row in tables["Port_Binding"].rows.values():
            found = self._state(row)
            if found is not None:
                states[found[0]] = found[1]
        vanished = self._states.keys() - states.keys()
        self._states = states
        self._loads += 1
        if self._loads > 1:
            for port_id, state in [*states.items(), *((port_id, DOWN) for port_id in vanished)]:
                self._news.put((port_id, state))

    def changed(self, event: str, row: Any) -> None:
        found = self._state(row) if row._table.name == "Port_Binding" else None  # noqa: SLF001  # its only accessor
        if found is None:
            return
        port_id, state = found
        if event == "delete":
            state = DOWN
            before = self._states.pop(port_id, DOWN)
        else:
            before = self._states.get(port_id, DOWN)
            self._states[port_id] = state
        if state != before:
            self._news.put((port_id, state))

    def snapshot(self) -> dict[str, State]:
        """port id -> state, for the ports that the southbound database knows."""
        return dict(self._states)

    def watch(self, on_change: PortWatcher) -> Callable[[], None]:
        """Call `on_change` from now on, until the returned function is called."""
        self._watchers = [*self._watchers, on_change]

        def stop() -> None:
            remaining = list(self._watchers)
            with contextlib.suppress(ValueError):
                remaining.remove(on_change)
            self._watchers = remaining

        return stop

    def close(self) -> None:
        self._watchers = []
        self._news.put(None)
        self._thread.join(1)

    def _state(self, row: Any) -> tuple[str, State] | None:
        ids = row.external_ids
        if row.type or ids.get(OWNER) != self._owner or ids.get(KIND) != "port" or ids.get(LABEL_USE) != "guest":
            return None
        chassis = row.chassis[0] if row.chassis else None
        if chassis is None or row.up != [True]:
            return ids[ID], DOWN
        return ids[ID], (True, chassis.hostname or chassis.name)

    def _tell(self) -> None:
        while (news := self._news.get()) is not None:
            port_id, state = news
            for watcher in self._watchers:
                try:
                    watcher(port_id, *state)
                except Exception:
                    LOG.exception("a watcher failed on port %s", port_id)


def chassis_names(tables: Mapping[str, Any]) -> dict[str, str]:
    """Host name -> chassis name (system-id). Hold the replica's lock."""
    return {row.hostname: row.name for row in tables["Chassis"].rows.values() if row.hostname}


class Liveness:
    """Which chassis answer to the running number. Not thread safe: the replica's lock guards it."""

    def __init__(self, period_s: float, grace_s: float) -> None:
        self._period_s = period_s
        self._grace_s = grace_s
        self._asked: list[tuple[float, int]] = []
        self._expected = 0

    def due(self, now_s: float) -> bool:
        """Whether it is time to ask again, that is, to raise nb_cfg."""
        return not self._asked or now_s - self._asked[-1][0] >= self._period_s

    def asked(self, now_s: float, number: int) -> None:
        """Every chassis was asked to echo `number` or more at `now_s` (monotonic)."""
        self._asked.append((now_s, number))

    def hosts(self, tables: Mapping[str, Any], now_s: float) -> dict[str, bool]:
        """Host name -> alive and able to be a gateway (it has a bridge into some physical network)."""
        while self._asked and now_s - self._asked[0][0] >= self._grace_s:
            self._expected = self._asked.pop(0)[1]
        echoes = {row.name: row.nb_cfg for row in tables["Chassis_Private"].rows.values()}
        return {
            row.hostname or row.name: echoes.get(row.name, -1) >= self._expected
            and bool(row.other_config.get("ovn-bridge-mappings"))
            for row in tables["Chassis"].rows.values()
        }
