"""Fills the marked table of docs/operate/performance.md from the JSON that `bench/run --json` wrote.

Only what stands between the two marks changes; a figure that this JSON does not hold keeps its row as it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from bench.figures import Figure, Row, Skipped, words

BEGIN = "<!-- bench: begin -->"
END = "<!-- bench: end -->"
HEAD = ("| figure | measured | reach | limit in the same run | upstream 2026.2 |", "|---|---|---|---|---|")


def fill(text: str, rows: Iterable[Row], conditions: dict[str, object]) -> str:
    """The document with the table between its marks brought up to date. Raises ValueError without the marks."""
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"the document needs one {BEGIN} and one {END}")
    before, _, rest = text.partition(BEGIN)
    old, _, after = rest.partition(END)
    table = {name: line for line in old.splitlines() if (name := _name(line))}
    for row in rows:
        table[row.name] = _line(row, table.get(row.name))
    told = [f"Measured on: {conditions['machine']}; best of {conditions['runs']}; {conditions['load']}."]
    return before + "\n".join([BEGIN, *told, "", *HEAD, *table.values(), END]) + after


def fill_file(file: Path, rows: Iterable[Row], conditions: dict[str, object]) -> None:
    """The same with a file, written back."""
    file.write_text(fill(file.read_text(), rows, conditions))


def _name(line: str) -> str:
    """The figure's name of a table's line; empty for the head and for what is no line of a table."""
    found = re.match(r"\| ([^|]+?) \|", line)
    return found[1] if found and line not in HEAD else ""


def _line(row: Row, old: str | None) -> str:
    if isinstance(row, Skipped):
        return old or f"| {row.name} | not measured: {row.reason} | | | |"
    assert isinstance(row, Figure)
    cells = (row.name, _marked(row), row.bound, words(row.limit, row.note), row.upstream)
    return "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"


def _marked(row: Figure) -> str:
    return row.measured + (" (missed)" if row.reached is False else "")
