"""A Ceph cluster of the test's own: one monitor and one OSD, in a folder, on loopback, with cephx keys; nothing of the machine's.

It is started by hand from Debian's packages ceph-mon, ceph-osd and ceph-common, and ended by the ids of the processes
that were started here. It has no manager daemon: RBD needs none.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import uuid
from pathlib import Path

PROGRAMS = ("ceph-mon", "ceph-osd", "ceph", "rbd", "ceph-authtool", "monmaptool")
_DEVICE_BYTES = 4 << 30
_GIVE_UP_S = 60.0


def absent() -> str:
    """Which of Ceph's programs this machine lacks; "" when it has all."""
    return " ".join(name for name in PROGRAMS if shutil.which(name) is None)


class CephCluster:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fsid = str(uuid.uuid4())
        self.conf = folder / "ceph.conf"
        self.address = f"127.0.0.1:{_free_port()}"
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Make the cluster and return when it takes data. Leaves no process behind when it fails."""
        try:
            self._make_monitor()
            self._make_osd()
        except BaseException:
            self.stop()
            raise

    def pool(self, name: str, user: str, reader: str) -> None:
        """A pool for images, and two users whose keys in the folder open this pool alone, one of them for reading."""
        self.ceph("osd", "pool", "create", name, "8")
        self.ceph("osd", "pool", "application", "enable", name, "rbd")
        for one, profile in ((user, "rbd"), (reader, "rbd-read-only")):
            caps = ("mon", "profile rbd", "osd", f"profile {profile} pool={name}")
            keyring = self.folder / f"ceph.client.{one}.keyring"
            self.ceph("auth", "get-or-create", f"client.{one}", *caps, "-o", str(keyring))

    def empty(self, pool: str) -> None:
        """Everything in the pool goes, whatever it is."""
        self._run("rados", "-c", str(self.conf), "purge", pool, "--yes-i-really-really-mean-it")

    def freeze(self) -> None:
        """No daemon answers any more, but every connection stays: the worst that a network does."""
        for daemon in self._daemons.values():
            daemon.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        for daemon in self._daemons.values():
            daemon.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End what was started here and remove the folder's content."""
        for daemon in self._daemons.values():
            daemon.kill()
            daemon.wait()
        self._daemons.clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    def ceph(self, *words: str, given: str = "") -> str:
        """A command of the administrator."""
        return self._run("ceph", "-c", str(self.conf), "--connect-timeout", "20", *words, given=given)

    def rbd(self, *words: str) -> str:
        """The same for images."""
        return self._run("rbd", "-c", str(self.conf), *words)

    def rados(self, pool: str, *words: str) -> str:
        """The same for objects."""
        return self._run("rados", "-c", str(self.conf), "-p", pool, *words)

    def _make_monitor(self) -> None:
        folder = self.folder
        (folder / "mon").mkdir(parents=True)
        self.conf.write_text(_CONF.format(fsid=self.fsid, address=self.address, folder=folder))
        keys, admin = str(folder / "mon.keyring"), folder / "ceph.client.admin.keyring"
        everything = ["--cap", "mon", "allow *", "--cap", "osd", "allow *", "--cap", "mgr", "allow *"]
        self._run("ceph-authtool", "-C", keys, "-g", "-n", "mon.", "--cap", "mon", "allow *")
        self._run("ceph-authtool", "-C", str(admin), "-g", "-n", "client.admin", *everything)
        self._run("ceph-authtool", keys, "--import-keyring", str(admin))
        monmap = str(folder / "monmap")
        self._run("monmaptool", "--create", "--fsid", self.fsid, "--addv", "a", f"[v2:{self.address}]", monmap)
        common = ["ceph-mon", "-c", str(self.conf), "-i", "a", "--mon-data", str(folder / "mon")]
        self._run(*common, "--mkfs", "--monmap", monmap, "--keyring", keys)
        self._daemon("mon", *common, "-f")

    def _make_osd(self) -> None:
        folder = self.folder / "osd"
        folder.mkdir()
        with (folder / "block").open("wb") as device:
            device.truncate(_DEVICE_BYTES)
        name = str(uuid.uuid4())
        secret = self._run("ceph-authtool", "--gen-print-key").strip()
        self.ceph("osd", "new", name, "-i", "-", given=json.dumps({"cephx_secret": secret}))
        keyring = folder / "keyring"
        self._run("ceph-authtool", "-C", str(keyring), "-n", "osd.0", "--add-key", secret)
        common = ["ceph-osd", "-c", str(self.conf), "-i", "0", "--osd-data", str(folder)]
        self._run(*common, "--mkfs", "--osd-uuid", name, "--keyring", str(keyring))
        self._daemon("osd", *common, "-f", "--keyring", str(keyring))
        end = time.monotonic() + _GIVE_UP_S
        while not json.loads(self.ceph("osd", "stat", "--format", "json"))["num_up_osds"]:
            if time.monotonic() > end or self._daemons["osd"].poll() is not None:
                raise RuntimeError(f"the OSD did not come up:\n{(self.folder / 'osd.output').read_text()[-3000:]}")
            time.sleep(0.2)

    def _daemon(self, name: str, *words: str) -> None:
        with (self.folder / f"{name}.output").open("wb") as output:
            self._daemons[name] = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *words],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def _run(self, *words: str, given: str = "") -> str:
        done = subprocess.run(
            words, input=given, capture_output=True, text=True, timeout=_GIVE_UP_S, check=False, env=os.environ
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(words)}: {done.stderr[-2000:]}")
        return done.stdout


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


_CONF = """[global]
fsid = {fsid}
mon host = [v2:{address}]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind msgr1 = false
keyring = {folder}/$cluster.$name.keyring
run dir = {folder}
admin socket = {folder}/$type.$id.asok
log file = {folder}/$type.$id.log
crash dir = {folder}
osd pool default size = 1
osd pool default min size = 1
osd crush chooseleaf type = 0
mon allow pool size one = true
mon warn on pool no redundancy = false
paxos propose interval = 0.02
mon data avail crit = 1
mon data avail warn = 1
mon osd full ratio = 0.99
osd objectstore = bluestore
osd memory target = 1073741824
bluestore block size = 4294967296
bluestore cache autotune = false
bluestore cache size = 67108864
bluestore fsck on mount = false
osd op num shards = 2
osd client watch timeout = 5
[client]
admin socket =
log file =
"""
