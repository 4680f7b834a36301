"""One guest in a bare QEMU under TCG, reached by SSH through user networking and steered by QMP.

Not a hypervisor driver: it exists so that the guest image's own tests need nothing of the cloud. Leaving the context
ends the QEMU process whatever happened. Read next: `test_guest_image.py`.
"""

from __future__ import annotations

import json
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

BOOT_TIMEOUT_S = 90


def make_key(folder: Path) -> Path:
    key = folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    return key


def identity(key: Path, uuid: str, name: str) -> dict:
    public = key.with_suffix(".pub").read_text()
    return {"uuid": uuid, "hostname": f"{name}.example.org", "name": name, "public_keys": {"test": public}}


def make_config_drive(folder: Path, meta_data: dict, user_data: str | None = None) -> Path:
    latest = folder / f"drive-{meta_data['uuid']}" / "openstack/latest"
    latest.mkdir(parents=True)
    (latest / "meta_data.json").write_text(json.dumps(meta_data))
    if user_data is not None:
        (latest / "user_data").write_text(user_data)
    iso = folder / f"{meta_data['uuid']}.iso"
    tree = str(latest.parent.parent)
    subprocess.run(["genisoimage", "-quiet", "-V", "config-2", "-J", "-R", "-o", str(iso), tree], check=True)
    return iso


def make_disk(folder: Path, image: Path, size: str = "1G") -> Path:
    disk = folder / "disk.qcow2"
    command = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(image), "-F", "qcow2", str(disk), size]
    subprocess.run(command, check=True)
    return disk


class Guest:
    """A running guest. Options beyond the defaults are QEMU's own words."""

    def __init__(self, folder: Path, disk: Path, key: Path, *, drive: Path | None = None, network: str = "") -> None:
        self.folder, self.disk, self.key, self.drive, self.network = folder, disk, key, drive, network
        self.port = _free_port()
        self.serial = folder / f"serial-{self.port}.log"
        self.banner_s = 0.0

    def __enter__(self) -> Self:
        self.started = time.monotonic()
        self.process = subprocess.Popen(self._command(), stderr=subprocess.PIPE)
        try:
            self.wait_for_ssh()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_failure: object) -> None:
        self.process.kill()
        self.process.communicate()

    def _command(self) -> list[str]:
        network = f"user,id=nic0,hostfwd=tcp:127.0.0.1:{self.port}-:22{self.network}"
        # After a reset, translations of the system before it make every write to their pages slow: a small cache drops them.
        command = [
            "qemu-system-x86_64",
            "-M",
            "q35",
            "-accel",
            "tcg,tb-size=64",
            "-cpu",
            "max",
            "-m",
            "192",
            "-nodefaults",
        ]
        command += ["-vga", "std", "-display", "none", "-serial", f"file:{self.serial}"]
        command += ["-qmp", f"unix:{self._qmp_path()},server=on,wait=off"]
        command += ["-drive", f"file={self.disk},format=qcow2,if=none,id=root,cache=unsafe"]
        command += ["-device", "virtio-blk-pci,drive=root,bootindex=1"]
        if self.drive is not None:
            command += ["-drive", f"file={self.drive},format=raw,if=none,id=config,readonly=on"]
            command += ["-device", "virtio-blk-pci,drive=config"]
        command += ["-netdev", network, "-device", "virtio-net-pci,netdev=nic0"]
        for number in (1, 2):
            command += ["-device", f"pcie-root-port,id=slot{number},slot={number},chassis={number}"]
        return command

    def _qmp_path(self) -> Path:
        return self.folder / f"qmp-{self.port}"

    def wait_for_ssh(self) -> None:
        """Wait until the SSH server sends its banner; banner_s holds the seconds since the start."""
        deadline = time.monotonic() + BOOT_TIMEOUT_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"QEMU ended: {self.process.communicate()[1].decode()}")
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 2) as connection:
                # User networking accepts before the guest does and retries ever more slowly: a new connection is quicker.
                connection.settimeout(0.5)
                if connection.recv(64).startswith(b"SSH-2.0"):
                    self.banner_s = time.monotonic() - self.started
                    return
            time.sleep(0.05)
        raise AssertionError(f"no SSH answer in {BOOT_TIMEOUT_S} s; the console says:\n{self.console()}")

    def ssh(self, command: str, *, user: str = "gureum", options: tuple[str, ...] = ()) -> subprocess.CompletedProcess:
        words = [
            "ssh",
            "-i",
            str(self.key),
            "-p",
            str(self.port),
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "LogLevel=ERROR",
        ]
        words += ["-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"]
        words += ["-o", "ConnectTimeout=5", "-o", "ServerAliveInterval=5", *options]
        return subprocess.run(
            [*words, f"{user}@127.0.0.1", command], capture_output=True, text=True, timeout=60, check=False
        )

    def run(self, command: str) -> str:
        """Run a shell command in the guest as strictly as outside test suites do, and return its output."""
        done = self.ssh(f"set -eu -o pipefail; {command}")
        assert done.returncode == 0, f"{command}\nended with {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout

    def until(self, command: str, expected: str, timeout_s: float = 15) -> str:
        deadline = time.monotonic() + timeout_s
        while expected not in (output := self.ssh(command).stdout):
            assert time.monotonic() < deadline, f"{command}: no {expected!r} within {timeout_s} s in {output!r}"
            time.sleep(0.3)
        return output

    def console(self) -> str:
        return self.serial.read_text(errors="replace") if self.serial.exists() else ""

    def wait_for_console(self, text: str, timeout_s: float = 30) -> str:
        deadline = time.monotonic() + timeout_s
        while text not in self.console():
            assert time.monotonic() < deadline, f"no {text!r} on the console within {timeout_s} s:\n{self.console()}"
            time.sleep(0.1)
        return self.console()

    def host_key(self) -> str:
        command = ["ssh-keyscan", "-t", "ed25519", "-p", str(self.port), "127.0.0.1"]
        scanned = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
        assert "ssh-ed25519" in scanned
        return scanned.split()[-1]

    def qmp(self, command: str, **arguments: object) -> None:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self._qmp_path()))
            stream = connection.makefile("rw")
            stream.readline()
            for message in ({"execute": "qmp_capabilities"}, {"execute": command, "arguments": arguments}):
                stream.write(json.dumps(message))
                stream.flush()
                while "event" in (answer := json.loads(stream.readline())):
                    pass
                assert "return" in answer, answer


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
