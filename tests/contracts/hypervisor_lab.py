"""A libvirtd and an Open vSwitch of a test's own: one process, mount, network and host-name namespace set.

Not the product's lab (`gureum.lab`): just enough to hold machines. Everything runs inside a process
namespace whose first process ends when this test process does, so nothing can outlive a killed test run.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Self

BINARIES = ("ip", "unshare", "nsenter", "libvirtd", "qemu-system-x86_64", "ovsdb-server", "ovs-vswitchd", "ovs-vsctl")

# First process of the namespaces: reaps orphans, and leaves (taking all with it) when the test's end of the pipe closes.
_INIT = """
import os, signal, sys
def reap(*_):
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
signal.signal(signal.SIGCHLD, reap)
print("ready", flush=True)
while os.read(0, 1):
    pass
"""

_MOUNTS = """
mount --make-rprivate /
mount --bind "$0/run" /run
mount --bind "$0/var" /var
mount --bind "$0/etc" /etc/libvirt
mount --bind "$0/passwd" /etc/passwd
mount --bind "$0/group" /etc/group
ip link set lo up
exec "$@"
"""

_QEMU_CONF = """
user = "root"
group = "root"
security_driver = "none"
stdio_handler = "file"
cgroup_controllers = []
namespaces = []
remember_owner = 0
"""

# A disk whose boot sector says "boot" on the serial port, then at each timer tick powers off when the power
# button was pressed and ejects the PCI devices that the host wants back (ACPI registers of QEMU's q35 machine).
#
#     cli; xor ax,ax; mov ds,ax; cld
#     mov dx,0x602; mov ax,0x100; out dx,ax            power button enabled
#     mov dx,0x3F8; mov si,0x7C00+text
#  p: lodsb; test al,al; jz run; out dx,al; jmp p
#  run: sti; hlt
#     mov dx,0x600; in ax,dx; test ah,1; jz e          pressed?
#     mov dx,0x604; mov ax,0x2000; out dx,ax           S5
#  e: xor ebx,ebx
#  n: mov dx,0xCD0; mov eax,ebx; out dx,eax            select a bus
#     mov dx,0xCC4; in eax,dx; test eax,eax; jz s      devices asked back
#     mov dx,0xCC8; out dx,eax                         eject
#  s: inc bx; cmp bx,64; jb n; jmp run
#  text: "boot\\n", 0
GUEST = bytes.fromhex(
    "fa31c08ed8fcba0206b80001efbaf803be4f7cac84c07403eeebf8fbf4ba0006edf6c4017407ba0406b80020ef6631db"
    "bad00c6689d866efbac40c66ed6685c07405bac80c66ef4383fb4072e3ebcc626f6f740a00"
)


class LabError(AssertionError):
    """The engines did not come up; the text holds their last words."""


def missing() -> str:
    """What the machine lacks for this lab, "" when nothing."""
    if os.geteuid() != 0:
        return "needs root"
    absent = [name for name in BINARIES if shutil.which(name) is None]
    return f"not installed: {', '.join(absent)}" if absent else ""


def eventually(check: Callable[[], object], what: str, limit_s: float = 15.0) -> None:
    """Wait until `check()` is true; fail with `what` after the limit."""
    deadline = time.monotonic() + limit_s
    while not check():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {limit_s:g} s: {what}")
        time.sleep(0.05)


class Lab:
    """Use as a context manager. `folder` is seen at the same path inside and outside the namespaces."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="gureum-hv-"))
        self.socket = self.folder / "run/libvirt/libvirt-sock"
        self._init: subprocess.Popen[str] | None = None
        self._libvirtd: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self._open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> None:
        for name in (
            "run/libvirt",
            "run/openvswitch",
            "run/lock",
            "var/lib",
            "var/cache",
            "var/log",
            "var/tmp",
            "etc",
            "log",
        ):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "var/run").symlink_to("/run")
        self._name_the_engine_user()
        (self.folder / "etc/qemu.conf").write_text(_QEMU_CONF)
        (self.folder / "etc/libvirtd.conf").write_text(
            f'host_uuid = "{uuid.uuid4()}"\nauth_unix_rw = "none"\nunix_sock_group = "root"\n'
        )
        self._init = subprocess.Popen(
            ["unshare", "--mount", "--net", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc",
             "sh", "-ec", _MOUNTS, str(self.folder), sys.executable, "-c", _INIT],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._init.stdout is not None
        if self._init.stdout.readline() != "ready\n":
            raise LabError("the namespaces did not come up")
        self._start_switch()
        self.start_libvirtd()

    def _name_the_engine_user(self) -> None:
        """Debian's libvirtd will not start without its user, even when told to use root; only a full install makes it."""
        for name, line in (("passwd", "libvirt-qemu:x:64055:64055::/:/bin/false"), ("group", "libvirt-qemu:x:64055:")):
            known = Path("/etc", name).read_text()
            (self.folder / name).write_text(known if "libvirt-qemu:" in known else f"{known}{line}\n")

    def run(self, *command: str, check: bool = True) -> str:
        """Run a command inside the namespaces and return its output."""
        done = subprocess.run(
            self._inside(*command), capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=60
        )
        if check and done.returncode:
            raise LabError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
        return done.stdout

    def _inside(self, *command: str) -> list[str]:
        assert self._init is not None
        children = Path(f"/proc/{self._init.pid}/task/{self._init.pid}/children").read_text().split()
        return ["nsenter", "--target", children[0], "--mount", "--net", "--uts", "--pid", "--wd=/", *command]

    def _start_switch(self) -> None:
        schema, database = "/usr/share/openvswitch/vswitch.ovsschema", f"{self.folder}/conf.db"
        self.run("ovsdb-tool", "create", database, schema)
        common = ("--pidfile", "--detach", "--no-chdir")
        self.run("ovsdb-server", database, "--remote=punix:/run/openvswitch/db.sock", *common,
                 f"--log-file={self.folder}/log/ovsdb.log")  # fmt: skip
        self.run("ovs-vsctl", "--no-wait", "init")
        self.run("ovs-vswitchd", "--disable-system", *common, f"--log-file={self.folder}/log/vswitchd.log")
        self.run(
            "ovs-vsctl", "--timeout=20", "add-br", "br-int", "--", "set", "bridge", "br-int", "datapath_type=netdev"
        )

    def start_libvirtd(self) -> None:
        """Start libvirtd and wait until it answers."""
        with (self.folder / "log/libvirtd.out").open("ab") as out:
            self._libvirtd = subprocess.Popen(
                self._inside("libvirtd", "--config", "/etc/libvirt/libvirtd.conf", "--pid-file", "/run/libvirtd.pid"),
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
            )  # fmt: skip
        try:
            eventually(self._libvirtd_answers, "libvirtd answers", 20)
        except AssertionError as error:
            raise LabError((self.folder / "log/libvirtd.out").read_text()[-2000:]) from error

    def _libvirtd_answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.socket)) == 0

    def stop_libvirtd(self) -> None:
        """End libvirtd (SIGTERM) and wait for it; machines keep running."""
        assert self._libvirtd is not None
        self.run("kill", (self.folder / "run/libvirtd.pid").read_text().strip())
        self._libvirtd.wait(20)

    def guest_pid(self, name: str) -> str:
        """The QEMU process of a machine, as numbered inside the namespaces."""
        return (self.folder / f"run/libvirt/qemu/{name}.pid").read_text().strip()

    def boot_disk(self, name: str) -> str:
        """A fresh 1 MiB raw disk with the test guest in its boot sector."""
        path = self.folder / f"{name}.raw"
        path.write_bytes(GUEST.ljust(510, b"\0") + b"\x55\xaa" + bytes((1 << 20) - 512))
        return str(path)

    def close(self) -> None:
        """End every process in the namespaces; they vanish with the last one."""
        if self._init is not None:
            assert self._init.stdin is not None
            self._init.stdin.close()
            try:
                self._init.wait(10)
            except subprocess.TimeoutExpired:
                self._init.kill()
                self._init.wait(10)
            if self._init.stdout is not None:
                self._init.stdout.close()
        if self._libvirtd is not None:
            self._libvirtd.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)
