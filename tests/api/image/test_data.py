"""Image data through HTTP: in whole and refused, out whole and in part, and what is left when an upload dies."""

from __future__ import annotations

import asyncio
import hashlib

import pytest
from tests.api.image.conftest import IMAGES, OCTETS, active, patch, qcow2, register, upload

from gureum.drivers.image.errors import ImageStoreError, StoreFull
from gureum.foundation import clock
from gureum.foundation.db.failures import DatabaseFailure, DatabaseFull, OutcomeUnknown
from gureum.services.image.data import claim
from gureum.services.image.images import lifecycle
from gureum.services.image.images.model import Image

DATA = bytes(range(256)) * 40


def status_of(client, image_id):
    return client.get(f"{IMAGES}/{image_id}").json()["status"]


def leftovers(cloud):
    return [*cloud.store.locations(), *(cloud.folder / "images" / ".incoming").iterdir()]


def test_data_goes_in_with_its_hashes_and_comes_out_whole(alice):
    image_id = register(alice)["id"]
    assert alice.get(f"{IMAGES}/{image_id}/file").status == 204
    assert upload(alice, image_id, DATA).status == 204
    view = alice.get(f"{IMAGES}/{image_id}").json()
    assert (view["status"], view["size"], view["virtual_size"]) == ("active", len(DATA), len(DATA))
    assert view["checksum"] == hashlib.md5(DATA).hexdigest()
    assert (view["os_hash_algo"], view["os_hash_value"]) == ("sha512", hashlib.sha512(DATA).hexdigest())
    answer = alice.get(f"{IMAGES}/{image_id}/file")
    assert (answer.status, answer.content) == (200, DATA)
    assert answer.headers["content-type"] == OCTETS
    assert answer.headers["content-md5"] == view["checksum"]
    assert answer.headers["content-length"] == str(len(DATA))


def test_head_tells_the_size_without_the_data(alice):
    answer = alice.request("HEAD", f"{IMAGES}/{active(alice, DATA)}/file")
    assert (answer.status, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(len(DATA))


def test_a_qcow2_image_shows_the_size_of_its_disk(alice):
    image_id = active(alice, qcow2(5 << 20), disk_format="qcow2")
    view = alice.get(f"{IMAGES}/{image_id}").json()
    assert (view["size"], view["virtual_size"]) == (0x40000, 5 << 20)


def test_an_empty_image_is_an_image(alice):
    image_id = active(alice, b"")
    assert alice.get(f"{IMAGES}/{image_id}").json()["size"] == 0
    assert alice.get(f"{IMAGES}/{image_id}/file").content == b""
    assert alice.get(f"{IMAGES}/{image_id}/file", range="bytes=0-").status == 416


@pytest.mark.parametrize(
    ("header", "start", "end"),
    [
        ({"range": "bytes=0-0"}, 0, 1),
        ({"range": "bytes=10-19"}, 10, 20),
        ({"range": "bytes=10000-"}, 10000, 10240),
        ({"range": "bytes=-5"}, 10235, 10240),
        ({"range": "bytes=-99999"}, 0, 10240),
        ({"range": "bytes=5-99999"}, 5, 10240),
        ({"content_range": "bytes 3-6/10240"}, 3, 7),
        ({"content_range": "bytes 3-6/*"}, 3, 7),
    ],
)
def test_a_range_is_answered_in_part(alice, header, start, end):
    answer = alice.get(f"{IMAGES}/{active(alice, DATA)}/file", **header)
    assert (answer.status, answer.content) == (206, DATA[start:end])
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/10240"
    assert answer.headers["content-length"] == str(end - start)
    assert "content-md5" not in answer.headers


@pytest.mark.parametrize("value", ["bytes=10240-", "bytes=5-4", "bytes=-0", "bytes=-", "lines=1-2", "bytes=0-1,3-4"])
def test_a_range_that_cannot_be_had_is_said_so(alice, value):
    answer = alice.get(f"{IMAGES}/{active(alice, DATA)}/file", range=value)
    assert answer.status == 416
    assert answer.headers["content-range"] == "bytes */10240"


def test_strangers_do_not_upload_or_download(cloud, alice, bob):
    image_id = register(alice)["id"]
    assert upload(bob, image_id, DATA).status == 404
    assert upload(alice, image_id, DATA).status == 204
    assert bob.get(f"{IMAGES}/{image_id}/file").status == 404
    community = active(alice, DATA, visibility="community")
    assert bob.get(f"{IMAGES}/{community}/file").content == DATA
    queued = register(alice, visibility="community")["id"]
    assert upload(bob, queued, DATA).status == 403
    assert upload(cloud.as_("reader"), queued, DATA).status == 403
    assert status_of(alice, queued) == "queued"


def test_data_is_uploaded_once(alice):
    image_id = active(alice, DATA)
    assert upload(alice, image_id, b"other").status == 409
    assert alice.get(f"{IMAGES}/{image_id}/file").content == DATA


def test_the_formats_must_be_known_first(alice):
    image_id = alice.post(IMAGES, {"name": "bare"}).json()["id"]
    answer = upload(alice, image_id, DATA)
    assert answer.status == 400
    assert "disk_format, container_format" in answer.json()["message"]
    assert status_of(alice, image_id) == "queued"


def test_only_octets_and_known_stores(alice):
    image_id = register(alice)["id"]
    assert upload(alice, image_id, DATA, content_type="application/json").status == 415
    assert upload(alice, image_id, DATA, x_image_meta_store="tape").status == 400
    assert upload(alice, image_id, DATA, x_image_meta_store="file").status == 204


@pytest.mark.parametrize(
    ("declared", "data"),
    [
        ("raw", qcow2()),  # CVE-2024-40767, CVE-2024-44082
        ("qcow2", b"plain"),
        ("qcow2", qcow2(backing_file=b"/etc/passwd")),  # CVE-2024-32498
        ("vmdk", b'# Disk DescriptorFile\nversion=1\ncreateType="monolithicFlat"\nRW 1 FLAT "/etc/passwd" 0\n'),
        ("iso", b"no disc"),
    ],
)
def test_an_image_that_is_not_what_it_says_is_refused(cloud, alice, declared, data):
    """CVE-2022-47951, CVE-2024-32498, CVE-2024-40767, CVE-2024-44082: nothing of it is kept."""
    image_id = register(alice, disk_format=declared)["id"]
    answer = upload(alice, image_id, data)
    assert answer.status == 400
    assert image_id in answer.json()["message"]
    view = alice.get(f"{IMAGES}/{image_id}").json()
    assert (view["status"], view["size"], view["checksum"]) == ("queued", None, None)
    assert leftovers(cloud) == []
    patch(alice, image_id, {"op": "replace", "path": "/disk_format", "value": "raw"})
    assert upload(alice, image_id, DATA).status == 204


def test_an_image_beyond_the_limit_is_refused(cloud, alice):
    image_id = register(alice)["id"]
    assert upload(alice, image_id, bytes((4 << 20) + 1)).status == 413
    assert upload(alice, image_id, b"", content_length=str(1 << 40)).status == 413
    assert (status_of(alice, image_id), leftovers(cloud)) == ("queued", [])


class BrokenWriter:
    """A store's writer that fails at its first byte, or at its commit."""

    def __init__(self, real, failure, *, late):
        self.real, self.failure, self.late = real, failure, late

    def write(self, chunk):
        if not self.late:
            raise self.failure
        self.real.write(chunk)

    def commit(self):
        raise self.failure

    def abort(self):
        self.real.abort()


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(("failure", "status"), [(StoreFull("no space"), 413), (ImageStoreError("broken"), 503)])
def test_a_store_that_fails_leaves_a_queued_image(cloud, alice, monkeypatch, failure, status, late):
    image_id = register(alice)["id"]
    create = cloud.store.create
    with monkeypatch.context() as patched:
        patched.setattr(cloud.store, "create", lambda name: BrokenWriter(create(name), failure, late=late))
        answer = upload(alice, image_id, bytes(3 << 20))
    assert answer.status == status
    assert "no space" not in answer.content.decode()
    assert (status_of(alice, image_id), leftovers(cloud)) == ("queued", [])
    assert upload(alice, image_id, DATA).status == 204


class Sender:
    """A client that sends its body as the test says."""

    def __init__(self, cloud, image_id):
        self.app = cloud.app
        self.path = f"{IMAGES}/{image_id}/file"
        self.answer = {}

    async def put(self, receive):
        headers = [(b"x-auth-token", b"alice"), (b"content-type", OCTETS.encode())]
        scope = {"type": "http", "method": "PUT", "path": self.path, "query_string": b"", "headers": headers}

        async def send(message):
            self.answer.update(message)

        await self.app(scope, receive, send)
        return self.answer["status"]


def test_a_client_that_goes_away_leaves_a_queued_image(cloud, alice):
    image_id = register(alice)["id"]
    messages = [
        {"type": "http.request", "body": bytes(3 << 20), "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive():
        return messages.pop(0)

    assert asyncio.run(Sender(cloud, image_id).put(receive)) == 400
    assert (status_of(alice, image_id), leftovers(cloud)) == ("queued", [])


def test_a_client_that_falls_silent_loses_its_upload(cloud, alice, monkeypatch):
    monkeypatch.setattr("gureum.services.image.data.upload.IDLE_S", 0.05)
    image_id = register(alice)["id"]
    sent = [{"type": "http.request", "body": b"start", "more_body": True}]

    async def receive():
        if not sent:
            await asyncio.Event().wait()
        return sent.pop()

    assert asyncio.run(Sender(cloud, image_id).put(receive)) == 400
    assert (status_of(alice, image_id), leftovers(cloud)) == ("queued", [])


def test_an_upload_that_is_cancelled_leaves_a_queued_image(cloud, alice):
    image_id = register(alice)["id"]

    async def scenario():
        sent = [{"type": "http.request", "body": bytes(3 << 20), "more_body": True}]

        async def receive():
            if not sent:
                await asyncio.Event().wait()
            return sent.pop()

        task = asyncio.create_task(Sender(cloud, image_id).put(receive))
        await until(lambda: status_of(alice, image_id) == "saving")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())
    assert (status_of(alice, image_id), leftovers(cloud)) == ("queued", [])


def test_an_image_deleted_during_its_upload_keeps_nothing(cloud, alice):
    image_id = register(alice)["id"]

    def delete_meanwhile():
        assert upload(alice, image_id, b"second").status == 409
        assert alice.delete(f"{IMAGES}/{image_id}").status == 204

    async def scenario():
        messages = [{"type": "http.request", "body": DATA, "more_body": True}]

        async def receive():
            if messages:
                return messages.pop()
            await asyncio.to_thread(delete_meanwhile)
            return {"type": "http.request", "body": b"", "more_body": False}

        return await Sender(cloud, image_id).put(receive)

    assert asyncio.run(scenario()) == 410
    assert alice.get(f"{IMAGES}/{image_id}").status == 404
    assert leftovers(cloud) == []


def test_uploads_keep_their_images_alive(cloud, alice, monkeypatch):
    """And one whose image was taken back meanwhile ends instead of overwriting another's work."""
    monkeypatch.setattr("gureum.services.image.data.upload.UPLOAD_BEAT_S", 0.01)
    image_id = register(alice)["id"]

    async def scenario():
        stage = iter(("body", "beat", "lose"))

        async def receive():
            match next(stage, "more"):
                case "beat":
                    before = await asyncio.to_thread(seen_at, cloud, image_id)
                    await until(lambda: seen_at(cloud, image_id) > before)
                case "lose":
                    await asyncio.to_thread(take_back, cloud, image_id)
                    await asyncio.sleep(0.2)
            return {"type": "http.request", "body": bytes(1 << 20), "more_body": True}

        return await Sender(cloud, image_id).put(receive)

    assert asyncio.run(scenario()) == 410
    assert (status_of(alice, image_id), leftovers(cloud)) == ("queued", [])


def seen_at(cloud, image_id):
    with cloud.database.read() as tx:
        return tx.get(Image, image_id).upload_seen_at


async def until(holds):
    """Wait for what another task of this loop brings about; asked on a thread, because asking takes a loop."""
    async with asyncio.timeout(20):
        while not await asyncio.to_thread(holds):  # noqa: ASYNC110 - what changes is a row, which no event follows
            await asyncio.sleep(0.01)


def take_back(cloud, image_id):
    def queue(tx):
        row = tx.get(Image, image_id)
        row.status, row.upload_id = "queued", None

    cloud.database.write(queue)


def begin_and_die(cloud, alice, *, committed):
    """An upload whose process is killed: before its data was committed, or after it and before the row said so."""
    image_id = register(alice)["id"]

    def save(tx):
        row = tx.get(Image, image_id)
        row.status, row.upload_id, row.upload_seen_at = "saving", "gone", clock.now()

    cloud.database.write(save)
    writer = cloud.store.create(image_id)
    writer.write(DATA)
    if committed:
        writer.commit()
    return image_id


@pytest.mark.parametrize("committed", [False, True])
def test_the_upload_of_a_killed_process_is_forgotten(cloud, alice, committed, virtual_clock):
    image_id = begin_and_die(cloud, alice, committed=committed)
    kept = active(alice, DATA)
    virtual_clock.advance(lifecycle.UPLOAD_SILENCE_S - 1)
    assert lifecycle.requeue_dead_uploads(cloud.database) == []
    lifecycle.sweep_store(cloud.database, cloud.default)
    assert len(list(cloud.store.locations())) == 1 + committed
    virtual_clock.advance(2)
    assert lifecycle.requeue_dead_uploads(cloud.database) == [image_id]
    lifecycle.sweep_store(cloud.database, cloud.default)
    assert [location.partition(".")[0] for location in cloud.store.locations()] == [kept]
    assert upload(alice, image_id, DATA).status == 204
    assert alice.get(f"{IMAGES}/{image_id}/file").content == DATA


@pytest.mark.parametrize(("failure", "left"), [(DatabaseFailure, 0), (DatabaseFull, 0), (OutcomeUnknown, 1)])
def test_data_that_the_database_did_not_take_is_removed_or_swept(cloud, alice, monkeypatch, failure, left):
    image_id = register(alice)["id"]

    def fail(*_):
        raise failure("no")

    with monkeypatch.context() as patched:
        patched.setattr(claim, "finish", fail)
        assert upload(alice, image_id, DATA).status == failure.status
    assert status_of(alice, image_id) == "queued"
    assert len(list(cloud.store.locations())) == left
    assert upload(alice, image_id, DATA).status == 204
    assert lifecycle.sweep_store(cloud.database, cloud.default) == left
    assert len(list(cloud.store.locations())) == 1
    assert alice.get(f"{IMAGES}/{image_id}/file").content == DATA


def test_data_that_the_row_took_stays_when_the_outcome_was_not_known(cloud, alice, monkeypatch):
    image_id = register(alice)["id"]
    write = cloud.database.write

    def write_and_lose(work):
        found = write(work)
        if status_of(alice, image_id) == "active":
            raise OutcomeUnknown
        return found

    with monkeypatch.context() as patched:
        patched.setattr(cloud.database, "write", write_and_lose)
        assert upload(alice, image_id, DATA).status == OutcomeUnknown.status
    lifecycle.sweep_store(cloud.database, cloud.default)
    assert alice.get(f"{IMAGES}/{image_id}/file").content == DATA


def test_the_sweep_leaves_data_of_other_users_of_the_store_alone(cloud, alice):
    writer = cloud.store.create("not-an-image-of-this-cloud")
    writer.write(b"theirs")
    writer.commit()
    assert lifecycle.sweep_store(cloud.database, cloud.default) == 0
    assert len(list(cloud.store.locations())) == 1


def test_a_store_that_does_not_delete_is_asked_again(cloud, alice, virtual_clock, monkeypatch):
    image_id = active(alice, DATA)

    def refuse(_location):
        raise ImageStoreError("busy")

    with monkeypatch.context() as patched:
        patched.setattr(cloud.store, "delete", refuse)
        assert alice.delete(f"{IMAGES}/{image_id}").status == 204
        cloud.engine.run_due()
        assert len(list(cloud.store.locations())) == 1
    virtual_clock.advance(60)
    cloud.engine.run_due()
    assert list(cloud.store.locations()) == []


def test_a_client_that_goes_away_ends_the_reading(cloud, alice, monkeypatch):
    image_id = active(alice, bytes(4 << 20))
    bodies = []
    open_blob = cloud.store.open
    monkeypatch.setattr(cloud.store, "open", lambda *where: bodies.append(open_blob(*where)) or bodies[-1])

    async def scenario():
        scope = {
            "type": "http",
            "method": "GET",
            "path": f"{IMAGES}/{image_id}/file",
            "query_string": b"",
            "headers": [(b"x-auth-token", b"alice")],
        }
        left = asyncio.Event()
        messages = [{"type": "http.request", "body": b"", "more_body": False}]
        sent = []

        async def receive():
            if not messages:
                await left.wait()
                return {"type": "http.disconnect"}
            return messages.pop()

        async def send(message):
            sent.append(message)
            if message.get("body"):
                left.set()
                await asyncio.sleep(0.01)

        await cloud.app(scope, receive, send)
        return sent

    sent = asyncio.run(scenario())
    assert sum(len(message.get("body", b"")) for message in sent) < 4 << 20
    assert next(bodies[0], None) is None


def test_a_silent_store_is_503_and_another_copy_is_read(cloud, alice, root, monkeypatch):
    """One that cannot be asked is not one that lost its data."""
    image_id, both = active(alice, b"here"), active(alice, b"both")
    copied = {"method": {"name": "copy-image"}, "stores": ["second"]}
    assert root.post(f"{IMAGES}/{both}/import", copied).status == 202
    cloud.engine.run_due()

    def silent(*_arguments):
        raise ImageStoreError("the cluster at 10.0.0.1 is gone")

    monkeypatch.setattr(cloud.store, "open", silent)
    monkeypatch.setattr(cloud.store, "create", silent)
    answer = alice.get(f"{IMAGES}/{image_id}/file")
    assert (answer.status, b"10.0.0.1" in answer.content) == (503, False)
    assert alice.get(f"{IMAGES}/{both}/file").content == b"both"
    queued = register(alice)["id"]
    assert upload(alice, queued, b"data").status == 503
    assert alice.get(f"{IMAGES}/{queued}").json()["status"] == "queued"


def test_a_host_is_sent_to_the_store_that_lets_it_in(cloud, alice, monkeypatch):
    image_id = active(alice)
    monkeypatch.setattr(cloud.store, "direct_url", lambda location: f"rbd://fsid/pool/{location}/snap")
    monkeypatch.setattr(cloud.store, "local_path", lambda _location: pytest.fail("it was asked"))
    with cloud.database.read() as tx:
        source = cloud.facade.source(tx, image_id)
    assert (source.path, source.url.startswith(f"rbd://fsid/pool/{image_id}.")) == ("", True)
