"""What can be in the way on a host of a cloud of several machines: `doctor --host`. Nothing is changed here.

Slow answers of libvirt are measured, not guessed: the agent makes the same calls.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from gureum.drivers.hypervisor.libvirt.host_settings import problems
from gureum.lab.checks import Finding
from gureum.lab.engines.datapath import has_family
from gureum.lab.installing import HOST_STATE, ROLES, SETTINGS
from gureum.lab.packages import HOST, missing

_SLOW_S = 3.0
_ANSWER_S = 40
_LEAST_FLOWS = 10
SYSTEM_ID = Path("/etc/openvswitch/system-id.conf")
_EXTERNAL_IDS = ("system-id", "hostname", "ovn-remote", "ovn-encap-type", "ovn-encap-ip", "ovn-bridge")


def host_findings(settings: Path = SETTINGS) -> Iterator[Finding]:
    """Each thing that a host's agent and its guests stand on."""
    absent = missing(HOST)
    if absent:
        yield Finding("packages", "bad", f"missing: {' '.join(absent)}", "Run: ./gureum install host")
    else:
        yield Finding("packages", "good", f"all {len(HOST)} Debian packages are installed")
    wrong = list(problems())
    for problem, remedy in wrong:
        yield Finding("settings", "bad", problem, remedy)
    if not wrong:
        yield Finding("settings", "good", "qemu.conf and the host's own name are as guests need them")
    yield _libvirt()
    yield from _switch()
    yield _agent_settings(settings)
    yield _agent()


def _libvirt() -> Finding:
    began = time.monotonic()
    words = ["virsh", "-q", "-c", "qemu:///system", "domcapabilities", "--arch", "x86_64", "--machine", "q35"]
    problem = _run([*words, "--virttype", "qemu"])[1]
    took_s = time.monotonic() - began
    if problem:
        return Finding("libvirt", "bad", f"it does not answer: {problem}", "Run: systemctl restart libvirtd")
    if took_s > _SLOW_S:
        remedy = "Correct the settings that this list names, then run: systemctl restart libvirtd"
        return Finding("libvirt", "bad", f"it took {took_s:.1f} s to say what QEMU can do", remedy)
    return Finding("libvirt", "good", f"answers after {took_s:.1f} s")


def _switch() -> Iterator[Finding]:
    text, problem = _run(["ovs-vsctl", "--timeout=5", "--format=json", "get", "Open_vSwitch", ".", "external_ids"])
    if problem:
        yield Finding("switch", "bad", f"Open vSwitch: {problem}", "Run: systemctl restart openvswitch-switch")
        return
    absent = [name for name in _EXTERNAL_IDS if f"{name}=" not in text]
    if absent:
        remedy = "Set them with ovs-vsctl: docs/operate/many-machines.md, part OVN"
        yield Finding("switch", "bad", f"external-ids lacks {', '.join(absent)}", remedy)
    else:
        yield Finding("switch", "good", "Open vSwitch answers; OVN's settings are there")
    yield from _identity(text)
    yield from _cards(text)
    connected, problem = _run(["ovn-appctl", "-t", "ovn-controller", "connection-status"])
    if problem or connected.strip() != "connected":
        said = problem or connected.strip()
        remedy = "Is ovn-remote right, and does the southbound database listen there (ovn-sbctl set-connection)?"
        yield Finding("OVN", "bad", f"ovn-controller has no southbound database: {said}", remedy)
    else:
        yield Finding("OVN", "good", "ovn-controller is connected")


def _identity(external_ids: str) -> Iterator[Finding]:
    """Debian's start of Open vSwitch takes the chassis' name from a file, and makes one up where there is none."""
    try:
        named = SYSTEM_ID.read_text().strip()
    except OSError:
        named = ""
    if not re.search(rf'system-id="?{re.escape(named)}"?[,}}]', external_ids):
        text = (
            f"{SYSTEM_ID} says {named!r}, which is not external-ids:system-id: after a restart OVN knows no such host"
        )
        yield Finding(
            "switch", "bad", text, f"Write the name into {SYSTEM_ID}; on OVN's machine: ovn-sbctl chassis-del"
        )
    flows, problem = _run(["ovs-ofctl", "dump-flows", "br-int"])
    if problem or len(flows.splitlines()) < _LEAST_FLOWS:
        text = f"ovn-controller has written no flows into br-int {problem}".strip()
        yield Finding("switch", "bad", text, "Its reason: tail /var/log/ovn/ovn-controller.log")
    errors, _ = _run(["ovs-vsctl", "--timeout=5", "--bare", "--columns=error", "find", "interface", "error!=[]"])
    if errors.strip():
        yield Finding("switch", "bad", errors.strip().splitlines()[0], "See: ovs-vsctl show")
    if not has_family("ovs_datapath") and "ovn-bridge-datapath-type=netdev" not in external_ids.replace('"', ""):
        remedy = 'modprobe openvswitch, or docs/operate/many-machines.md, part "Without the kernel\'s module"'
        yield Finding("switch", "bad", "the kernel has no Open vSwitch, and its user-space datapath is not set", remedy)


def _cards(external_ids: str) -> Iterator[Finding]:
    """Open vSwitch takes a card that is down without a word, and no packet passes."""
    listed, _ = _run(
        ["ovs-vsctl", "--timeout=5", "--bare", "--columns=name", "find", "interface", 'type=""', "link_state=down"]
    )
    down = set(listed.split())
    mappings = re.search(r'ovn-bridge-mappings="?([^"}\s]+)', external_ids)
    for mapping in mappings[1].rstrip(",").split(",") if mappings else ():
        bridge = mapping.rpartition(":")[2]
        ports, _ = _run(["ovs-vsctl", "--timeout=5", "list-ports", bridge])
        for port in sorted(down.intersection(ports.split())):
            remedy = f"Run: ip link set {port} up; docs/operate/many-machines.md, part 4, has what does it at each boot"
            yield Finding("switch", "bad", f"the card {port} of {bridge} is down: no packet passes", remedy)


def _agent_settings(file: Path) -> Finding:
    remedy = "docs/operate/many-machines.md says what is in it."
    try:
        settings = json.loads(file.read_text())
        mode = file.stat().st_mode & 0o077
    except (OSError, ValueError) as error:
        return Finding("agent.json", "bad", f"{file}: {error}", remedy)
    if not isinstance(settings, dict) or not settings.get("bus"):
        return Finding("agent.json", "bad", f"{file} names no bus", remedy)
    if mode:
        return Finding("agent.json", "bad", f"others can read {file}, a password is in it", f"Run: chmod 600 {file}")
    images = settings.get("images", "")
    if images and not _is_folder(Path(images, ".incoming")):  # the store makes it
        remedy = "Mount the control plane's folder of images there: docs/operate/many-machines.md, part 4"
        return Finding("agent.json", "bad", f"there is no image store at {images}", remedy)
    return Finding("agent.json", "good", f"{file} can be read")


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # below a mount whose server or process is gone
        return False


def _agent() -> Finding:
    unit = ROLES["host"].unit
    state = _run(["systemctl", "is-active", unit])[0].strip()
    if state != "active" or not (HOST_STATE / "agent.ready").exists():
        said = state if state != "active" else "not ready"
        return Finding("agent", "bad", f"{unit} is {said}", f"Run: systemctl start {unit}; journalctl -u {unit}")
    return Finding("agent", "good", f"{unit} serves this host")


def _run(words: list[str]) -> tuple[str, str]:
    """(standard output, what went wrong)."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=_ANSWER_S)
    except FileNotFoundError:
        return "", f"there is no program {words[0]}"
    except subprocess.TimeoutExpired:
        return "", f"no answer within {_ANSWER_S} s"
    problem = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1] if done.returncode else ""
    return done.stdout, problem
