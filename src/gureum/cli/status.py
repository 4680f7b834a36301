"""`gureum status`: the supervisor's account of every daemon, with memory read from the kernel at this moment."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from gureum.cli.tables import print_json, print_table
from gureum.cli.terminal import runnable
from gureum.foundation.redact import redact
from gureum.lab.checks import url_answers
from gureum.lab.credentials import public_url
from gureum.lab.launch import read_status
from gureum.lab.plan import Options, choose_options, remembered_options
from gureum.lab.process import identify, memory_kib, read_pid_file
from gureum.lab.state import StateFolder

ANSWERS = "answers"


class DaemonRow(msgspec.Struct, frozen=True):
    """A daemon as the supervisor sees it; `since` in seconds of the epoch, 0 before its first start."""

    name: str
    state: str
    pid: int
    since: float
    restarts: int
    memory_kib: int
    problem: str


class Account(msgspec.Struct, frozen=True):
    """The whole cloud. `said` is the sentence for people; `healthy` when everything runs; `remembered` the options that
    the next `up` has without being told, passwords masked.
    """

    state: str
    said: str
    healthy: bool = False
    since: float = 0.0
    url: str = ""
    health: str = ""
    daemons: tuple[DaemonRow, ...] = ()
    remembered: dict[str, str] = {}


def print_status(state: StateFolder, as_json: bool = False) -> int:
    """Exit code 0 when everything runs, 3 when something or all does not."""
    account = take_account(state)
    if as_json:
        print_json(msgspec.to_builtins(account))
        return 0 if account.healthy else 3
    print(runnable(account.said))
    if account.daemons:
        _print_table(account)
    if account.remembered:
        options = ", ".join(f"--{name} {value}".rstrip() for name, value in account.remembered.items())
        print(runnable(f"Remembered: {options} (`gureum up --reset OPTION` forgets one)."))
    return 0 if account.healthy else 3


def take_account(state: StateFolder) -> Account:
    """What runs, whether or not there is a supervisor, and what is remembered."""
    if not state.exists():
        return Account("absent", f"There is no cloud in {state.root}.")
    return msgspec.structs.replace(_account(state), remembered=_remembered(state))


def _remembered(state: StateFolder) -> dict[str, str]:
    """The options that somebody named, as they are typed."""
    known, usual = state.remembered(), remembered_options(Options())
    named = {name: known[name] for name in usual if known.get(name, usual[name]) != usual[name]}
    return {name: "" if value is True else redact(str(value)) for name, value in named.items()}


def _account(state: StateFolder) -> Account:
    supervisor = read_pid_file(state.pid_file("supervisor"))
    found = read_status(state)
    if not supervisor:
        return _without_supervisor(state, found)
    if not found:
        return Account("starting", "The supervisor is starting.")
    url = public_url(choose_options({}, state.current()))
    health, phase = url_answers(f"{url}/healthz") or ANSWERS, found["phase"]
    said = f"The cloud in {state.root} is {phase} for {_span(time.time() - found['since'])}, {url} {health}"
    own = {"supervisor": {"state": "running", "pid": supervisor.pid, "since": found["since"]}}
    daemons = tuple(_row(name, one) for name, one in {**own, **found["daemons"]}.items())
    healthy = phase == "running" and health == ANSWERS and all(one.state == "running" for one in daemons)
    return Account(phase, said, healthy, found["since"], url, health, daemons)


def _without_supervisor(state: StateFolder, found: dict[str, Any] | None) -> Account:
    left = sorted(file.stem for file in state.run.glob("*.pid") if file.stem != "supervisor" and read_pid_file(file))
    if left:
        said = f"The supervisor is gone, but these run on: {', '.join(left)}. `gureum up` takes them over."
        return Account("unattended", said)
    last = f" Last: {found['problem']}" if found and found.get("problem") else ""
    return Account("down", f"The cloud in {state.root} is down.{last}")


def _row(name: str, one: dict[str, Any]) -> DaemonRow:
    memory = memory_kib(one["pid"]) if one["pid"] and identify(one["pid"]) else 0
    return DaemonRow(
        name, one["state"], one["pid"], one["since"], one.get("restarts", 0), memory, one.get("problem", "")
    )


def _print_table(account: Account) -> None:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE, pad_edge=False)
    for title in ("daemon", "state", "pid", "for", "restarts", "memory", "last problem"):
        table.add_column(
            title,
            justify="right" if title in {"pid", "for", "restarts", "memory"} else "left",
            no_wrap=title != "last problem",
        )
    for one in account.daemons:
        colour = {"running": "green", "failed": "red", "restarting": "yellow"}.get(one.state, "")
        table.add_row(
            one.name, f"[{colour}]{one.state}[/{colour}]" if colour else one.state, str(one.pid or "-"),
            _span(time.time() - one.since) if one.since else "-", str(one.restarts),
            f"{one.memory_kib / 1024:.0f} MiB" if one.memory_kib else "-", one.problem,
        )  # fmt: skip
    print_table(table)
    total = sum(one.memory_kib for one in account.daemons)
    ours = sum(one.memory_kib for one in account.daemons if _is_ours(one.name))
    print(f"Gureum's own processes take {ours / 1024:.0f} MiB, with the engines {total / 1024:.0f} (PSS).")


def _is_ours(name: str) -> bool:
    return name in {"supervisor", "control", "bus-forward"} or name.endswith(".agent")


def _span(seconds: float) -> str:
    whole = int(max(0, seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
