"""A large image in and out: the process's memory does not follow its size.

A gibibyte here stands for twenty: what is held is bounded by batches, so that the size does not matter. Zeros take no
room on the disk.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

import pytest
from tests.crash.image.test_upload_killed import SERVER, ask

SIZE = 1 << 30
MOST_KIB = 200 << 10
CHUNK = bytes(1 << 20)
PATIENCE_S = 120


@pytest.fixture
def server(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": f"{root / 'src'}:{root}"}
    code = SERVER.replace("cloud_on(database, folder)", "cloud_on(database, folder, max_bytes=1 << 40)")
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path), str(port)], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "ready\n"
        yield process, port
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def peak_kib(process):
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


def send(port, image_id, where):
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    headers = {"X-Auth-Token": "alice", "Content-Type": "application/octet-stream", "Content-Length": str(SIZE)}
    path = f"/image/v2/images/{image_id}/{where}"
    connection.request("PUT", path, iter([CHUNK] * (SIZE // len(CHUNK))), headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


def test_memory_does_not_follow_the_size(server):
    process, port = server
    before = peak_kib(process)
    image_id = ask(port, "POST", "/image/v2/images", {"disk_format": "raw", "container_format": "bare"})["id"]
    assert send(port, image_id, "file") == 204
    assert ask(port, "GET", f"/image/v2/images/{image_id}")["size"] == SIZE
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    connection.request("GET", f"/image/v2/images/{image_id}/file", headers={"X-Auth-Token": "alice"})
    answer, received = connection.getresponse(), 0
    while chunk := answer.read(1 << 20):
        received += len(chunk)
    connection.close()
    assert received == SIZE
    assert peak_kib(process) < MOST_KIB, f"before: {before} KiB, after: {peak_kib(process)} KiB"


UPLOADS = 30
SENT = 12 << 20


def begin_upload(port, stall):
    """An upload that stops half way; its connection."""
    image_id = ask(port, "POST", "/image/v2/images", {"disk_format": "raw", "container_format": "bare"})["id"]
    connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
    head = (
        f"PUT /image/v2/images/{image_id}/file HTTP/1.1\r\nHost: cloud\r\nX-Auth-Token: alice\r\n"
        f"Content-Type: application/octet-stream\r\nContent-Length: {2 * SENT}\r\n\r\n"
    )
    connection.sendall(head.encode())
    for _ in range(SENT // len(CHUNK)):
        connection.sendall(CHUNK)
    if not stall:
        connection.close()
    return connection


@pytest.mark.parametrize("stall", [True, False], ids=["stalled", "cut"])
def test_uploads_that_stop_half_way_hold_little(server, stall):
    process, port = server
    send_small(port)
    before = peak_kib(process)
    with ThreadPoolExecutor(UPLOADS) as threads:
        connections = list(threads.map(lambda _: begin_upload(port, stall), range(UPLOADS)))
    ask(port, "GET", "/image/v2/images?limit=1")
    grown = peak_kib(process) - before
    for connection in connections:
        connection.close()
    assert grown < (UPLOADS + 32) << 10, f"{UPLOADS} uploads took {grown} KiB more: a mebibyte is enough for each"


def test_downloads_that_nobody_reads_hold_little(server):
    process, port = server
    image_id = ask(port, "POST", "/image/v2/images", {"disk_format": "raw", "container_format": "bare"})["id"]
    assert send(port, image_id, "file") == 204
    before = peak_kib(process)
    connections = []
    for _ in range(UPLOADS):
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", port))
        head = f"GET /image/v2/images/{image_id}/file HTTP/1.1\r\nHost: cloud\r\nX-Auth-Token: alice\r\n\r\n"
        connection.sendall(head.encode())
        connections.append(connection)
    time.sleep(2)
    grown = peak_kib(process) - before
    for connection in connections:
        connection.close()
    assert grown < (2 * UPLOADS + 16) << 10, f"{UPLOADS} downloads took {grown} KiB more"


def send_small(port):
    """One whole upload, so that what is made once is there."""
    image_id = ask(port, "POST", "/image/v2/images", {"disk_format": "raw", "container_format": "bare"})["id"]
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    headers = {"X-Auth-Token": "alice", "Content-Type": "application/octet-stream"}
    connection.request("PUT", f"/image/v2/images/{image_id}/file", CHUNK, headers)
    assert connection.getresponse().status == 204
    connection.close()
