"""What a host's own configuration must say so that guests start: qemu.conf, and a host name that is looked up quickly.

Pure but for `problems`, which reads the machine. Standard library only, because `doctor` and the installer use it too.
Each setting was found on Debian 12's libvirt 9.0; the source of their meaning is the text of /etc/libvirt/qemu.conf.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

QEMU_CONF = Path("/etc/libvirt/qemu.conf")

QEMU_SETTINGS = {
    "user": '"root"',  # the agent's folder, where the disks are, is root's alone
    "group": '"root"',
    "security_driver": '"none"',  # AppArmor's profiles know no folder of ours
    "stdio_handler": '"file"',
    "cgroup_controllers": "[]",  # in a container the controllers are read-only, and no guest starts
    "namespaces": "[]",
    "remember_owner": "0",
}

_BEGIN, _END = "# Gureum: settings that guests need", "# Gureum: end"
_SLOW_S = 1.0


def settings_text() -> str:
    """The settings as lines of qemu.conf."""
    return "".join(f"{name} = {value}\n" for name, value in QEMU_SETTINGS.items())


def with_settings(text: str) -> str:
    """The text of qemu.conf with our settings at its end, and others of the same names turned into comments."""
    kept, ours = [], False
    for line in text.splitlines():
        ours = ours or line == _BEGIN
        if not ours:
            kept.append(f"#{line}" if _name(line) in QEMU_SETTINGS else line)
        ours = ours and line != _END
    return "\n".join([*kept, _BEGIN]) + f"\n{settings_text()}{_END}\n"


def differing(text: str) -> list[str]:
    """The settings that the text of a qemu.conf lacks or sets otherwise, as the lines that it should have."""
    has = {_name(line): line.partition("=")[2].strip() for line in text.splitlines() if _name(line)}
    return [f"{name} = {value}" for name, value in QEMU_SETTINGS.items() if has.get(name) != value]


def problems(qemu_conf: Path = QEMU_CONF) -> Iterator[tuple[str, str]]:
    """(what is wrong, what mends it) of this machine."""
    try:
        lines = differing(qemu_conf.read_text())
    except OSError as error:
        yield f"{qemu_conf} cannot be read: {error.strerror}", "apt-get install libvirt-daemon-system"
    else:
        if lines:
            yield (
                f"{qemu_conf} lacks: {'; '.join(lines)}",
                "`gureum install host` writes them, or write them there and run: systemctl restart libvirtd",
            )
    began, name = time.monotonic(), socket.gethostname()
    with contextlib.suppress(OSError):  # that it has no address is no matter: libvirt goes on without
        socket.getaddrinfo(name, None)
    took_s = time.monotonic() - began
    if took_s > _SLOW_S:
        # libvirt asks for it at each start of a guest and waits for every name server's time limit
        yield (
            f"this host's own name {name} does not resolve at once ({took_s:.1f} s): starts of guests wait for it",
            f"Run: echo '127.0.1.1 {name}' >>/etc/hosts",
        )


def _name(line: str) -> str:
    """The setting's name in a line; empty for comments and empty lines."""
    name = line.partition("=")[0].strip()
    return "" if name.startswith("#") or "=" not in line else name
