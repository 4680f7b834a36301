"""A measured figure, the reach it is held against, and the table of them as text and as JSON."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

WIDTHS = (68, 14, 9, 4)


@dataclass(frozen=True, slots=True)
class Figure:
    """One row. `reach` is a number in the figure's own unit (None: only shown), `least` whether less is better.

    `limit` is what the machine or a library did alone in the same run, `upstream` what OpenStack 2026.2 did on a
    machine of the same size (docs/operate/performance.md), in words.
    """

    key: str
    name: str
    value: float
    unit: str
    reach: float | None = None
    least: bool = False
    limit: str = ""
    note: str = ""
    upstream: str = ""

    @property
    def reached(self) -> bool | None:
        if self.reach is None:
            return None
        return self.value <= self.reach if self.least else self.value >= self.reach

    @property
    def measured(self) -> str:
        """The value with its unit."""
        return f"{number(self.value)} {self.unit}".strip()

    @property
    def bound(self) -> str:
        """The reach with its direction; empty when there is none."""
        return "" if self.reach is None else f"{'<=' if self.least else '>='} {number(self.reach)}"


@dataclass(frozen=True, slots=True)
class Skipped:
    """A row that this machine cannot measure, with the reason."""

    key: str
    name: str
    reason: str


Row = Figure | Skipped


def number(value: float) -> str:
    """Three significant digits, thousands in groups."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def best(values: Iterable[float], *, least: bool = False) -> float:
    """The best of the runs. Raises ValueError when there was none."""
    return min(values) if least else max(values)


def median(values: Sequence[float]) -> float:
    """The middle one; of an even number the upper middle. Raises IndexError when there is none."""
    return sorted(values)[len(values) // 2]


def words(*parts: str) -> str:
    """What is not empty, joined."""
    return "; ".join(part for part in parts if part)


def header() -> str:
    """The table's first line."""
    name, value, bound, mark = WIDTHS
    return f"{'figure':<{name}} {'measured':>{value}} {'reach':>{bound}} {'':<{mark}} limit in the same run; notes"


def line(row: Row) -> str:
    """One row as text."""
    name, value, bound, mark = WIDTHS
    if isinstance(row, Skipped):
        return f"{row.name:<{name}} {'skipped':>{value}} {'':>{bound}} {'':<{mark}} {row.reason}"
    said = {True: "yes", False: "NO", None: ""}[row.reached]
    told = words(row.limit, row.note, f"upstream {row.upstream}" if row.upstream else "")
    return f"{row.name:<{name}} {row.measured:>{value}} {row.bound:>{bound}} {said:<{mark}} {told}".rstrip()


def summary(rows: Sequence[Row]) -> str:
    """How many reached what they should, and which did not."""
    held = [row for row in rows if isinstance(row, Figure) and row.reached is not None]
    missed = [row.name for row in held if not row.reached]
    skipped = sum(isinstance(row, Skipped) for row in rows)
    told = [f"{len(held) - len(missed)} of {len(held)} figures reach what they should; {skipped} skipped"]
    return "\n".join([*told, *(f"  not reached: {name}" for name in missed)])


def machine() -> str:
    """The machine in a few words: processors, memory, system, Python, database."""
    memory_gib = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / (1 << 30)
    release = Path("/etc/os-release").read_text() if Path("/etc/os-release").exists() else ""
    fields = dict(entry.split("=", 1) for entry in release.splitlines() if "=" in entry)
    system = fields.get("PRETTY_NAME", platform.system()).strip('"')
    python = f"Python {platform.python_version()}"
    return f"{os.cpu_count()} cores, {memory_gib:.0f} GiB, {system}, {python}, SQLite {sqlite3.sqlite_version} (WAL)"


def load_average() -> str:
    """How much else ran when the bench began: one minute's load."""
    return f"load average {os.getloadavg()[0]:.1f} when it began"


def save(rows: Iterable[Row], file: Path, conditions: dict[str, object]) -> None:
    """The rows as JSON, for comparing runs and for `bench/run --document`."""
    told = []
    for row in rows:
        more = {"reached": row.reached} if isinstance(row, Figure) else {"skipped": True}
        told.append(asdict(row) | more)
    file.write_text(json.dumps({"machine": machine(), **conditions, "rows": told}, indent=1) + "\n")


def load(file: Path) -> tuple[dict[str, object], list[Row]]:
    """What `save` wrote: the conditions, the rows."""
    told = json.loads(file.read_text())
    rows: list[Row] = []
    for entry in told.pop("rows"):
        entry.pop("reached", None)
        rows.append(Skipped(**entry) if entry.pop("skipped", False) else Figure(**entry))
    return told, rows
