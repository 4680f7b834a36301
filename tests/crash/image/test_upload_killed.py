"""kill -9 in the middle of an upload: the image is queued again, nothing of the data is left, and it can be sent anew."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path

import pytest

from gureum.drivers.image.file.store import FileImageStore
from gureum.drivers.image.stores import NamedStore
from gureum.foundation import clock
from gureum.foundation.db.engine import Database
from gureum.services.image.images import lifecycle
from gureum.services.image.images.model import Image

SERVER = """
import sys
from pathlib import Path
from tests.api.image.conftest import cloud_on
from gureum.foundation.db.engine import Database
from gureum.foundation.db.types import Row
from gureum.foundation.http.serve import serve

folder, port = Path(sys.argv[1]), int(sys.argv[2])
database = Database(f"sqlite:///{folder}/test.sqlite")
cloud = cloud_on(database, folder)
Row.metadata.create_all(database.engine)
serve(cloud.app, "127.0.0.1", port, lambda: print("ready", flush=True))
"""
PATIENCE_S = 30


@pytest.fixture
def server(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": f"{root / 'src'}:{root}"}
    command = [sys.executable, "-c", SERVER, str(tmp_path), str(port)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "ready\n"
        yield process, port
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def ask(port, method, path, body=None):
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    headers = {"X-Auth-Token": "alice", "Content-Type": "application/json"}
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return json.loads(content)


def test_an_upload_that_is_killed_leaves_a_queued_image(server, tmp_path):
    process, port = server
    image_id = ask(port, "POST", "/image/v2/images", {"disk_format": "raw", "container_format": "bare"})["id"]
    with socket.create_connection(("127.0.0.1", port)) as connection:
        head = (
            f"PUT /image/v2/images/{image_id}/file HTTP/1.1\r\nHost: cloud\r\nX-Auth-Token: alice\r\n"
            f"Content-Type: application/octet-stream\r\nContent-Length: {4 << 20}\r\n\r\n"
        )
        connection.sendall(head.encode() + bytes(3 << 20))
        until = time.monotonic() + PATIENCE_S
        while ask(port, "GET", f"/image/v2/images/{image_id}")["status"] != "saving":
            assert time.monotonic() < until, "the upload did not begin"
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()

    database, store = Database(f"sqlite:///{tmp_path}/test.sqlite"), FileImageStore(tmp_path / "images")
    with clock.use(clock.VirtualClock(time.time() + lifecycle.UPLOAD_SILENCE_S + 1)):
        assert lifecycle.requeue_dead_uploads(database) == [image_id]
    store = FileImageStore(tmp_path / "images", lambda: time.time() + lifecycle.UPLOAD_SILENCE_S + 1)
    lifecycle.sweep_store(database, NamedStore("file", "file", store))
    with database.read() as tx:
        assert tx.get(Image, image_id).status == "queued"
    database.close()
    assert list(store.locations()) == list((tmp_path / "images" / ".incoming").iterdir()) == []
