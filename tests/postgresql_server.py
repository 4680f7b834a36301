"""A PostgreSQL of the test session's own: a data folder in /tmp, a free port of loopback, nothing that survives it.

PostgreSQL refuses to run as root, so root starts it as `postgres` or, where that user is missing, as `nobody`. Nothing is
written durably (fsync off): the server is as quick as the tests need, and worthless after a crash.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg

_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "120"}


def binaries() -> Path | None:
    """The folder of `initdb` and `postgres`: on PATH, or the newest of Debian's."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    installed = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    return max((file.parent for file in installed), key=lambda folder: int(folder.parent.name), default=None)


def _unprivileged() -> dict[str, object]:
    """What a child process is started with so that it is not root; nothing when we are not."""
    if os.geteuid() != 0:
        return {}
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    user = known.get("postgres") or known["nobody"]
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _ends_with_us() -> list[str]:
    """A prefix with which the kernel stops the server when the test's process is killed (util-linux)."""
    return ["setpriv", "--pdeathsig", "QUIT", "--"] if shutil.which("setpriv") else []


class PostgresqlServer:
    """Running from the constructor to `stop`. `new_database` makes an empty one and returns its URL."""

    def __init__(self, folder: Path, settings: dict[str, str] | None = None) -> None:
        self._settings = _FAST if settings is None else settings
        self._programs = folder
        self._as = _unprivileged()
        self._root = Path(tempfile.mkdtemp(prefix="gureum-postgresql-", dir="/tmp"))
        if self._as:
            os.chown(self._root, self._as["user"], self._as["group"])
        self._numbers = itertools.count(1)
        self._server: subprocess.Popen[bytes] | None = None
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        data = self._root / "data"
        words = [self._programs / "initdb", "-D", data, "-U", "gureum", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"]
        subprocess.run(words, check=True, capture_output=True, cwd="/", **self._as)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._serve()

    def _serve(self) -> None:
        data = self._root / "data"
        settings = {
            **self._settings,
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self._root / "log").open("wb") as log:
            words = [*_ends_with_us(), self._programs / "postgres", "-D", data, *options]
            self._server = subprocess.Popen(words, stdout=log, stderr=log, cwd="/", **self._as)
        deadline = time.monotonic() + 30
        while not self._answers():
            if self._server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start: {(self._root / 'log').read_text()[-2000:]}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            psycopg.connect(self._address("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _address(self, name: str) -> str:
        return f"postgresql://gureum@127.0.0.1:{self.port}/{name}"

    def new_database(self) -> str:
        """SQLAlchemy's URL of a database with nothing in it."""
        name = f"cloud{next(self._numbers)}"
        with psycopg.connect(self._address("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self._address(name).replace("postgresql:", "postgresql+psycopg:", 1)

    def pause(self) -> None:
        """End it as a restart does: every connection is cut, the data stays."""
        assert self._server is not None
        self._server.send_signal(2)  # SIGINT: fast shutdown
        self._server.wait(20)

    def resume(self) -> None:
        """Serve the same data on the same port again."""
        self._serve()

    def stop(self) -> None:
        """End it and remove all that it wrote."""
        if self._server and self._server.poll() is None:
            self._server.send_signal(3)  # SIGQUIT: at once, without a checkpoint
            self._server.wait(20)
        shutil.rmtree(self._root, ignore_errors=True)
