"""The end of a lab: every process, guests included, every namespace, every link of ours; the state folder stays.

Works from the pid files and the plan, so it needs no supervisor, and may be run on a lab in any condition, again and
again. Order: Gureum's own processes, then guests, then engines against their dependencies, then the namespaces.
Guests are asked to shut down first: the agents are gone by then, so no server counts as stopped by its owner, and the
next `up` starts those that ran. Standard library only.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gureum.lab.addressing import route_metric
from gureum.lab.daemon import Cleanup, Daemon, Plan, in_order
from gureum.lab.process import Process, clean_environment, end, inside, read_pid_file, working_on
from gureum.lab.state import StateFolder

GUESTS_ASKED_S = 30.0
"""How long guests may take to shut down before their power is cut."""
_GUEST_TIMEOUT_S = 3.0
_ASK_AGAIN_S = 3.0  # a guest early in its boot misses the first request
_VIRSH_S = 10.0


def stop_lab(state: StateFolder, plan: Plan, only: set[str] | None = None, *, guests_s: float = GUESTS_ASKED_S) -> None:
    """Stop everything, or, when `only` is given, those daemons alone (an `up` that failed over a lab that ran).

    Guests get `guests_s` seconds to shut down by themselves; 0 cuts their power at once.
    """
    namespaces = lab_namespaces(state, plan)
    holders = {daemon.name for daemon in plan.daemons if daemon.holds}
    chosen = [daemon for daemon in plan.daemons if only is None or daemon.name in only]
    own = [daemon for daemon in chosen if "gureum." in " ".join(daemon.argv)]
    engines = [daemon for daemon in chosen if daemon not in own and daemon.name not in holders]
    for layer in [own] if own else []:
        _stop_all(state, layer)
    if only is None and guests_s > 0:
        ask_guests(state, plan, namespaces, guests_s)
    if only is None:
        known = {process.pid for daemon in plan.daemons if (process := read_pid_file(state.pid_file(daemon.name)))}
        end([process for process in _in_any(namespaces) if process.pid not in known], signal.SIGTERM, _GUEST_TIMEOUT_S)
    for layer in _layers(engines):
        _stop_all(state, layer)
    _stop_all(state, [daemon for daemon in chosen if daemon.name in holders])
    if only is None:
        end(list(_in_any(namespaces)), signal.SIGKILL, 5.0)
        clean_machine(plan.cleanup)
        for leftover in state.run.glob("*.sock"):
            leftover.unlink(missing_ok=True)
        state.control_ready.unlink(missing_ok=True)
        state.plan.unlink(missing_ok=True)


def ask_guests(state: StateFolder, plan: Plan, namespaces: set[str], seconds: float) -> None:
    """Have every guest of the lab shut down (ACPI), and wait until they did or the time is over."""
    deadline, ask_at = time.monotonic() + seconds, 0.0
    while (guests := [one for one in _in_any(namespaces) if is_guest(one.pid)]) and time.monotonic() < deadline:
        if time.monotonic() >= ask_at:
            with ThreadPoolExecutor(max_workers=8) as pool:
                list(pool.map(_ask_host, _hosts_of(state, plan, guests)))
            ask_at = time.monotonic() + _ASK_AGAIN_S
        guests[0].wait(min(0.5, max(0.0, deadline - time.monotonic())))


def is_guest(pid: int) -> bool:
    """Whether the process is a guest that libvirt started."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"qemu-system" in words[0] and any(word.startswith(b"guest=") for word in words)


def _hosts_of(state: StateFolder, plan: Plan, guests: list[Process]) -> list[Process]:
    """The holders of the hosts that have guests."""
    theirs = {guest.namespace("mnt") for guest in guests}
    holders = [process for name in plan.namespaces if (process := read_pid_file(state.pid_file(name)))]
    return [holder for holder in holders if holder.namespace("mnt") in theirs]


def _ask_host(holder: Process) -> None:
    """A host whose libvirt does not answer asks nobody: its guests' power is cut in the end."""
    enter = ["nsenter", "-t", str(holder.pid), "-n", "-m", "-u", "-r", "-w", "--", "sh", "-c"]
    script = "for guest in $(virsh -q list --name); do virsh -q shutdown $guest; done"
    with contextlib.suppress(subprocess.SubprocessError, OSError):
        words = [*enter, script]
        subprocess.run(words, check=False, capture_output=True, env=clean_environment({}), timeout=_VIRSH_S)


def end_strays(state: StateFolder, plan: Plan) -> None:
    """End what lives in namespaces of the lab whose holder is gone, before a new supervisor makes new ones.

    Nobody can reach such a process any more, and a guest among them keeps its disks locked against its own next start.
    """
    holders = [process for name in plan.namespaces if (process := read_pid_file(state.pid_file(name)))]
    held = {process.namespace(kind) for process in holders for kind in ("net", "mnt")}
    end(_in_any(lab_namespaces(state, plan) - held), signal.SIGTERM, _GUEST_TIMEOUT_S)


def lab_namespaces(state: StateFolder, plan: Plan) -> set[str]:
    """The network and mount namespaces of the lab, by the kernel's names; never the machine's own.

    Those of its daemons that live, and those of any process in foreign namespaces that works on the lab's hosts'
    folders: a guest that outlived every daemon is found too.
    """
    own = {"", *(str(Path("/proc/self/ns", kind).readlink()) for kind in ("net", "mnt"))}
    files = [state.pid_file(name) for name in (*plan.namespaces, *(one.name for one in plan.daemons if one.inside))]
    members = [process for file in files if (process := read_pid_file(file))]
    mark = f"{state.root}/hosts/".encode()
    members += [process for process in working_on(mark) if process.namespace("net") not in own]
    return {process.namespace(kind) for process in members for kind in ("net", "mnt")} - own


def clean_machine(cleanup: Cleanup) -> None:
    """Remove links and the table from the machine's own network, put forwarding back. Absent is fine."""
    for link in cleanup.links:
        _quietly("ip", "link", "delete", link)
    if cleanup.nft_table:
        _quietly("nft", "delete", "table", "ip", cleanup.nft_table)
    for name, value in cleanup.sysctl.items():
        try:
            Path("/proc/sys", name).write_text(value)
        except OSError:
            continue  # the uplink itself is gone


def forget_route(lab: str, cidr: str) -> None:
    """Remove the unreachable route that outlives `down`."""
    _quietly("ip", "route", "delete", "unreachable", cidr, "metric", str(route_metric(lab)))


def _in_any(namespaces: set[str]) -> list[Process]:
    return [process for process in inside(namespaces) if process.pid != os.getpid()] if namespaces else []


def _layers(daemons: list[Daemon]) -> list[list[Daemon]]:
    """Groups to stop one after the other: nobody in a group is needed by a later one."""
    names = {daemon.name for daemon in daemons}
    depth: dict[str, int] = {}
    here = [_only_among(daemon, names) for daemon in daemons]
    for daemon in reversed(list(in_order(here))):
        above = [depth[other.name] + 1 for other in here if daemon.name in other.depends]
        depth[daemon.name] = max(above, default=0)
    return [[one for one in here if depth[one.name] == level] for level in range(max(depth.values(), default=-1) + 1)]


def _only_among(daemon: Daemon, names: set[str]) -> Daemon:
    return Daemon(
        name=daemon.name, title=daemon.title, argv=daemon.argv, stop_signal=daemon.stop_signal,
        stop_timeout_s=daemon.stop_timeout_s, depends=tuple(name for name in daemon.depends if name in names),
    )  # fmt: skip


def _stop_all(state: StateFolder, daemons: Sequence[Daemon]) -> None:
    for number in {daemon.stop_signal for daemon in daemons}:
        group = [daemon for daemon in daemons if daemon.stop_signal == number]
        living = [process for daemon in group if (process := read_pid_file(state.pid_file(daemon.name)))]
        end(living, getattr(signal, f"SIG{number}"), max(daemon.stop_timeout_s for daemon in group))
    for daemon in daemons:
        state.pid_file(daemon.name).unlink(missing_ok=True)


def _quietly(*argv: str) -> None:
    subprocess.run(argv, check=False, capture_output=True, env=clean_environment({}))
