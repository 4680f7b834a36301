"""Uploads of clients that mean no good: too slow, too many at once, refused and still sending."""

from __future__ import annotations

import asyncio
import shutil

import pytest
from tests.api.image.conftest import IMAGES, cloud_on, register, upload
from tests.api.image.test_data import Sender, leftovers, status_of

from gureum.drivers.image.pace import MinimumRate
from gureum.foundation.db.engine import Database
from gureum.services.image.data import upload as uploads
from gureum.services.image.images.model import Image


@pytest.fixture
def make(empty_database, tmp_path):
    shutil.copy(empty_database, tmp_path / "test.sqlite")
    database = Database(f"sqlite:///{tmp_path}/test.sqlite")
    yield lambda **options: cloud_on(database, tmp_path, **options)
    database.close()


def headers_of(sender):
    return {name.decode(): value.decode() for name, value in sender.answer["headers"]}


def test_client_below_the_minimum_rate_is_cut_off(cloud, alice, monkeypatch):
    monkeypatch.setattr(uploads, "MinimumRate", lambda bytes_s: MinimumRate(bytes_s, window_s=0.2))
    image_id = register(alice)["id"]
    sender, sent = Sender(cloud, image_id), []

    async def receive():
        await asyncio.sleep(0.01)
        sent.append(1)
        return {"type": "http.request", "body": b"x", "more_body": True}

    assert asyncio.run(asyncio.wait_for(sender.put(receive), 10)) == 400
    assert b"slower than 16 KiB/s" in sender.answer["body"]
    assert headers_of(sender)["connection"] == "close"
    assert len(sent) < 100
    assert (status_of(alice, image_id), leftovers(cloud)) == ("queued", [])


def test_project_makes_so_many_uploads_at_a_time(make):
    cloud = make(uploads_of_project=2)
    alice, bob = cloud.as_("alice"), cloud.as_("bob")
    busy = [register(alice)["id"] for _ in range(2)]

    def begin(tx):
        for image_id in busy:
            image = tx.get(Image, image_id)
            image.status, image.upload_id = "saving", f"upload-of-{image_id}"[:36]

    cloud.database.write(begin)
    refused = register(alice)["id"]
    for where in ("file", "stage"):
        answer = alice.request("PUT", f"{IMAGES}/{refused}/{where}", raw=b"x", content_type="application/octet-stream")
        assert answer.status == 413
        assert "2 uploads under way" in answer.json()["message"]
    assert alice.get(f"{IMAGES}/{refused}").json()["status"] == "queued"
    assert upload(bob, register(bob)["id"], b"x").status == 204

    cloud.database.write(lambda tx: setattr(tx.get(Image, busy[0]), "upload_id", busy[0]))  # a server's image
    assert upload(alice, refused, b"x").status == 204


def test_refused_client_is_answered_after_its_data(make):
    cloud = make(max_bytes=1000)
    alice = cloud.as_("alice")
    image_id = register(alice)["id"]
    sender, left = Sender(cloud, image_id), [b"x" * 1001, *[b"x" * 1000] * 5]

    async def receive():
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    assert asyncio.run(sender.put(receive)) == 413
    assert left == []
    assert "connection" not in headers_of(sender)


def test_refused_client_that_goes_on_sending_is_let_go(make, monkeypatch):
    monkeypatch.setattr(uploads, "REFUSED_S", 0.1)
    cloud = make(max_bytes=1000)
    image_id = register(cloud.as_("alice"))["id"]
    sender = Sender(cloud, image_id)

    async def receive():
        await asyncio.sleep(0.001)
        return {"type": "http.request", "body": b"x" * 2000, "more_body": True}

    assert asyncio.run(asyncio.wait_for(sender.put(receive), 10)) == 413
    assert headers_of(sender)["connection"] == "close"
