"""`gureum enter HOST`: a shell, or one command, inside a host's namespaces."""

from __future__ import annotations

import os

from gureum.cli.terminal import become
from gureum.lab.process import read_pid_file
from gureum.lab.refusal import Refusal
from gureum.lab.state import StateFolder


def enter_host(state: StateFolder, host: str, command: list[str]) -> None:
    """Replace this process by the command, in there."""
    if state.current().get("simulate"):
        raise Refusal(f"The cloud in {state.root} is simulated: its hosts have no namespaces.", "See `gureum status`.")
    holder = read_pid_file(state.pid_file(host))
    if holder is None or "." in host or not holder.namespace("net"):
        raise Refusal(f"There is no host {host!r} running in {state.root}.", "See `gureum status`.")
    argv = ["nsenter", "-t", str(holder.pid), "-n", *([] if host == "fabric" else ["-m", "-u", "-r", "-w"]), "--"]
    become([*argv, *(command or [os.environ.get("SHELL", "/bin/sh")])])
