"""`gureum logs` and `gureum trace`: reading what the processes wrote, in the line format of `foundation/log.py`."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from gureum.cli.tables import print_json
from gureum.cli.terminal import become
from gureum.foundation.redact import redact
from gureum.lab.refusal import Refusal
from gureum.lab.state import StateFolder

_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z ")
_TOOK = re.compile(r" took=(\d+\.\d{3})ms$")


def show_logs(state: StateFolder, name: str, lines: int, follow: bool) -> None:
    """Hand over to tail(1), which knows how to follow."""
    there = {file.stem: file for file in sorted(state.logs.glob("*.log"))}
    if not there:
        raise Refusal(f"There are no logs in {state.logs}.", "`gureum up` starts a cloud.")
    if not name:
        print(f"Logs: {' '.join(there)}\n", flush=True)
        name = "control" if "control" in there else next(iter(there))
    if name not in there:
        raise Refusal(f"There is no log {name!r}.", f"There are: {' '.join(there)}")
    become(["tail", "-n", str(lines), *(["-F"] if follow else []), str(there[name])])


def print_trace(state: StateFolder, request_id: str, as_json: bool = False) -> int:
    """Print the story of a request. Refusal when nobody spoke of it."""
    story = [(began, name, redact(record)) for began, name, record in trace(state.logs, request_id)]
    if as_json:
        print_json([{"began": began, "log": name, "record": record} for began, name, record in story])
    else:
        for _, name, record in story:
            print(f"{name:<16} {record}")
    if not story:
        raise Refusal(f"No log has a line of {request_id}.", "Ids are in the answer's x-openstack-request-id header.")
    return 0


def trace(folder: Path, request_id: str) -> Iterator[tuple[str, str, str]]:
    """(when it began, log's name, record) of every record that carries the id, in order of time, over all logs.

    What took time is logged when it ended and told where it began: a call stands before what it caused.
    """
    files = [file for file in sorted(folder.iterdir()) if file.name.endswith((".log", ".log.1"))]
    return heapq.merge(*(_records(file, request_id) for file in files))


def _records(file: Path, request_id: str) -> list[tuple[str, str, str]]:
    """A record is a stamped line with those after it that have no stamp: a traceback belongs to its line."""
    found: list[tuple[str, str, str]] = []
    name = file.name.partition(".log")[0]
    mine = False
    with file.open(errors="replace") as lines:
        for line in lines:
            text = line.rstrip("\n")
            if _STAMP.match(text):
                mine = _request_of(text) == request_id
                if mine:
                    found.append((_began(text), name, text))
            elif mine:
                stamp, _, record = found[-1]
                found[-1] = (stamp, name, f"{record}\n{text}")
    return sorted(found, key=lambda one: one[0])


def _request_of(line: str) -> str:
    """The request whose work the line tells: its fifth word. An id within the message is another request's talk."""
    words = line.split(" ", 5)
    return words[4] if len(words) == 6 else ""


def _began(line: str) -> str:
    """The line's stamp, set back by the time that it says it took."""
    stamp = line.partition(" ")[0]
    spent = _TOOK.search(line)
    if spent is None:
        return stamp
    began = datetime.fromisoformat(stamp) - timedelta(milliseconds=float(spent[1]))
    return began.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
