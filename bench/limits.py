"""What the machine and the libraries do at best: the limit that stands beside a figure in the same run.

`python -m bench.limits PORT` serves an empty handler on the same server with the same settings.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import argon2
from sqlalchemy import text

from bench.client import Request, steady
from bench.cloud import CLONE, environment, free_port
from gureum.foundation.config import AuthConfig
from gureum.foundation.db.engine import Database

MIB = 1 << 20


async def empty(scope: Any, receive: Any, send: Any) -> None:
    """Reads the body and answers {}."""
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"{}"})


@cache
def empty_handler() -> float:
    """Requests a second of an empty handler, 8 connections."""
    port = free_port()
    argv = [sys.executable, "-m", "bench.limits", str(port)]
    process = subprocess.Popen(argv, env=environment(), cwd=CLONE)
    try:
        deadline = time.monotonic() + 10
        while True:
            try:
                return max(steady(port, Request("GET", "/"), seconds=2).per_s for _ in range(2))
            except Exception:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
    finally:
        process.terminate()
        process.wait()


def empty_note() -> str:
    return f"empty handler on the same server {empty_handler():,.0f}/s"


def at_once(work: Callable[[], object], threads: int = 2, seconds: float = 2.0) -> float:
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
def password_hash() -> float:
    """Verifications a second of the configured argon2id hash, on all processors."""
    config = AuthConfig()
    hasher = argon2.PasswordHasher(time_cost=config.hash_time_cost, memory_cost=config.hash_memory_kib, parallelism=1)
    stored = hasher.hash("secret")
    return at_once(lambda: hasher.verify(stored, "secret"), threads=os.cpu_count() or 1)


@cache
def row_inserts() -> float:
    """Commits a second of one row of 1 KiB, through the same engine and settings."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/limit.sqlite")
        database.write(lambda tx: tx.execute(text("CREATE TABLE rows (id INTEGER PRIMARY KEY, body TEXT)")))
        insert, body = text("INSERT INTO rows (body) VALUES (:body)"), {"body": "x" * 1024}
        rate = at_once(lambda: database.write(lambda tx: tx.execute(insert, body)), threads=4)
        database.close()
    return rate


@cache
def hashes_mib_s() -> float:
    """MiB a second of MD5 and SHA-512 of the same bytes at the same time, one on each processor; SHA-512's alone on
    a machine with one."""
    block = bytes(MIB)
    times = []
    for name in ("md5", "sha512"):
        began, digest = time.perf_counter(), hashlib.new(name)
        for _ in range(128):
            digest.update(block)
        times.append(time.perf_counter() - began)
    return 128 / max(times)


@cache
def loopback_mib_s(sendfile: bool) -> float:
    """MiB a second from a cached file to a socket that throws it away: by sendfile, or read and sent."""
    import socket

    with tempfile.NamedTemporaryFile() as file, socket.socket() as listener:
        file.write(os.urandom(MIB) * 256)
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
        return 256 / (time.perf_counter() - began)


def _swallow(listener: Any) -> None:
    connection, _ = listener.accept()
    room = bytearray(MIB)
    with connection:
        while connection.recv_into(room):
            pass


@cache
def copy_mib_s() -> float:
    """MiB a second of copying memory."""
    source = bytes(64 * MIB)
    began = time.perf_counter()
    for _ in range(16):
        bytearray(source)
    return 1024 / (time.perf_counter() - began)


if __name__ == "__main__":
    from gureum.foundation.http.serve import serve

    serve(empty, "127.0.0.1", int(sys.argv[1]))
