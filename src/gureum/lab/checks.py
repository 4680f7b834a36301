"""What can be in the way on this machine: each check says in one sentence what is wrong and what mends it.

`up` asks the few that decide; `doctor` asks all. Nothing is changed here. Standard library only.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gureum.lab.engines.datapath import has_family
from gureum.lab.packages import ENGINES, PYTHON, missing
from gureum.lab.process import living
from gureum.lab.refusal import Refusal

GIB = 1 << 30
_REAL_DISK, _SIMULATED_DISK = 3 * GIB, GIB // 5
_REAL_MEMORY = 2 * GIB


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `doctor`."""

    subject: str
    verdict: Literal["good", "note", "bad"]
    text: str
    remedy: str = ""


def require_root() -> None:
    """Namespaces, Open vSwitch and libvirt need root."""
    if os.geteuid() != 0:
        raise Refusal(
            "A real cloud needs root, for network namespaces and the engines.",
            "Run `sudo ./gureum up`, or `./gureum up --simulate`: no root, the same APIs on fakes.",
        )


def require_space(folder: Path, simulate: bool) -> None:
    """Room for guests' disks, or for a database."""
    needed, free = (_SIMULATED_DISK if simulate else _REAL_DISK), shutil.disk_usage(_existing(folder)).free
    if free < needed:
        raise Refusal(
            f"The disk of {folder} has {free / GIB:.1f} GiB free, and a cloud needs {needed / GIB:.1f}.",
            "Free some space, or name a folder on another disk with --state.",
        )


def require_port(listen: str, port: int) -> None:
    """The API's port must be free."""
    family = socket.AF_INET6 if ":" in listen else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((listen, port))
            probe.listen(1)
        except PermissionError:
            raise Refusal(f"Port {port} may be opened by root only.", "Choose one above 1023 with --port.") from None
        except OSError as error:
            if error.errno == 98:  # EADDRINUSE
                owner = port_owner(port)
                raise Refusal(
                    f"Port {port} is in use{owner}.", "Choose another with --port, or end what uses it."
                ) from None
            raise Refusal(
                f"Nothing can listen on {listen} port {port}: {error.strerror or error}.", "Correct --listen."
            ) from None


def require_uplink(uplink: str) -> None:
    if uplink and not (
        uplink.replace("-", "").replace(".", "").replace("_", "").isalnum() and Path("/sys/class/net", uplink).exists()
    ):
        raise Refusal(f"There is no network interface {uplink!r}.", "See `ip link` for their names.")


def url_answers(url: str) -> str:
    """Empty when it answers 200, else what it does: "answers 503: REASON" or "does not answer"."""
    try:
        with urllib.request.urlopen(url, timeout=3) as answer:  # noqa: S310 - our own http address
            return "" if answer.status == 200 else f"answers {answer.status}"
    except urllib.error.HTTPError as error:
        return f"answers {error.code}: {_reason(error)}"
    except OSError:
        return "does not answer"


def _reason(error: urllib.error.HTTPError) -> str:
    """The sentence in which /healthz says what does not work."""
    try:
        return str(json.load(error)["error"]["message"])
    except (OSError, ValueError, KeyError, TypeError):
        return str(error.reason)


def port_owner(port: int) -> str:
    """` by NAME (process PID)` when it can be found out, else nothing."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        inodes |= {
            f"socket:[{row.split()[9]}]"
            for row in rows
            if row.split()[1].endswith(f":{port:04X}") and row.split()[3] == "0A"
        }
    for pid in living():
        with suppress(OSError):
            if any(_target(file) in inodes for file in Path(f"/proc/{pid}/fd").iterdir()):
                return f" by {Path(f'/proc/{pid}/comm').read_text().strip()} (process {pid})"
    return ""


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""  # closed meanwhile


def findings(state: Path, listen: str, port: int) -> Iterator[Finding]:
    """All that `doctor` looks at, but the guest that it runs to decide on KVM."""
    yield _root()
    yield _packages()
    yield from _kernel()
    yield _as_finding(
        "disk",
        lambda: require_space(state, simulate=False),
        f"{shutil.disk_usage(_existing(state)).free / GIB:.0f} GiB free",
    )
    yield _memory()
    yield _as_finding("port", lambda: require_port(listen, port), f"{listen} port {port} is free")


def _root() -> Finding:
    if os.geteuid() == 0:
        return Finding("root", "good", "running as root")
    return Finding("root", "note", "not root: only simulated clouds", "Run it with sudo for a real one.")


def _packages() -> Finding:
    absent = missing({**ENGINES, **PYTHON})
    if not absent:
        return Finding("packages", "good", f"all {len(ENGINES) + len(PYTHON)} Debian packages are installed")
    return Finding(
        "packages",
        "note",
        f"missing: {' '.join(absent)}",
        f"`gureum up` installs them, or: apt-get install {' '.join(absent)}",
    )


def _kernel() -> Iterator[Finding]:
    tun = Path("/dev/net/tun").exists()
    yield (
        Finding("tun", "good", "/dev/net/tun is there")
        if tun
        else Finding("tun", "bad", "/dev/net/tun is missing: guests have no network", "modprobe tun")
    )
    spaces = [kind for kind in ("net", "mnt", "uts") if not Path(f"/proc/self/ns/{kind}").exists()]
    if spaces:
        yield Finding(
            "namespaces", "bad", f"this kernel has no {' '.join(spaces)} namespaces", "Use a kernel of Debian's."
        )
    else:
        yield Finding("namespaces", "good", "network, mount and UTS namespaces")
    if has_family("ovs_datapath"):
        yield Finding("switching", "good", "Open vSwitch switches in the kernel")
    else:
        yield Finding(
            "switching",
            "note",
            "the kernel's Open vSwitch module is not loaded; packets are switched in user space",
            "modprobe openvswitch",
        )


def _memory() -> Finding:
    available = next(
        int(line.split()[1]) * 1024
        for line in Path("/proc/meminfo").read_text().splitlines()
        if line.startswith("MemAvailable")
    )
    text = f"{available / GIB:.1f} GiB of memory available"
    if available < _REAL_MEMORY:
        return Finding(
            "memory", "bad", text, "A real cloud with a guest needs 2 GiB: end something, or use --simulate."
        )
    return Finding("memory", "good", text)


def _as_finding(subject: str, check: Callable[[], None], good: str) -> Finding:
    try:
        check()
    except Refusal as refusal:
        return Finding(subject, "bad", refusal.problem, refusal.remedy)
    return Finding(subject, "good", good)


def _existing(folder: Path) -> Path:
    return next(parent for parent in (folder, *folder.parents) if parent.exists())
