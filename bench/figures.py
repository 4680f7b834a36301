"""A measured figure, the reach it is held against, and the table of them."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Figure:
    """One row. `reach` is a number in the figure's own unit (None: only shown), `least` whether less is better."""

    name: str
    value: float
    unit: str
    reach: float | None = None
    least: bool = False
    limit: str = ""
    note: str = ""

    @property
    def reached(self) -> bool | None:
        if self.reach is None:
            return None
        return self.value <= self.reach if self.least else self.value >= self.reach


def number(value: float) -> str:
    """Three significant digits, thousands in groups."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def line(figure: Figure) -> str:
    """One row as text."""
    mark = {True: "yes", False: "NO", None: ""}[figure.reached]
    bound = "" if figure.reach is None else f"{'<=' if figure.least else '>='} {number(figure.reach)}"
    measured = f"{number(figure.value)} {figure.unit}"
    return f"{figure.name:<58} {measured:>16} {bound:>9} {mark:>4}  {figure.limit}{' | ' + figure.note if figure.note else ''}"


def machine() -> str:
    """The machine in a few words: processors, memory, system, Python."""
    memory_gib = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / (1 << 30)
    release = Path("/etc/os-release").read_text() if Path("/etc/os-release").exists() else ""
    fields = dict(entry.split("=", 1) for entry in release.splitlines() if "=" in entry)
    system = fields.get("PRETTY_NAME", platform.system()).strip('"')
    return f"{os.cpu_count()} cores, {memory_gib:.0f} GiB, {system}, Python {platform.python_version()}"


def save(figures: Iterable[Figure], file: Path) -> None:
    """The figures as JSON, for comparing runs."""
    rows = [asdict(figure) | {"reached": figure.reached} for figure in figures]
    file.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n")
