"""What the supervisor is told to keep running: one declarative record for each process, and nothing that acts.

A plan crosses a process boundary as JSON (`plan.json`); the supervisor imports the standard library only, so the
records are dataclasses. Texts may hold `{pid:NAME}`, replaced by the process id of that daemon when it is used: links
between namespaces are made by naming the namespaces' holders. Read `keeper.py` for how a record comes to life.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

ReadyKind = Literal["started", "file", "socket", "command"]


@dataclass(frozen=True, slots=True)
class Ready:
    """When a daemon counts as ready: at once, or when a file exists, a unix socket accepts, a command succeeds.

    `target` is the path, or the script given to `sh -ec` inside the daemon's namespace.
    """

    kind: ReadyKind = "started"
    target: str = ""
    timeout_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Daemon:
    """One process of the lab.

    `inside` names the namespace set that it runs in (empty: the machine's own); `holds` says that the process is
    the one that makes and holds the namespace set of its own name. `before` and `after` are shell scripts that may
    run any number of times; both run inside the namespace set, `outside` runs in the machine's own, between them.
    """

    name: str
    title: str
    argv: tuple[str, ...]
    inside: str = ""
    holds: bool = False
    environment: dict[str, str] = field(default_factory=dict)
    before: str = ""
    ready: Ready = Ready()
    outside: str = ""
    after: str = ""
    stop_signal: str = "TERM"
    stop_timeout_s: float = 5.0
    depends: tuple[str, ...] = ()

    def digest(self) -> str:
        """Names what runs: a running process with another digest is replaced, not adopted."""
        seen = json.dumps([self.argv, self.environment, self.inside, self.holds], sort_keys=True)
        return hashlib.sha256(seen.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Cleanup:
    """What the machine's own namespace holds of the lab: gone after `down`."""

    links: tuple[str, ...] = ()
    nft_table: str = ""
    sysctl: dict[str, str] = field(default_factory=dict)  # to put back: file under /proc/sys -> value


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole lab as the supervisor sees it."""

    lab: str
    daemons: tuple[Daemon, ...]
    namespaces: tuple[str, ...] = ()
    cleanup: Cleanup = Cleanup()


def write_plan(plan: Plan, file: Path) -> None:
    """Replace `file` in one move, readable by its owner only: environments may hold a password."""
    fresh = file.with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.write_text(json.dumps(asdict(plan), indent=1))
    fresh.replace(file)


def read_plan(file: Path) -> Plan:
    """Raise FileNotFoundError when there is none."""
    found = json.loads(file.read_text())
    cleanup = found["cleanup"]
    return Plan(
        lab=found["lab"],
        daemons=tuple(_daemon(one) for one in found["daemons"]),
        namespaces=tuple(found["namespaces"]),
        cleanup=Cleanup(tuple(cleanup["links"]), cleanup["nft_table"], cleanup["sysctl"]),
    )


def _daemon(found: dict[str, Any]) -> Daemon:
    found = dict(found)
    for name in ("argv", "depends"):
        found[name] = tuple(found[name])
    return Daemon(**(found | {"ready": Ready(**found["ready"])}))


def in_order(daemons: Iterable[Daemon]) -> Iterator[Daemon]:
    """Dependencies first. Raise ValueError for a circle or an unknown name: a plan's own mistake."""
    waiting = {daemon.name: daemon for daemon in daemons}
    known, done = set(waiting), set[str]()
    while waiting:
        ready = [daemon for daemon in waiting.values() if done.issuperset(daemon.depends)]
        if not ready:
            unknown = {name for daemon in waiting.values() for name in daemon.depends} - known
            raise ValueError(f"these daemons wait for each other or for nobody: {sorted(waiting)} {sorted(unknown)}")
        for daemon in ready:
            yield daemon
            done.add(daemon.name)
            del waiting[daemon.name]
