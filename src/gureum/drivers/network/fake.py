"""A virtual network in memory, for `--simulate` and for tests. No packet moves.

It refuses what the real engine refuses, keeps what it was told, and lets a simulated agent say which ports are
plugged where (`bring_up`, `bring_down`). Invariant: a port is up if and only if it exists, is a guest's, is plugged
on a host, and that host may claim it. Every operation costs what it touches, not what exists.
Read next: `interface.py`, `things.py`.
"""

from __future__ import annotations

import contextlib
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from gureum.drivers.network.interface import Kind, Port, Thing
from gureum.drivers.network.things import CONTAINED, INCOMPLETE, Key, references, refuse_dangling, wanted_by_key

PortWatcher = Callable[[str, bool, str | None], None]
_DOWN: tuple[bool, str | None] = (False, None)


class FakeNetworkDriver:
    """A NetworkDriver whose engine is this object's own dictionaries."""

    def __init__(self, hosts: Iterable[str] = ()) -> None:
        self._lock = threading.RLock()
        self._things: dict[Key, Thing] = {}
        self._referrers: defaultdict[Key, set[Key]] = defaultdict(set)
        self._plugged: dict[str, str] = {}
        self._states: dict[str, tuple[bool, str | None]] = {}
        self._hosts: dict[str, bool] = dict.fromkeys(hosts, True)
        self._watchers: list[PortWatcher] = []

    def apply(self, ensure: Sequence[Thing], remove: Sequence[tuple[Kind, str]] = ()) -> None:
        """As the interface says; watchers hear of changed ports before it returns."""
        wanted = wanted_by_key(ensure, remove)
        with self._lock:
            leaving = self._with_contents(remove, wanted)
            refuse_dangling(wanted, lambda key: key in self._things and key not in leaving)
            for key in leaving:
                self._forget(key)
            for key, thing in wanted.items():
                self._forget(key)
                self._things[key] = thing
                for other in references(thing):
                    self._referrers[other].add(key)
            touched = [id_ for kind, id_ in (*leaving, *wanted) if kind == "port"]
            changes = self._settle(touched)
        self._tell(changes)

    def observe(self) -> Mapping[tuple[Kind, str], int]:
        """The revisions held; INCOMPLETE for a thing that refers to one which is gone."""
        with self._lock:
            return {
                key: thing.revision if all(other in self._things for other in references(thing)) else INCOMPLETE
                for key, thing in self._things.items()
            }

    def port_states(self) -> Mapping[str, tuple[bool, str | None]]:
        with self._lock:
            return dict(self._states)

    def watch_ports(self, on_change: PortWatcher) -> Callable[[], None]:
        with self._lock:
            self._watchers.append(on_change)

        def stop() -> None:
            with self._lock, contextlib.suppress(ValueError):
                self._watchers.remove(on_change)

        return stop

    def hosts(self) -> Mapping[str, bool]:
        with self._lock:
            return dict(self._hosts)

    def close(self) -> None:
        with self._lock:
            self._watchers.clear()

    def bring_up(self, port_id: str, host: str) -> None:
        """Plug `port_id` on `host`, as a host's agent does when it starts the server; the port may come later."""
        with self._lock:
            self._plugged[port_id] = host
            self._hosts.setdefault(host, True)
            changes = self._settle([port_id])
        self._tell(changes)

    def bring_down(self, port_id: str) -> None:
        """Unplug `port_id` wherever it is."""
        with self._lock:
            self._plugged.pop(port_id, None)
            changes = self._settle([port_id])
        self._tell(changes)

    def set_host(self, host: str, alive: bool) -> None:
        """Let the engine's agent on `host` live or die; its ports stay as they are, as OVN's do."""
        with self._lock:
            self._hosts[host] = alive

    def reconnect(self) -> None:
        """Tell every watcher of every port, as the real driver does when its engine comes back."""
        with self._lock:
            states = [(port, *state) for port, state in self._states.items()]
        self._tell(states)

    def _with_contents(self, remove: Sequence[Key], wanted: Mapping[Key, Thing]) -> set[Key]:
        leaving: set[Key] = set()
        pending = [key for key in remove if key in self._things]
        while pending:
            key = pending.pop()
            leaving.add(key)
            inside = CONTAINED.get(key[0], ())
            pending.extend(
                other
                for other in self._referrers.get(key, ())
                if other[0] in inside and other not in wanted and other not in leaving
            )
        return leaving

    def _forget(self, key: Key) -> None:
        thing = self._things.pop(key, None)
        if thing is None:
            return
        for other in references(thing):
            self._referrers[other].discard(key)
            if not self._referrers[other]:
                del self._referrers[other]

    def _settle(self, port_ids: Iterable[str]) -> list[tuple[str, bool, str | None]]:
        changes = []
        for port_id in port_ids:
            port = self._things.get(("port", port_id))
            before = self._states.get(port_id, _DOWN)
            if isinstance(port, Port) and port.kind == "guest":
                host = self._plugged.get(port_id)
                up = host is not None and port.host in {None, host}
                self._states[port_id] = after = (up, host if up else None)
            else:
                self._states.pop(port_id, None)
                after = _DOWN
            if after != before:
                changes.append((port_id, *after))
        return changes

    def _tell(self, changes: Iterable[tuple[str, bool, str | None]]) -> None:
        with self._lock:
            watchers = tuple(self._watchers)
        for change in changes:
            for watcher in watchers:
                watcher(*change)
