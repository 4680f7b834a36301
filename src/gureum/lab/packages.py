"""The Debian packages behind a real lab, how each is recognised as present, and how what is missing is installed.

Installing starts no service: the lab brings its own daemons, and the machine's own Open vSwitch or libvirt must not
appear because of us. A `policy-rc.d` says so while apt runs, unless the machine has one already; on systemd, units that
do not run are disabled. A host of its own is the other case: there the machine's own daemons are what runs. Standard
library only: the launcher uses this before anything is installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

from gureum.lab.engines.host import CACHE_FOLDER, LIBVIRT_FOLDERS
from gureum.lab.process import SYSTEM_PATH
from gureum.lab.refusal import Refusal

ENGINES: Mapping[str, str] = {
    "iproute2": "ip",
    "iputils-ping": "ping",
    "ethtool": "ethtool",
    "kmod": "modprobe",
    "nftables": "nft",
    "openssh-client": "ssh",
    "openvswitch-switch": "ovs-vswitchd",
    "ovn-central": "ovn-northd",
    "ovn-host": "ovn-controller",
    "libvirt-daemon": "libvirtd",
    "libvirt-daemon-driver-qemu": "/usr/lib/*/libvirt/connection-driver/libvirt_driver_qemu.so",
    "libvirt-clients": "virsh",
    "qemu-system-x86": "qemu-system-x86_64",
    "qemu-utils": "qemu-img",
    "qemu-block-extra": "/usr/lib/*/qemu/block-rbd.so",
    "genisoimage": "genisoimage",
    "syslinux": "syslinux",
    "syslinux-common": "/usr/lib/syslinux/modules/bios/libutil.c32",
    "mtools": "mcopy",
    "dosfstools": "mkfs.vfat",
    "e2fsprogs": "mkfs.ext4",
}
"""Package -> the program, or a pattern of the file, that shows it is there. Holds the guest image's builders too."""

PYTHON: Mapping[str, str] = {
    "libvirt-dev": "/usr/include/libvirt/libvirt.h",
    "python3-dev": "/usr/include/python3.*/Python.h",
    "pkg-config": "pkg-config",
    "gcc": "gcc",
    "libc6-dev": "/usr/include/stdlib.h",
}
"""What building libvirt's Python bindings needs."""

CONTROL: Mapping[str, str] = {"qemu-utils": "qemu-img"}
"""What a control plane on a machine of its own needs."""

HOST: Mapping[str, str] = {
    **{
        package: ENGINES[package]
        for package in (
            "iproute2", "ethtool", "kmod", "openvswitch-switch", "ovn-host", "libvirt-daemon",
            "libvirt-daemon-driver-qemu", "libvirt-clients", "qemu-system-x86", "qemu-utils", "qemu-block-extra",
            "genisoimage", "dosfstools", "e2fsprogs",
        )
    },
    "libvirt-daemon-system": "/lib/systemd/system/libvirtd.service",
}  # fmt: skip
"""What a host of its own needs: the engines with their own systemd units."""

TESTS: Mapping[str, str] = {
    "postgresql": "/usr/lib/postgresql/*/bin/pg_ctl",
    "rabbitmq-server": "rabbitmq-server",
    "ceph-mon": "ceph-mon",
    "ceph-osd": "ceph-osd",
    "ceph-common": "rbd",
    "busybox": "busybox",
}
"""Servers that the tests start by themselves, on loopback and with data of their own, and the guests' DHCP client."""

_UNITS = (
    "openvswitch-switch.service", "ovs-vswitchd.service", "ovsdb-server.service", "ovn-central.service",
    "ovn-host.service",    "libvirtd.service", "libvirtd.socket", "libvirtd-ro.socket", "libvirtd-admin.socket",
    "virtlogd.socket", "virtlockd.socket",
)  # fmt: skip
_POLICY = Path("/usr/sbin/policy-rc.d")
_LOCK_WAIT_S = 900


def missing(packages: Mapping[str, str]) -> tuple[str, ...]:
    """The packages whose program or file is not on this machine. Costs well under a millisecond each."""
    return tuple(package for package, sign in packages.items() if not _present(sign))


def _present(sign: str) -> bool:
    if sign.startswith("/"):
        return any(Path("/").glob(sign[1:]))
    return shutil.which(sign, path=SYSTEM_PATH) is not None


def counted(packages: Sequence[str]) -> str:
    """For a person: how many, and which when they are few."""
    if len(packages) > 3:
        return f"{len(packages)} Debian packages"
    return f"the Debian package{'s' * (len(packages) > 1)} {', '.join(packages)}"


def install(packages: Sequence[str], log: Path, *, services: bool = False) -> None:
    """Install with apt-get, as root. Output goes to `log`. Refusal with the remedy on failure.

    With `services` the packages' daemons are the machine's own, and Debian starts them; else none is started.
    """
    command = f"apt-get install {' '.join(packages)}"
    if os.geteuid() != 0:
        raise Refusal(f"These Debian packages are missing: {' '.join(packages)}.", f"Run as root: {command}")
    if not shutil.which("apt-get", path=SYSTEM_PATH):
        raise Refusal(
            "This machine has no apt-get, and a real cloud is installed from Debian packages.", "Use --simulate."
        )
    log.parent.mkdir(parents=True, exist_ok=True)
    with nullcontext() if services else _services_stay_off():
        if not _have_lists():
            _apt(log, "update")
        done = _apt(log, "install", "-y", "--no-install-recommends", *packages)
        if done:  # the lists may be older than the archive
            _apt(log, "update")
            done = _apt(log, "install", "-y", "--no-install-recommends", *packages)
    if done:
        raise Refusal(f"apt-get could not install {' '.join(packages)} (its words: {log}).", f"Run: {command}")
    if not services:
        _disable_units()


def make_libvirt_folders() -> None:
    """The folders that libvirtd makes at its first start: every host of a lab mounts its own over them."""
    for folder in (*LIBVIRT_FOLDERS.values(), CACHE_FOLDER):
        Path(folder).mkdir(mode=0o755, parents=True, exist_ok=True)


def _have_lists() -> bool:
    return any(Path("/var/lib/apt/lists").glob("*_Packages*"))


def _apt(log: Path, *arguments: str) -> int:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "PATH": SYSTEM_PATH, "LC_ALL": "C.UTF-8"}
    words = [
        "apt-get",
        "-q",
        "-o",
        f"DPkg::Lock::Timeout={_LOCK_WAIT_S}",
        "-o",
        "Dpkg::Options::=--force-confold",
        *arguments,
    ]
    with log.open("ab") as output:
        output.write(f"\n# {' '.join(words)}\n".encode())
        output.flush()
        return subprocess.run(
            words, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, check=False
        ).returncode


@contextmanager
def _services_stay_off() -> Iterator[None]:
    """invoke-rc.d(8) asks policy-rc.d before it starts a service; 101 forbids it."""
    ours = not _POLICY.exists()
    if ours:
        _POLICY.write_text("#!/bin/sh\nexit 101\n")
        _POLICY.chmod(0o755)
    try:
        yield
    finally:
        if ours:
            _POLICY.unlink(missing_ok=True)


def _disable_units() -> None:
    """Debian enables units at installation whatever policy-rc.d says; only those that do not run are disabled."""
    if not Path("/run/systemd/system").exists():
        return
    for unit in _UNITS:
        if subprocess.run(["systemctl", "is-active", "-q", unit], check=False).returncode:
            subprocess.run(["systemctl", "disable", unit], check=False, capture_output=True)
