"""`up` and `down` as sequences: check the machine, prepare the state folder, start the supervisor and follow it.

Whatever fails before the supervisor starts leaves nothing running; what fails in it, it stops itself. The caller brings
a `Report` that shows steps; nothing is printed here.
Read `plan.py` for what is decided and `supervisor.py` for what is run.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from gureum.lab import checks, packages
from gureum.lab.addressing import external_range, name_servers, taken_ranges
from gureum.lab.credentials import config_text, write_credentials
from gureum.lab.daemon import read_plan, write_plan
from gureum.lab.engines.datapath import kernel_datapath
from gureum.lab.engines.fabric import Fabric
from gureum.lab.engines.host import write_host_files
from gureum.lab.plan import (
    Facts,
    Options,
    agent_settings,
    choose_options,
    lab_hosts,
    make_plan,
    remembered_options,
    without,
)
from gureum.lab.process import Process, clean_environment, read_pid_file, start_detached
from gureum.lab.refusal import Refusal
from gureum.lab.state import StateFolder, only_one, write_private
from gureum.lab.stopping import GUESTS_ASKED_S, end_strays, forget_route, stop_lab

SOURCE = Path(__file__).resolve().parents[2]
CLONE = SOURCE.parent
CACHE = CLONE / ".cache"
_STOP_TIMEOUT_S = 120.0
_LOG_LIMIT = 20 << 20
INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""A person's Ctrl-C, a script's time limit, a terminal that closes: all end `up` and `down` in the same orderly way."""


class Report(Protocol):
    """Shows a person what happens. `step` times its block; `done` is a step that something else timed."""

    def step(self, title: str) -> AbstractContextManager[None]: ...

    def done(self, title: str, seconds: float) -> None: ...

    def waiting(self, what: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Up:
    """What came up. `since` is when, in seconds of the epoch, if it ran already; None when this call started it."""

    state: StateFolder
    options: Options
    facts: Facts
    since: float | None = None


def bring_up(
    state: StateFolder, asked: dict[str, Any], report: Report, source: Path = SOURCE, reset: Iterable[str] = ()
) -> Up:
    """Start the lab, or find it running. `asked` holds Options' fields, None where nothing was asked, `reset` the names
    of those to forget, `source` the folder from which the control plane and the agents are imported.

    Raise Refusal with one sentence and its remedy; then nothing that this call started is left running, and its
    options are not remembered.
    """
    runs = read_pid_file(state.pid_file("supervisor"))
    known = state.current() if runs else state.remembered()
    options = choose_options(asked, without(known, reset))
    if not options.simulate:
        checks.require_root()
    first = not state.exists()
    if first:
        _refuse_foreign(state)
    with only_one(state):
        try:
            return _bring_up(state, options, report, source)
        except BaseException:
            if first and not state.exists():  # it came to nothing before it was worth remembering
                shutil.rmtree(state.root, ignore_errors=True)
            raise


def _bring_up(state: StateFolder, options: Options, report: Report, source: Path) -> Up:
    remembered, first = state.remembered(), not state.exists()
    checks.require_space(state.root, options.simulate)
    supervisor = read_pid_file(state.pid_file("supervisor"))
    if supervisor:
        running = state.current()
        _refuse_changes(options, running)
        if _phase(state, supervisor) != "running":  # another `up` was interrupted: the start goes on
            follow(state, supervisor, report)
        _keep_options(state, options, remembered)
        since = float((read_status(state) or {}).get("since", 0.0))
        return Up(state, options, _remembered_facts(remembered), since)
    if not read_pid_file(state.pid_file("control")):
        checks.require_port(options.listen, options.port)
    facts = replace(_prepare(state, options, remembered, report), source=source)
    plan = make_plan(state, options, facts)
    end_strays(state, plan)
    write_plan(plan, state.plan)
    try:
        _start(state, report)
    except BaseException:
        if first and not options.simulate:
            forget_route(state.lab, facts.external_cidr)
        state.end_attempt()
        raise
    _keep_options(state, options, state.remembered())
    return Up(state, options, facts)


def _refuse_changes(options: Options, running: dict[str, Any]) -> None:
    """Options take effect at the start only: say what the running cloud has instead of those asked for."""
    asked = remembered_options(options)
    other = {name: running.get(name) for name in asked if asked[name] != running.get(name)}
    words = [
        f"with --{name}{'' if value is True else f' {value}'}" if value else f"without --{name}"
        for name, value in other.items()
    ]
    if words:
        raise Refusal(
            f"The cloud was started {', '.join(words)}.", "Run `gureum down` first; the next `up` keeps its servers."
        )


def _keep_options(state: StateFolder, options: Options, remembered: dict[str, Any]) -> None:
    """They worked: the next `up` has them too."""
    state.remember(remembered | remembered_options(options))
    state.end_attempt()


def bring_down(state: StateFolder, purge: bool, report: Report, *, now: bool = False) -> bool:
    """Stop everything; with `purge` forget everything too. Return whether there was anything; nothing is no error.

    Guests are asked to shut down first, unless their disks go too or it is to be done `now`.
    """
    if not state.exists():
        return False
    with only_one(state):
        ran = False
        supervisor = read_pid_file(state.pid_file("supervisor"))
        if supervisor or state.plan.exists():
            ran = True
            asking = not (now or purge)
            with report.step("stopping the cloud" + (", guests are asked to shut down" if asking else "")):
                _stop(state, supervisor, guests_s=GUESTS_ASKED_S if asking else 0.0)
        if purge:
            with report.step("removing the state folder"):
                _purge(state)
    return ran or purge


def follow(state: StateFolder, supervisor: Process, report: Report) -> None:
    """Show the steps of a starting supervisor until all runs. Refusal when it fails."""
    shown: set[str] = set()
    while True:
        status = read_status(state)
        if status and status["supervisor"] == supervisor.pid:
            _show_progress(status, shown, report)
            if status["phase"] == "running":
                return
            if status["phase"] == "failed":
                supervisor.wait(10.0)
                raise Refusal(
                    f"{status['problem']}.".replace("..", "."),
                    "What was started is stopped again; `gureum logs` has more.",
                )
        if not supervisor.alive():
            status = read_status(state)
            if not status or status["phase"] != "failed" or status["supervisor"] != supervisor.pid:
                raise Refusal(
                    "The supervisor ended unexpectedly.", f"See {state.log('supervisor')}, then run `gureum up` again."
                )
            continue
        time.sleep(0.02)


def read_status(state: StateFolder) -> dict[str, Any] | None:
    """What the supervisor wrote last; None when there is nothing."""
    try:
        found = json.loads(state.status.read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _phase(state: StateFolder, supervisor: Process) -> str:
    """What this supervisor said last of the lab; "" before its first word."""
    status = read_status(state)
    return str(status["phase"]) if status and status["supervisor"] == supervisor.pid else ""


def _show_progress(status: dict[str, Any], shown: set[str], report: Report) -> None:
    groups: dict[str, list[dict[str, Any]]] = {}
    for name, daemon in status["daemons"].items():
        groups.setdefault(_group(name), []).append(daemon)
    for title, members in groups.items():
        if title not in shown and all(member["state"] == "running" for member in members):
            shown.add(title)
            report.done(title, max(member["since"] for member in members) - status["since"])
    late = [daemon["title"] for daemon in status["daemons"].values() if daemon["state"] == "starting"]
    if late:
        report.waiting(", ".join(late[:3]) + (" ..." if len(late) > 3 else ""))


def _group(name: str) -> str:
    if name == "control":
        return "control plane"
    if name.startswith("ovn-"):
        return "OVN's databases and northd"
    if name == "fabric":
        return "fabric and the external network's link"
    if name == "bus-forward":
        return "bus forwarder"
    host, _, part = name.partition(".")
    return f"{host}: agent" if part == "agent" else f"{host}: Open vSwitch, OVN controller, libvirt"


def _refuse_foreign(state: StateFolder) -> None:
    """`down --purge` removes the folder, so it must be ours alone from the beginning."""
    if state.root.is_dir() and any(entry.name != "run" for entry in state.root.iterdir()):
        raise Refusal(
            f"{state.root} is not empty and holds no cloud of Gureum's.", "Name an empty or new folder with --state."
        )
    try:
        state.make()
    except OSError as error:
        raise Refusal(
            f"The state folder {state.root} cannot be made: {error.strerror}.", "Name another with --state."
        ) from error


def _prepare(state: StateFolder, options: Options, remembered: dict[str, Any], report: Report) -> Facts:
    """Install, build, choose and write everything that the supervisor needs."""
    state.make()
    if options.simulate:
        facts = Facts(SOURCE, guest_image=_built_image() or _blank_image(state))
    else:
        checks.require_uplink(options.uplink)
        absent = packages.missing(packages.ENGINES)
        if absent:
            with report.step(f"installing {packages.counted(absent)}"):
                packages.install(absent, CACHE / "apt.log")
            if torn := " ".join(packages.missing(packages.ENGINES)):
                raise Refusal(
                    f"Debian calls {torn} installed, but files of it are gone.",
                    f"Run: apt-get install --reinstall {torn}",
                )
        packages.make_libvirt_folders()
        image = str(remembered.get("guest_image", ""))
        if not (image and Path(image).exists()):
            image = _built_image(current=True)
        if not image:
            image = _new_or_earlier_image(report)
        facts = Facts(
            SOURCE, CACHE, kernel_datapath=kernel_datapath(), external_cidr=_external_cidr(state, options, remembered),
            guest_image=image, forwarding=_forwarding(state, options), dns_servers=_dns_servers(options.uplink),
            uplink_address=_address_of(options.uplink),
        )  # fmt: skip
    known = {"guest_image": facts.guest_image}
    if not options.simulate:
        known["external_cidr"] = facts.external_cidr
    state.remember(remembered | known)
    state.attempt(remembered_options(options))
    state.pid_file("supervisor").unlink(missing_ok=True)
    write_private(state.config, config_text(state, options, facts))
    write_credentials(state, options)
    for host in lab_hosts(state, options, facts):
        write_host_files(host)
        settings = agent_settings(state, options, facts, host)
        write_private(host.folder / "agent.json", json.dumps(settings, indent=1) + "\n")
    return facts


def _remembered_facts(remembered: dict[str, Any]) -> Facts:
    facts = Facts(SOURCE, guest_image=remembered["guest_image"])
    return replace(facts, external_cidr=remembered.get("external_cidr", facts.external_cidr))


def _start(state: StateFolder, report: Report) -> None:
    for log in state.logs.glob("*.log"):
        if log.stat().st_size > _LOG_LIMIT:
            log.replace(log.with_suffix(".log.1"))
    state.status.unlink(missing_ok=True)
    try:
        follow(state, _launched(state), report)
    except BaseException:
        if supervisor := read_pid_file(state.pid_file("supervisor")):
            _stop(state, supervisor)
        raise


def _launched(state: StateFolder) -> Process:
    argv = [sys.executable, "-S", "-m", "gureum.lab.supervisor", str(state.root)]
    with _uninterrupted():
        start_detached(argv, clean_environment({"PYTHONPATH": str(SOURCE)}), state.log("supervisor")).wait(30)
    supervisor = read_pid_file(state.pid_file("supervisor"))
    if not supervisor:
        raise Refusal("The supervisor did not start.", f"See {state.log('supervisor')}.")
    return supervisor


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C and its like wait for the end within. Handlers, not SIG_IGN, which what is started would inherit."""
    asked: list[int] = []
    before = {number: signal.signal(number, lambda *_: asked.append(1)) for number in INTERRUPTS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if asked:
        raise KeyboardInterrupt


def _stop(state: StateFolder, supervisor: Process | None, guests_s: float = GUESTS_ASKED_S) -> None:
    """Through the supervisor when it lives, directly for what it left. Ctrl-C does not interrupt it half-way."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in INTERRUPTS}
    try:
        if supervisor:
            supervisor.send(signal.SIGTERM if guests_s else signal.SIGINT)
            if not supervisor.wait(_STOP_TIMEOUT_S):
                supervisor.send(signal.SIGKILL)
                supervisor.wait(5.0)
        if state.plan.exists():
            stop_lab(state, read_plan(state.plan), guests_s=guests_s)
        state.pid_file("supervisor").unlink(missing_ok=True)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _purge(state: StateFolder) -> None:
    remembered = state.remembered()
    if not remembered.get("simulate") and remembered.get("external_cidr"):
        forget_route(state.lab, str(remembered["external_cidr"]))
    mounted = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    inside = [mount for mount in mounted if mount.startswith(f"{state.root}/")]
    if inside:
        raise Refusal(f"{inside[0]} is still mounted.", f"Run `umount {inside[0]}` and again `gureum down --purge`.")
    try:
        shutil.rmtree(state.root)
    except OSError as error:
        raise Refusal(f"{state.root} cannot be removed: {error}.", "Remove it by hand.") from error


def _external_cidr(state: StateFolder, options: Options, remembered: dict[str, Any]) -> str:
    """The remembered range, or a free one; Refusal when another took the remembered one meanwhile."""
    listed = subprocess.run(
        ["ip", "-json", "-4", "route", "show", "table", "all"], capture_output=True, check=True
    ).stdout
    link = Fabric(state.lab, "", options.uplink).machine_link
    taken = taken_ranges(json.loads(listed or b"[]"), state.lab, link)
    known = remembered.get("external_cidr")
    if not known:
        return external_range(state.lab, taken)
    if any(str(network) == known for network in taken):
        raise Refusal(
            f"Another network of this machine uses this cloud's external range {known}.",
            "End it, or use another --state.",
        )
    return str(known)


def _forwarding(state: StateFolder, options: Options) -> dict[str, str]:
    """The uplink's own forwarding switch as it was, from the plan when a lab that was not stopped changed it."""
    if state.plan.exists():
        return dict(read_plan(state.plan).cleanup.sysctl)
    if not options.uplink:
        return {}
    name = f"net/ipv4/conf/{options.uplink}/forwarding"
    return {name: Path("/proc/sys", name).read_text().strip()}


def _dns_servers(uplink: str) -> tuple[str, ...]:
    """The machine's name servers that guests reach too: through the uplink, for nothing else lets them out."""
    if not uplink:
        return ()
    found: list[str] = []
    for file in ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"):  # the first may name a proxy on loopback
        with suppress(OSError):
            found += name_servers(Path(file).read_text())
    return tuple(server for server in dict.fromkeys(found) if _leaves_through(uplink, server))


def _address_of(uplink: str) -> str:
    """The machine's first IPv4 address there, by which others reach it; empty when it has none."""
    if not uplink:
        return ""
    words = ["ip", "-json", "-4", "address", "show", "dev", uplink]
    listed = json.loads(subprocess.run(words, capture_output=True, check=False).stdout or b"[]")
    return next((str(one["local"]) for link in listed for one in link.get("addr_info", [])), "")


def _leaves_through(uplink: str, address: str) -> bool:
    done = subprocess.run(["ip", "-json", "route", "get", address], capture_output=True, check=False)
    routes = json.loads(done.stdout or b"[]") if not done.returncode else []
    return any(route.get("dev") == uplink for route in routes)


def _new_or_earlier_image(report: Report) -> str:
    """A new guest image, or the last one that was built when none can be. Refusal when there is none."""
    began = time.monotonic()
    try:
        with report.step("building the guest image mini"):
            return _build_image()
    except Refusal:
        earlier = _built_image()
        if not earlier:
            raise
        report.done("no new guest image could be built: an earlier one", time.monotonic() - began)
        return earlier


def _build_image() -> str:
    from gureum.lab.guest_image import GuestImageError, build_guest_image

    try:
        return str(build_guest_image(CACHE / "guest", lambda _line: None))
    except GuestImageError as error:
        raise Refusal(
            f"The guest image could not be built: {error}.", "Mend that and run `gureum up` again."
        ) from error


def _blank_image(state: StateFolder) -> str:
    from gureum.lab.guest_image.blank import blank_qcow2

    file = state.root / "mini.qcow2"
    file.touch(0o600)
    file.write_bytes(blank_qcow2())
    return str(file)


def _built_image(current: bool = False) -> str:
    """The newest image that an earlier run built, empty when there is none; a simulated cloud builds none itself.

    `current` asks for one newer than its builder and than what apt knows: asking apt itself takes seconds.
    """
    found = sorted((CACHE / "guest").glob("mini-*.qcow2"), key=lambda file: file.stat().st_mtime)
    if not found:
        return ""
    newest = found[-1].stat().st_mtime
    builder = [file for file in (SOURCE / "gureum/lab/guest_image").rglob("*") if "__pycache__" not in file.parts]
    if current and any(file.stat().st_mtime > newest for file in (*builder, Path("/var/lib/apt/lists"))):
        return ""
    return str(found[-1])
