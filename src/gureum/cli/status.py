"""`gureum status`: the supervisor's account of every daemon, with memory read from the kernel at this moment."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from typing import Any

from gureum.lab.credentials import public_url
from gureum.lab.launch import read_status
from gureum.lab.plan import choose_options
from gureum.lab.process import identify, memory_kib, read_pid_file
from gureum.lab.state import StateFolder


def print_status(state: StateFolder) -> int:
    """Exit code 0 when everything runs, 3 when something or all does not."""
    if not state.exists():
        print(f"There is no cloud in {state.root}.")
        return 3
    supervisor = read_pid_file(state.pid_file("supervisor"))
    found = read_status(state)
    left = sorted(file.stem for file in state.run.glob("*.pid") if file.stem != "supervisor" and read_pid_file(file))
    if not supervisor:
        if left:
            print(f"The supervisor is gone, but these run on: {', '.join(left)}. `gureum up` takes them over.")
        else:
            print(
                f"The cloud in {state.root} is down."
                + (f" Last: {found['problem']}" if found and found.get("problem") else "")
            )
        return 3
    if not found:
        print("The supervisor is starting.")
        return 3
    options = choose_options({}, state.remembered())
    url, span = public_url(options), _span(time.time() - found["since"])
    print(f"The cloud in {state.root} is {found['phase']} for {span}, {url} {_health(url)}")
    _print_table(found, supervisor.pid)
    healthy = found["phase"] == "running" and all(one["state"] == "running" for one in found["daemons"].values())
    return 0 if healthy else 3


def _print_table(found: dict[str, Any], supervisor: int) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE, pad_edge=False)
    for title in ("daemon", "state", "pid", "for", "restarts", "memory", "last problem"):
        table.add_column(
            title,
            justify="right" if title in {"pid", "for", "restarts", "memory"} else "left",
            no_wrap=title != "last problem",
        )
    total = ours = 0
    for name, one in {
        "supervisor": {"state": "running", "pid": supervisor, "since": found["since"]},
        **found["daemons"],
    }.items():
        memory = memory_kib(one["pid"]) if one["pid"] and identify(one["pid"]) else 0
        total += memory
        ours += memory if _is_ours(name) else 0
        colour = {"running": "green", "failed": "red", "restarting": "yellow"}.get(one["state"], "")
        table.add_row(
            name, f"[{colour}]{one['state']}[/{colour}]" if colour else one["state"], str(one["pid"] or "-"),
            _span(time.time() - one["since"]) if one["since"] else "-", str(one.get("restarts", 0)),
            f"{memory / 1024:.0f} MiB" if memory else "-", one.get("problem", ""),
        )  # fmt: skip
    Console().print(table)
    print(f"Gureum's own processes take {ours / 1024:.0f} MiB, with the engines {total / 1024:.0f} (PSS).")


def _is_ours(name: str) -> bool:
    return name in {"supervisor", "control", "bus-forward"} or name.endswith(".agent")


def _health(url: str) -> str:
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=2) as answer:  # noqa: S310 - our own http address
            return "answers" if answer.status == 200 else f"answers {answer.status}"
    except urllib.error.HTTPError as error:
        return f"answers {error.code}"
    except OSError:
        return "does not answer"


def _span(seconds: float) -> str:
    whole = int(max(0, seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
