"""`gureum doctor`: every check of the machine, and a guest that is run to learn whether KVM works."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import chain
from pathlib import Path

from gureum.cli.tables import print_json
from gureum.cli.terminal import runnable
from gureum.lab.checks import Finding, findings
from gureum.lab.launch import CACHE
from gureum.lab.plan import choose_options
from gureum.lab.process import read_pid_file
from gureum.lab.state import StateFolder

_MARKS = {"good": "✓", "note": "•", "bad": "✗"}
_COLOURS = {"good": "32", "note": "33", "bad": "31"}


def examine(state: StateFolder, config: Path | None = None, as_json: bool = False) -> int:
    """Print every finding; exit code 1 when one is bad. With `config`, of that control plane and nothing else."""
    return _print(_control(config, state) if config else _machine(state), as_json)


def _control(config: Path, state: StateFolder) -> Iterator[Finding]:
    """The control plane of a file that an operator wrote."""
    from gureum.lab.control_checks import control_findings

    yield from control_findings(config)
    yield from _configured(state, config)


def examine_host(as_json: bool = False) -> int:
    """The same of a host of a cloud of several machines."""
    from gureum.lab.host_checks import host_findings

    return _print(chain(host_findings(), (_acceleration() for _ in range(1))), as_json)


def _machine(state: StateFolder) -> Iterator[Finding]:
    options = choose_options({}, state.current())
    running = read_pid_file(state.pid_file("control"))
    for finding in findings(state.root, options.listen, options.port):
        if finding.subject == "port" and running:
            yield Finding("port", "good", f"{options.listen} port {options.port} is this cloud's own")
        else:
            yield finding
    yield from _configured(state, None)
    yield _acceleration()


def _print(all_findings: Iterable[Finding], as_json: bool) -> int:
    colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    seen = []
    for finding in all_findings:
        seen.append(finding)
        if not as_json:
            _show(finding, colours)
    if as_json:
        print_json([asdict(finding) for finding in seen])
    return 1 if any(finding.verdict == "bad" for finding in seen) else 0


def _show(finding: Finding, colours: bool) -> None:
    mark = _MARKS[finding.verdict]
    if colours:
        mark = f"\033[{_COLOURS[finding.verdict]}m{mark}\033[0m"
    print(f" {mark} {finding.subject:<12} {finding.text}", flush=True)
    if finding.remedy:
        print(f"   {'':<12} -> {runnable(finding.remedy)}", flush=True)


def _configured(state: StateFolder, config: Path | None) -> Iterator[Finding]:
    """Image stores and the policy file; of a cloud that never was up, those that it will have."""
    try:
        from gureum.lab.image_store_checks import image_stores
        from gureum.lab.policy_checks import policy_findings
    except ImportError as error:
        remedy = "`gureum up` installs what the look needs."
        yield Finding("image stores", "note", f"not looked at, nor the policy file: {error}", remedy)
        return
    file = config or (state.config if state.config.exists() else None)
    yield from image_stores(file, state.root)
    yield from policy_findings(file)


def _acceleration() -> Finding:
    """The probe is a real guest under a time limit; a file that exists proves nothing."""
    try:
        from gureum.drivers.hypervisor.libvirt.acceleration import probe_acceleration
    except ImportError as error:
        return Finding("KVM", "note", f"not probed: {error}", "`gureum up` installs what the probe needs.")
    cache = CACHE / "acceleration.json"
    cache.unlink(missing_ok=True)
    try:
        answer = probe_acceleration(cache)
    except Exception as error:
        return Finding("KVM", "note", f"the probe guest could not be run: {error}", "apt-get install qemu-system-x86")
    if answer == "kvm":
        return Finding("KVM", "good", "a probe guest ran under KVM")
    return Finding(
        "KVM",
        "note",
        "a probe guest did not run under KVM: guests are emulated (TCG), slower but whole",
        "Enable virtualization, or nested virtualization.",
    )
