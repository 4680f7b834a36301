"""Transfers from places that stand still: cut off below the minimum rate, and ended when their image is deleted."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import socketserver
import threading
import time

import pytest
from tests.api.image.conftest import IMAGES, active, cloud_on, register
from tests.api.image.test_imports import LOOPBACK, begin, show, tasks_of
from tests.api.image.web_place import serving

from gureum.drivers.image.errors import ImageStoreError
from gureum.drivers.image.pace import MinimumRate, TooSlow
from gureum.drivers.image.qemu import QemuConverter
from gureum.drivers.image.web.fetch import FetchFailed, WebFetcher
from gureum.foundation.db.engine import Database
from gureum.services.image.images.model import Image
from gureum.services.image.locations.model import attach

PATIENCE_S = 10
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"


class SlowPlace(socketserver.ThreadingTCPServer):
    """Sends `first` at once, then a byte of `then` every `every_s`; counts its open connections."""

    daemon_threads = allow_reuse_address = True

    def __init__(self, first=HEAD, then=b"x", every_s=0.05):
        super().__init__(("127.0.0.1", 0), _Trickle)
        self.first, self.then, self.every_s = first, then, every_s
        self.open, self.lock, self.closing = 0, threading.Lock(), threading.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/image"

    def shutdown(self):
        self.closing.set()
        super().shutdown()


class _Trickle(socketserver.BaseRequestHandler):
    def handle(self):
        place = self.server
        with place.lock:
            place.open += 1
        try:
            self.request.recv(4096)
            self.request.sendall(place.first)
            while not place.closing.wait(place.every_s):
                if place.then:
                    self.request.sendall(place.then)
                elif not is_open(self.request):
                    return
        except OSError:
            pass
        finally:
            with place.lock:
                place.open -= 1


def is_open(connection):
    connection.setblocking(False)
    try:
        return connection.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True


def until(true, what):
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, f"not within {PATIENCE_S} s: {what}"
        time.sleep(0.02)


@pytest.fixture
def fetcher():
    rate = MinimumRate(bytes_s=1000, window_s=0.5)
    return WebFetcher(LOOPBACK, idle_s=5, minimum_rate=rate)


@pytest.mark.parametrize(
    "place",
    [
        {},
        {"first": b""},
        {"first": HEAD[:-2]},
        {"first": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "then": b"1\r\nx\r\n"},
        {"first": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", "then": b"x"},
    ],
    ids=["data", "no head", "endless head", "chunks of a byte", "endless chunk head"],
)
def test_place_below_the_minimum_rate_is_left(fetcher, place):
    with serving(SlowPlace(**place)) as server:
        began = time.monotonic()
        with pytest.raises(TooSlow):
            list(fetcher.open(server.url))
        assert time.monotonic() - began < 3
        until(lambda: not server.open, "the connection is closed")


def test_silent_place_is_left_after_the_idle_time():
    fetcher = WebFetcher(LOOPBACK, idle_s=0.3)
    with serving(SlowPlace(then=b"")) as server, pytest.raises(FetchFailed, match="nothing came"):
        list(fetcher.open(server.url))


def test_whoever_waits_for_a_silent_place_can_end_it():
    class Enough(Exception):
        pass

    def look():
        if time.monotonic() - began > 0.2:
            raise Enough

    began = time.monotonic()
    with serving(SlowPlace(then=b"")) as server:
        with pytest.raises(Enough):
            list(WebFetcher(LOOPBACK).open(server.url, look=look))
        until(lambda: not server.open, "the connection is closed")
    assert time.monotonic() - began < 3


@pytest.mark.parametrize("then", [b"x", b""], ids=["a byte now and then", "silence"])
def test_deleting_the_image_ends_its_download(empty_database, tmp_path, then):
    shutil.copy(empty_database, tmp_path / "test.sqlite")
    database = Database(f"sqlite:///{tmp_path}/test.sqlite")
    cloud = cloud_on(database, tmp_path, LOOPBACK)
    alice, root = cloud.as_("alice"), cloud.as_("root")
    with serving(SlowPlace(then=then, every_s=0.2)) as server:
        cloud.engine.start()
        try:
            images = [register(alice)["id"] for _ in range(10)]
            for image_id in images:
                assert begin(alice, image_id, "web-download", uri=server.url).status == 202
            until(lambda: server.open == cloud.engine.options.transfers_of_project, "transfers are under way")
            for image_id in images:
                assert alice.delete(f"{IMAGES}/{image_id}").status == 204
            ended = lambda: {task["status"] for task in root.get("/image/v2/tasks").json()["tasks"]}
            until(lambda: not server.open, "the connections are closed")
            until(lambda: ended() == {"failure"}, "the tasks end")
            assert list(cloud.store.locations()) == []
        finally:
            cloud.engine.stop()
    database.close()


def test_slow_import_fails_with_the_reason(empty_database, tmp_path):
    shutil.copy(empty_database, tmp_path / "test.sqlite")
    database = Database(f"sqlite:///{tmp_path}/test.sqlite")
    cloud = cloud_on(database, tmp_path, LOOPBACK)
    rate = MinimumRate(bytes_s=1024, window_s=0.5)
    object.__setattr__(cloud.deps.fetcher, "minimum_rate", rate)
    alice = cloud.as_("alice")
    with serving(SlowPlace()) as server:
        image_id = register(alice)["id"]
        assert begin(alice, image_id, "web-download", uri=server.url).status == 202
        cloud.engine.run_due()
        assert show(alice, image_id)["status"] == "queued"
        [task] = tasks_of(alice, image_id)
        assert task["status"] == "failure"
        assert "slower than 1 KiB/s" in task["message"]
    database.close()


def test_conversion_can_be_ended(tmp_path):
    """A program that never ends stands for a conversion that takes hours."""
    program = tmp_path / "endless"
    program.write_text("#!/bin/sh\necho $$ > " + f"{tmp_path}/pid\nexec sleep 60\n")
    program.chmod(0o700)

    def look():
        if (tmp_path / "pid").exists() and (tmp_path / "pid").read_text():
            raise ImageStoreError("nobody wants it any more")

    source = tmp_path / "source"
    source.write_bytes(bytes(512))
    with pytest.raises(ImageStoreError, match="nobody wants it"):
        QemuConverter(str(program)).convert(source, "raw", tmp_path / "target", "qcow2", look=look)
    pid = int((tmp_path / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize("first", [b"", HEAD], ids=["no head", "no data"])
def test_downloads_from_outside_hold_up_nobody_else(empty_database, tmp_path, first):
    """An image's data may lie at a place that never answers: the API and the cloud's own data go on."""
    shutil.copy(empty_database, tmp_path / "test.sqlite")
    database = Database(f"sqlite:///{tmp_path}/test.sqlite")
    cloud = cloud_on(database, tmp_path, LOOPBACK, secure_hash=False)
    alice = cloud.as_("alice")
    here = active(alice, b"here")
    with serving(SlowPlace(first=first, then=b"")) as server:
        away = register(alice)["id"]

        def put_away(tx):
            image = tx.get(Image, away)
            image.status, image.size_bytes = "active", 1_000_000
            attach(tx, image, "web", server.url)

        database.write(put_away)
        took = asyncio.run(beside_downloads(alice, away, here))
    database.close()
    assert took < 2


async def beside_downloads(client, away, here):
    """How long a list and a download take while 40 other downloads wait."""
    get = lambda url: client._send("GET", url, b"", client.headers)
    waiting = [asyncio.create_task(get(f"{IMAGES}/{away}/file")) for _ in range(40)]
    await asyncio.sleep(0.5)
    began = time.monotonic()
    listed, downloaded = await asyncio.gather(get(IMAGES), get(f"{IMAGES}/{here}/file"))
    took = time.monotonic() - began
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert (listed.status, downloaded.content) == (200, b"here")
    return took
