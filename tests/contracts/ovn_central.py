"""A northbound and a southbound database and their northd, of a test's own.

Everything lives in one folder under the temporary directory and dies with the test process. Not a host: no switch,
no packets (`tests/system/ovn_fabric.py` has those). Read next: ovn-northd(8).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

SCHEMAS = Path("/usr/share/ovn")


def daemon(arguments: list[str], environment: dict[str, str], log: Path) -> subprocess.Popen:
    """Start a daemon in the foreground that is killed when this process ends, however it ends."""
    with log.open("ab") as output:
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *arguments],
            env=os.environ | environment,
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
        )


def stop(processes: list[subprocess.Popen]) -> None:
    """End what `daemon` started, last first."""
    for process in reversed(processes):
        process.terminate()
    for process in reversed(processes):
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def eventually(condition: Callable[[], object], what: str, within_s: float = 15.0) -> None:
    """Wait until `condition()` is true; fail with `what` if it does not become so."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"after {within_s} s still not: {what}"
        time.sleep(0.05)


class OvnCentral:
    """Two databases and northd; `north` and `south` are their connection methods."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="gureum-ovn-"))
        self.environment = {"OVN_RUNDIR": str(self.folder), "OVS_RUNDIR": str(self.folder)}
        self.north = f"unix:{self.folder}/nb.sock"
        self.south = f"unix:{self.folder}/sb.sock"
        self._servers: dict[str, subprocess.Popen] = {}
        self._northd: list[subprocess.Popen] = []
        try:
            for name in ("nb", "sb"):
                create = ["ovsdb-tool", "create", f"{self.folder}/{name}.db", f"{SCHEMAS}/ovn-{name}.ovsschema"]
                subprocess.run(create, check=True)
                self.start_database(name)
            self._northd.append(
                daemon(
                    [
                        *("ovn-northd", f"--ovnnb-db={self.north}", f"--ovnsb-db={self.south}"),
                        *(f"--unixctl={self.folder}/northd.ctl", "-vconsole:warn"),
                    ],
                    self.environment,
                    self.folder / "northd.log",
                )
            )
            self.nbctl("--wait=sb", "sync")
        except BaseException:
            self.close()
            raise

    def start_database(self, name: str, *remotes: str) -> None:
        socket = self.folder / f"{name}.sock"
        socket.unlink(missing_ok=True)
        listen = [f"--remote=punix:{socket}", *(f"--remote={remote}" for remote in remotes)]
        command = ["ovsdb-server", f"{self.folder}/{name}.db", *listen, f"--unixctl={self.folder}/{name}.ctl"]
        self._servers[name] = daemon([*command, "-vconsole:warn"], self.environment, self.folder / f"{name}.log")
        eventually(socket.exists, f"{socket} listens")

    def stop_database(self, name: str) -> None:
        stop([self._servers.pop(name)])

    def nbctl(self, *arguments: str) -> str:
        return self._run("ovn-nbctl", f"--db={self.north}", "--timeout=20", *arguments)

    def sbctl(self, *arguments: str) -> str:
        return self._run("ovn-sbctl", f"--db={self.south}", "--timeout=20", *arguments)

    def close(self) -> None:
        stop([*self._servers.values(), *self._northd])
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, *command: str) -> str:
        done = subprocess.run(command, env=os.environ | self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
        return done.stdout.strip()
