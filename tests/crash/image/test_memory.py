"""A large image in and out: the process's memory does not follow its size.

A gibibyte here stands for twenty: what is held is bounded by batches, so that the size does not matter. Zeros take no
room on the disk.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
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
