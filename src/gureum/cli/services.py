"""`gureum service list`, `enable` and `disable`: which services a cloud carries, what each needs and costs.

Enabling writes [services] of the cloud's gureum.toml and starts the control plane anew: guests and packets do not
notice, tasks go on where they were. If it does not come up with the new list, the old one is put back.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from gureum.cli.tables import print_json, print_table
from gureum.lab.launch import SOURCE, Report
from gureum.lab.plan import services_section
from gureum.lab.process import clean_environment, read_pid_file
from gureum.lab.refusal import Refusal
from gureum.lab.state import StateFolder, only_one, require_config, write_private

if TYPE_CHECKING:
    from gureum.foundation.config import ServicesConfig

_COMES_UP_WITHIN_S = 60.0


class ServiceRow(msgspec.Struct, frozen=True):
    """`import_ms` and `memory_kib` are what the service adds to a process that has those above it."""

    name: str
    enabled: bool
    needs: list[str]
    import_ms: int
    memory_kib: int


def print_services(file: Path, as_json: bool = False) -> int:
    """Print every service that there is, in a table or as JSON."""
    rows = _rows(file)
    if as_json:
        print_json(msgspec.to_builtins(rows))
        return 0
    from rich import box
    from rich.table import Table

    table = Table("service", "enabled", "needs", "start", "memory", box=box.SIMPLE, pad_edge=False)
    for row in rows:
        cost = (f"{row.import_ms} ms", f"{row.memory_kib / 1024:.1f} MiB")
        table.add_row(row.name, "yes" if row.enabled else "no", ", ".join(row.needs), *cost)
    print_table(table)
    return 0


def _rows(file: Path) -> list[ServiceRow]:
    """Costs are measured now, by a process that imports one service after the other."""
    from gureum.foundation.config import ConfigError
    from gureum.roles.assembly import CATALOGUE

    try:
        carried = {service.name for service in CATALOGUE.enabled(_section(file))}
    except ConfigError as error:
        raise Refusal(f"{error}.", f"Correct {file}.") from error
    argv = [sys.executable, "-m", "gureum.roles.costs"]
    environment = clean_environment({"PYTHONPATH": str(SOURCE)})
    told = subprocess.run(argv, env=environment, capture_output=True, check=True)
    return [ServiceRow(name, name in carried, **cost) for name, cost in json.loads(told.stdout).items()]


def _section(file: Path) -> ServicesConfig:
    from gureum.foundation.config import ServicesConfig, load

    return load(file).services if file.exists() else ServicesConfig()


def enable(state: StateFolder, name: str, report: Report) -> int:
    """Carry the service `name` from now on."""
    with only_one(state):
        if name in _carried(state):
            print(f"{name} is enabled already.")
            return 0
        return _carry(state, [*_named(state), name], report)


def disable(state: StateFolder, name: str, report: Report) -> int:
    """Carry it no more. Refusal while another that is carried needs it; what it stored stays in the database."""
    from gureum.roles.assembly import CATALOGUE

    with only_one(state):
        carried = _carried(state)
        if name not in carried:
            print(f"{name} is not enabled.")
            return 0
        needing = [
            service.name for service in carried.values() if name in {CATALOGUE.offering(need) for need in service.needs}
        ]
        if needing:
            raise Refusal(f"{', '.join(needing)} cannot be without {name}.", f"Disable {needing[0]} first.")
        names = [one for one in carried if one != name]
        if not names:
            raise Refusal("A cloud has one service at least.", "Enable another first.")
        return _carry(state, names, report)


def _carried(state: StateFolder) -> dict[str, Any]:
    from gureum.foundation.config import ConfigError
    from gureum.roles.assembly import CATALOGUE

    require_config(state.config)
    try:
        return {service.name: service for service in CATALOGUE.enabled(_section(state.config))}
    except ConfigError as error:
        raise Refusal(f"{error}.", f"Correct {state.config}.") from error


def _named(state: StateFolder) -> list[str]:
    section = _section(state.config)
    return [*([] if section.profile == "none" else [section.profile]), *section.enabled]


def _carry(state: StateFolder, names: list[str], report: Report) -> int:
    """Write the list, start the control plane anew if it runs, and remember the list for the next `up`.

    Whatever ends this before all of it is done puts the file back as it was.
    """
    text = ",".join(names)
    before = state.config.read_text()
    write_private(state.config, with_services(before, services_section(text)))
    try:
        if read_pid_file(state.pid_file("control")):
            with report.step("starting the control plane anew"):
                _restart(state)
        state.remember({**state.remembered(), "services": text})
    except BaseException as error:
        write_private(state.config, before)
        if isinstance(error, Refusal):
            _restart(state)
        raise
    return 0


def with_services(text: str, section: dict[str, object]) -> str:
    """A configuration with other lines in its section [services]; all else, comments included, as it was. Refusal for
    a file whose section cannot be told apart.
    """
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in section.items())
    plain = re.sub(r"(?ms)^\[services\][^\n]*\n.*?(?=^\[|\Z)", "", text).rstrip("\n")
    written = f"{plain}\n\n[services]\n{lines}"
    try:
        changed = tomllib.loads(written)
    except tomllib.TOMLDecodeError:
        changed = {}
    if changed != {**tomllib.loads(text), "services": section}:
        raise Refusal("The section [services] cannot be changed in this file.", "Write it by hand and restart.")
    return written


def _restart(state: StateFolder) -> None:
    """End the control plane in order; the supervisor starts it with what the file says now."""
    if control := read_pid_file(state.pid_file("control")):
        control.send(signal.SIGTERM)
        control.wait(30.0)
    until = time.monotonic() + _COMES_UP_WITHIN_S
    while time.monotonic() < until:
        if state.control_ready.exists() and read_pid_file(state.pid_file("control")):
            return
        time.sleep(0.1)
    raise Refusal("The control plane does not come up with these services.", f"See {state.log('control')}.")
