"""What the machine and the libraries do at best: the limit that stands beside a figure in the same run.

`python -m bench.limits PORT` serves a handler that does nothing on the same server with the same settings.
"""

from __future__ import annotations

import hashlib
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import argon2
from sqlalchemy import text

from bench.client import CLONE, CONNECTIONS, BenchError, Rate, Request, steady
from bench.cloud import environment, free_port, resident_mib
from gureum.foundation.db.engine import Database
from gureum.services.identity.config import AuthConfig
from gureum.services.identity.tokens.passwords import USUAL_COST

MIB = 1 << 20


async def canned(scope: Any, receive: Any, send: Any) -> None:
    """Reads the body and answers as many bytes as the path's last part says."""
    while (await receive()).get("more_body"):
        pass
    body = bytes(int(scope["path"].rpartition("/")[2] or 2))
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@cache
def empty_handler(seconds: float, size: int = 2, connections: int = CONNECTIONS) -> Rate:
    """Requests a second of a handler that only answers `size` bytes, on the server and the settings of the cloud."""
    port = free_port()
    argv = [sys.executable, "-m", "bench.limits", str(port)]
    process = subprocess.Popen(argv, env=environment(), cwd=CLONE)
    try:
        _until_open(port, process)
        request = Request("GET", f"/{size}")
        rates = [steady(port, request, connections=connections, seconds=seconds) for _ in range(2)]
        return max(rates, key=lambda rate: rate.per_s)
    finally:
        process.terminate()
        process.wait()


def _until_open(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        if process.poll() is not None or time.monotonic() > deadline:
            raise BenchError("the empty handler does not start")
        time.sleep(0.02)


def empty_note(seconds: float) -> str:
    """The empty handler's rate, and how busy the client was at that: it goes at least as fast."""
    rate = empty_handler(seconds)
    return f"empty handler on the same server {rate.per_s:,.0f}/s (client {rate.busy:.0%} busy)"


def canned_note(seconds: float, size: int) -> str:
    """The rate at which the same server sends so many prepared bytes."""
    return f"the same {size / 1024:,.0f} KiB, prepared, {empty_handler(seconds, size).per_s:,.0f}/s"


def at_once(work: Callable[[], object], threads: int, seconds: float) -> float:
    """How often a second several threads together do `work`."""
    counts = [0] * threads
    until = time.perf_counter() + seconds

    def run(index: int) -> None:
        while time.perf_counter() < until:
            work()
            counts[index] += 1

    began = time.perf_counter()
    running = [threading.Thread(target=run, args=(i,)) for i in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return sum(counts) / (time.perf_counter() - began)


@cache
def password_hash(seconds: float) -> float:
    """Verifications a second of the configured argon2id hash, on all processors."""
    config = AuthConfig()
    passes = config.hash_time_cost or USUAL_COST["argon2id"]
    hasher = argon2.PasswordHasher(time_cost=passes, memory_cost=config.hash_memory_kib, parallelism=1)
    stored = hasher.hash("secret")
    return at_once(lambda: hasher.verify(stored, "secret"), os.cpu_count() or 1, seconds)


@cache
def row_inserts(seconds: float) -> float:
    """Commits a second of one row of 1 KiB, through the same engine and settings."""
    insert, body = text("INSERT INTO rows (body) VALUES (:body)"), {"body": "x" * 1024}
    return _written(lambda tx: tx.execute(insert, body), 1, seconds)


@cache
def six_commits(seconds: float) -> float:
    """How often a second a server's life could be written: 6 commits of 3 rows of 1 KiB, all new or all changed."""
    insert, body = text("INSERT INTO rows (body) VALUES (:body)"), {"body": "x" * 1024}

    def one(tx: Any) -> None:
        for _ in range(3):
            tx.execute(insert, body)

    return _written(one, 6, seconds)


def _written(work: Callable[[Any], object], commits: int, seconds: float) -> float:
    """How often a second four threads together write `work` in so many transactions one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/limit.sqlite")
        database.write(lambda tx: tx.execute(text("CREATE TABLE rows (id INTEGER PRIMARY KEY, body TEXT)")))

        def whole() -> None:
            for _ in range(commits):
                database.write(work)

        rate = at_once(whole, 4, seconds)
        database.close()
    return rate


@cache
def rows_ms(rows: int) -> float:
    """Milliseconds to read and build so many rows of ten columns by SQLite's own driver: the least of 20."""
    with sqlite3.connect(":memory:") as connection:
        connection.execute(f"CREATE TABLE t ({', '.join(f'c{i}' for i in range(10))})")
        connection.executemany(
            f"INSERT INTO t VALUES ({', '.join('?' * 10)})", [(f"{i:036}",) * 10 for i in range(rows)]
        )
        times = []
        for _ in range(20):
            began = time.perf_counter()
            connection.execute("SELECT * FROM t").fetchall()
            times.append(time.perf_counter() - began)
    connection.close()
    return min(times) * 1000


@cache
def modules() -> tuple[float, float]:
    """Seconds to start Python with the control plane's modules and nothing else, and its proportional set size in
    MiB."""
    argv = [
        sys.executable,
        "-c",
        "import gureum.roles.control; from gureum.roles.assembly import CATALOGUE; CATALOGUE.rules(); print(flush=True); input()",
    ]
    found = []
    for _ in range(3):
        began = time.perf_counter()
        with subprocess.Popen(argv, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdout.readline()
            found.append((time.perf_counter() - began, resident_mib([process.pid])))
            process.stdin.write(b"\n")
    return min(seconds for seconds, _ in found), min(mib for _, mib in found)


@cache
def hashes_mib_s() -> float:
    """MiB a second of MD5 and SHA-512 of the same bytes at the same time, a thread each: hashlib lets go of the
    interpreter meanwhile."""
    block, mib = bytes(MIB), 128
    digests = (hashlib.md5(), hashlib.sha512())

    def feed(digest: Any) -> None:
        for _ in range(mib):
            digest.update(block)

    threads = [threading.Thread(target=feed, args=(digest,)) for digest in digests]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return mib / (time.perf_counter() - began)


@cache
def loopback_mib_s(mib: int, sendfile: bool) -> float:
    """MiB a second from a cached file of that size to a socket that throws it away: by sendfile, or read and sent."""
    with tempfile.NamedTemporaryFile() as file, socket.socket() as listener:
        file.write(os.urandom(MIB) * mib)
        file.flush()
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        thread = threading.Thread(target=_swallow, args=(listener,))
        thread.start()
        with socket.create_connection(listener.getsockname()) as out, Path(file.name).open("rb") as source:
            began = time.perf_counter()
            if sendfile:
                out.sendfile(source)
            else:
                while block := source.read(MIB):
                    out.sendall(block)
        thread.join()
        return mib / (time.perf_counter() - began)


@cache
def disk_mib_s(mib: int) -> float:
    """MiB a second of a file that nobody has in memory, read by mebibytes that are let go behind."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(os.urandom(MIB) * mib)
        file.flush()
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        began = time.perf_counter()
        for number in range(mib):
            os.pread(file.fileno(), MIB, number * MIB)
            os.posix_fadvise(file.fileno(), 0, number * MIB, os.POSIX_FADV_DONTNEED)
        return mib / (time.perf_counter() - began)


def _swallow(listener: Any) -> None:
    connection, _ = listener.accept()
    room = bytearray(MIB)
    with connection:
        while connection.recv_into(room):
            pass


if __name__ == "__main__":
    from gureum.foundation.http.serve import serve

    serve(canned, "127.0.0.1", int(sys.argv[1]))


def postgresql_reads(seconds: float) -> float:
    """Rows a second that eight threads of one process read by their key, each on a connection of its own."""
    return _on_postgresql(
        lambda connection: connection.execute("SELECT * FROM things WHERE id = 7").fetchone(), seconds
    )


def postgresql_commits(seconds: float) -> float:
    """Commits of one new row a second, by eight threads of one process."""

    def insert(connection: Any) -> None:
        connection.execute("INSERT INTO things (words) VALUES ('x')")

    return _on_postgresql(insert, seconds)


def _on_postgresql(work: Callable[[Any], object], seconds: float) -> float:
    import psycopg
    from tests.postgresql_server import PostgresqlServer, binaries

    from bench.distributed import DURABLE

    programs = binaries()
    assert programs is not None
    server = PostgresqlServer(programs, DURABLE)
    try:
        url = server.new_database().replace("+psycopg", "", 1)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE TABLE things (id serial PRIMARY KEY, words text)")
            connection.execute("INSERT INTO things (words) SELECT 'x' FROM generate_series(1, 1000)")
        place = threading.local()
        opened = []

        def once() -> None:
            if not hasattr(place, "connection"):
                place.connection = psycopg.connect(url, autocommit=True, prepare_threshold=0)
                opened.append(place.connection)
            work(place.connection)

        rate = at_once(once, 8, seconds)
        for connection in opened:
            connection.close()
        return rate
    finally:
        server.stop()
