"""Bounds on open connections, shared fairly: whoever holds many makes room for whoever holds few.

A connection belongs to nested groups, named by a key such as (address,) or (network, guest); each level has a limit for
every group of it. At a full group a newcomer takes the place of a connection that waits for its client: first one that
never sent a whole request, of the largest group below, the oldest of them. Connections at work are never ended; when
there are no others, the newcomer is refused. Pure: the caller closes, and holds a lock where threads share it.
"""

from __future__ import annotations

import resource
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

Connection = TypeVar("Connection", bound=Hashable)
Key = tuple[Hashable, ...]

SILENT, AT_REST, AT_WORK = 2, 1, 0
"""Never sent a whole request; between two requests; in one."""

MOST_OPEN_FILES = 65_536
"""Enough for any process of ours; some programs that are started with a higher limit walk through all of it."""


@dataclass(frozen=True, slots=True)
class Limit:
    """How many connections a group may hold. `replaces`: a newcomer may take the place of another one of the group."""

    most: int
    replaces: bool = True


class Connections(Generic[Connection]):
    """Who is connected. `limits` are those of all together, then of each group at level 1, 2, ...; 0 is no limit."""

    def __init__(self, limits: Sequence[Limit], rank: Callable[[Connection], int]) -> None:
        self._limits = tuple(limits)
        self._rank = rank
        self._keys: dict[Connection, Key] = {}
        self._members: dict[Key, OrderedDict[Connection, None]] = {}
        self._silent: dict[Key, OrderedDict[Connection, None]] = {}  # those that were not seen to ask yet
        self._children: dict[Key, dict[Key, None]] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def admit(
        self, connection: Connection, key: Key, close: Callable[[Connection], None], *, unbounded: bool = False
    ) -> bool:
        """Whether the connection may stay; at most one is closed for it, none when it may not.

        `unbounded`: by the first limit alone, so that its other groups may hold more than theirs.
        """
        for level in range(0 if unbounded else len(key), -1, -1):
            limit = self._limits[level]
            if limit.most and len(self._members.get(key[:level], ())) >= limit.most:
                victim = self._replaceable(key[:level], key) if limit.replaces else None
                if victim is None:
                    return False
                self.remove(victim)
                close(victim)
                break  # its place is one in all groups further out as well
        self._keys[connection] = key
        for level in range(len(key) + 1):
            self._members.setdefault(key[:level], OrderedDict())[connection] = None
            self._silent.setdefault(key[:level], OrderedDict())[connection] = None
            if level:
                self._children.setdefault(key[: level - 1], {})[key[:level]] = None
        return True

    def remove(self, connection: Connection) -> None:
        """The connection has ended, or never was."""
        key = self._keys.pop(connection, None)
        if key is None:
            return
        for level in range(len(key), -1, -1):
            group = key[:level]
            members = self._members[group]
            del members[connection]
            self._silent[group].pop(connection, None)
            if not members:
                del self._members[group], self._silent[group]
                if level:
                    self._children[key[: level - 1]].pop(group, None)
                self._children.pop(group, None)

    def _replaceable(self, group: Key, newcomer: Key) -> Connection | None:
        """The connection of the group that makes room, or None."""
        below = self._children.get(group)
        if below is None or len(newcomer) == len(group):
            groups = [group]
        else:
            own = len(self._members.get(newcomer[: len(group) + 1], ()))
            groups = [child for child in below if len(self._members[child]) >= max(own, 1)]
            groups.sort(key=lambda child: len(self._members[child]), reverse=True)
        for candidates in groups:
            if (silent := self._oldest_silent(candidates)) is not None:
                return silent
        for candidates in groups:
            if (at_rest := self._next_at_rest(candidates)) is not None:
                return at_rest
        return None

    def _oldest_silent(self, group: Key) -> Connection | None:
        """Whoever asked once is never looked at again."""
        silent = self._silent[group]
        while silent:
            connection = next(iter(silent))
            if self._rank(connection) == SILENT:
                return connection
            del silent[connection]
        return None

    def _next_at_rest(self, group: Key) -> Connection | None:
        """Those at work go to the end, so that the next newcomer does not look at all of them again."""
        members = self._members[group]
        for _ in range(len(members)):
            connection = next(iter(members))
            if self._rank(connection) == AT_REST:
                return connection
            members.move_to_end(connection)
        return None


def raise_open_files() -> int:
    """Let this process open as many files as it is allowed to; returns how many that are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    reachable = MOST_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < reachable:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (reachable, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
