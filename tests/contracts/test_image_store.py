"""The promises of an image store, kept by the folder, by the pool of a Ceph cluster and by the one in memory alike.

A failure here means that a store breaks what `drivers/image/interface.py` promises; mend the store, not the test.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from gureum.drivers.image.errors import BlobNotFound, ImageRefused, ImageStoreError, ImageTooLarge, StoreFull
from gureum.drivers.image.fake import FakeImageStore
from gureum.drivers.image.file.store import FileImageStore
from gureum.drivers.image.ingest import Ingest
from gureum.drivers.image.interface import ImageStore

IMAGE = "5f1d7e0c-53a3-4a3e-9a0e-6a4a4d1c6a01"


@pytest.fixture(params=["file", "fake", pytest.param("rbd", marks=pytest.mark.engines)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ImageStore:
    if request.param == "rbd":
        return request.getfixturevalue("rbd_store")
    return FileImageStore(tmp_path / "images") if request.param == "file" else FakeImageStore()


@pytest.fixture(params=["file", "fake"])
def quick_store(request: pytest.FixtureRequest, tmp_path: Path) -> ImageStore:
    """For what is the ingest's own promise, whatever the store."""
    return FileImageStore(tmp_path / "images") if request.param == "file" else FakeImageStore()


def put(store: ImageStore, content: bytes, image_id: str = IMAGE) -> str:
    writer = store.create(image_id)
    writer.write(content)
    return writer.commit().location


def get(store: ImageStore, location: str, offset: int = 0, length: int | None = None) -> bytes:
    return b"".join(store.open(location, offset, length))


def test_what_was_written_is_read(store):
    content = os.urandom(3 << 20) + bytes(5 << 20) + b"end"
    writer = store.create(IMAGE)
    for start in range(0, len(content), 777_777):
        writer.write(content[start : start + 777_777])
    blob = writer.commit()
    assert blob.size == len(content) == store.size(blob.location)
    assert get(store, blob.location) == content
    assert list(store.locations()) == [blob.location]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_kind_of_buffer_is_taken_and_not_kept(store, kind):
    source = bytearray(b"abc" * 100_000)
    writer = store.create(IMAGE)
    writer.write(kind(source))
    source[:] = bytes(len(source))
    location = writer.commit().location
    assert get(store, location) == b"abc" * 100_000


def test_an_empty_blob_is_a_blob(store):
    location = put(store, b"")
    assert store.size(location) == 0
    assert get(store, location) == b""


@pytest.mark.parametrize("size", [1, 65535, 65536, 65537, 131072, 1 << 20])
def test_zeros_are_read_as_zeros(store, size):
    assert get(store, put(store, bytes(size))) == bytes(size)


def test_ranges(store):
    content = os.urandom(2_500_000)
    location = put(store, content)
    for offset, length in [(0, 0), (0, 1), (1, 2), (1_048_575, 2), (2_499_999, 10), (2_500_000, 1), (9_999_999, None)]:
        end = None if length is None else offset + length
        assert get(store, location, offset, length) == content[offset:end], (offset, length)
    assert max(len(chunk) for chunk in store.open(location)) <= 1 << 20
    for offset, length in [(-1, None), (0, -1)]:
        with pytest.raises(ValueError):
            store.open(location, offset, length)


def test_nothing_is_readable_before_commit(store):
    writer = store.create(IMAGE)
    writer.write(b"x" * 100_000)
    assert list(store.locations()) == []
    location = writer.commit().location
    assert list(store.locations()) == [location]


def test_abort_leaves_nothing(store):
    writer = store.create(IMAGE)
    writer.write(b"x")
    writer.abort()
    writer.abort()
    assert list(store.locations()) == []
    assert store.sweep(0) == 0
    for verb in (writer.commit, lambda: writer.write(b"y")):
        with pytest.raises(ImageStoreError):
            verb()


def test_abort_after_commit_changes_nothing(store):
    writer = store.create(IMAGE)
    writer.write(b"x")
    location = writer.commit().location
    writer.abort()
    assert get(store, location) == b"x"
    with pytest.raises(ImageStoreError):
        writer.commit()


def test_two_uploads_of_one_image_do_not_touch_each_other(store):
    first, second = store.create(IMAGE), store.create(IMAGE)
    first.write(b"first")
    second.write(b"second")
    one, two = first.commit().location, second.commit().location
    assert one != two
    assert (get(store, one), get(store, two)) == (b"first", b"second")


def test_delete_is_idempotent_and_final(store):
    location = put(store, b"x")
    store.delete(location)
    store.delete(location)
    assert list(store.locations()) == []
    for verb in (store.open, store.size, store.local_path):
        with pytest.raises(BlobNotFound):
            verb(location)
    assert put(store, b"y") != location


def test_a_reader_survives_deletion(store):
    content = os.urandom(3 << 20)
    location = put(store, content)
    reader = store.open(location)
    head = next(reader)
    store.delete(location)
    assert head + b"".join(reader) == content


@pytest.mark.parametrize("bad", ["../secret", "/etc/passwd", "", ".incoming", "a/b", "a\0b", "x" * 400, "..", "plain"])
def test_a_location_never_leads_out_of_the_store(store, bad):
    for verb in (store.open, store.size, store.local_path):
        with pytest.raises(BlobNotFound):
            verb(bad)
    store.delete(bad)


@pytest.mark.parametrize("bad", ["../x", "", ".x", "a/b", "a\n", "x" * 129, "a\0"])
def test_an_image_id_never_leads_out_of_the_store(store, bad):
    with pytest.raises(ImageStoreError):
        store.create(bad)


def test_a_living_writer_is_not_swept(store):
    writer = store.create(IMAGE)
    writer.write(b"slow")
    assert store.sweep(0) == 0
    assert get(store, writer.commit().location) == b"slow"


def test_writers_in_many_threads(store):
    def work(number: int) -> None:
        put(store, bytes([number]) * 200_000, f"image-{number}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = {get(store, location)[0] for location in store.locations()}
    assert found == set(range(8))


def test_local_path_is_the_content(store):
    location = put(store, b"content")
    path = store.local_path(location)
    assert path is None or path.read_bytes() == b"content"


# Ingest over the stores.


def test_ingest_hashes_inspects_and_stores(store):
    content = os.urandom(7 << 20) + bytes(4 << 20) + b"tail"
    with Ingest(store.create(IMAGE), declared_format="raw") as ingest:
        for start in range(0, len(content), 65_536):
            ingest.feed(content[start : start + 65_536])
        done = ingest.finish()
    assert done.size == done.blob.size == len(content)
    assert done.md5_hex == hashlib.md5(content).hexdigest()
    assert done.sha512_hex == hashlib.sha512(content).hexdigest()
    assert done.inspection.format == "raw"
    assert get(store, done.blob.location) == content


@pytest.mark.parametrize("size", [0, 1, (2 << 20) - 1, 2 << 20, (2 << 20) + 1, 40 << 20])
def test_ingest_of_any_size_in_one_piece_and_from_one_reused_buffer(quick_store, size):
    content = os.urandom(1000) * (size // 1000 + 1)
    content = content[:size]
    ingest = Ingest(quick_store.create(IMAGE))
    ingest.feed(memoryview(content)) if size % 2 else ingest.feed(content)
    done = ingest.finish()
    assert done.sha512_hex == hashlib.sha512(content).hexdigest()
    assert get(quick_store, done.blob.location) == content
    again = Ingest(quick_store.create(IMAGE))
    buffer = bytearray(300_000)
    for start in range(0, size, len(buffer)):
        count = min(len(buffer), size - start)
        buffer[:count] = content[start : start + count]
        again.feed(memoryview(buffer)[:count])
    repeated = again.finish()
    assert (repeated.md5_hex, repeated.sha512_hex) == (done.md5_hex, done.sha512_hex)
    assert get(quick_store, repeated.blob.location) == content


def test_ingest_past_the_limit_leaves_nothing(store):
    ingest = Ingest(store.create(IMAGE), max_size_bytes=100)
    ingest.feed(bytes(100))
    with pytest.raises(ImageTooLarge):
        ingest.feed(b"x")
    with pytest.raises(ImageStoreError):
        ingest.finish()
    assert list(store.locations()) == []
    assert store.sweep(0) == 0


def test_ingest_refuses_before_anything_is_readable(store):
    with Ingest(store.create(IMAGE), declared_format="raw") as ingest:
        ingest.feed(b"QFI\xfb\0\0\0\3")
        with pytest.raises(ImageRefused) as refusal:
            ingest.finish()
    assert "qcow2" in refusal.value.reasons[0]
    assert list(store.locations()) == []
    assert store.sweep(0) == 0


def test_a_dropped_upload_leaves_nothing(store):
    before = threading.active_count()

    def lose_the_client() -> None:
        with Ingest(store.create(IMAGE)) as ingest:
            ingest.feed(bytes(30 << 20))
            raise ConnectionError

    with pytest.raises(ConnectionError):
        lose_the_client()
    assert list(store.locations()) == []
    assert store.sweep(0) == 0
    assert threading.active_count() == before


def test_a_store_that_fails_ends_the_upload():
    class Full:
        aborted = False

        def write(self, chunk):
            raise StoreFull("no room")

        def abort(self):
            self.aborted = True

    writer = Full()
    ingest = Ingest(writer)
    with pytest.raises(StoreFull):
        ingest.feed(bytes(3 << 20))
    assert writer.aborted


# What only the folder can promise.


def test_files_are_private_and_holes_take_no_room(tmp_path):
    store = FileImageStore(tmp_path / "images")
    path = store.local_path(put(store, b"head" + bytes(16 << 20) + b"tail"))
    assert path is not None
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_blocks * 512 < 1 << 20
    assert path.stat().st_size == (16 << 20) + 8


def cached_bytes(file: Path) -> int:
    shown = subprocess.run(["fincore", "-bnoRES", file], capture_output=True, text=True, check=True)
    return int(shown.stdout)


def test_a_large_blob_that_is_read_leaves_the_page_cache_as_it_was(tmp_path):
    store = FileImageStore(tmp_path / "images")
    content = os.urandom(1 << 20) * 40
    file = store.local_path(put(store, content))
    assert file is not None
    descriptor = os.open(file, os.O_RDONLY)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)
    if cached_bytes(file):
        pytest.skip("this file system keeps what it is told to drop")
    assert get(store, file.name) == content
    assert cached_bytes(file) < 10 << 20
    assert file.read_bytes() == content  # somebody else wants it in memory
    assert get(store, file.name) == content
    assert cached_bytes(file) == len(content)


def test_kill_9_leaves_nothing_readable_and_the_sweep_takes_the_rest(tmp_path):
    folder = tmp_path / "images"
    code = (
        "import sys, time; from pathlib import Path\n"
        "from gureum.drivers.image.file.store import FileImageStore\n"
        "writer = FileImageStore(Path(sys.argv[1])).create('doomed'); writer.write(b'x' * 5_000_000)\n"
        "print('written', flush=True); time.sleep(60)\n"
    )
    source = str(Path(__file__).parents[2] / "src")
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": source},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        store = FileImageStore(folder)
        assert store.sweep(0) == 0, "a living writer's file was swept"
        process.send_signal(signal.SIGKILL)
    assert list(store.locations()) == []
    assert store.sweep(older_than_s=3600) == 0
    later = FileImageStore(folder, now=lambda: time.time() + 3600)
    assert later.sweep(older_than_s=3600) == 1
    assert list((folder / ".incoming").iterdir()) == []


def test_a_link_in_the_folder_is_not_followed(tmp_path):
    store = FileImageStore(tmp_path / "images")
    secret = tmp_path / "secret"
    secret.write_text("secret")
    planted = "image.0123456789abcdef"
    (tmp_path / "images" / planted).symlink_to(secret)
    with pytest.raises(BlobNotFound):
        store.open(planted)


def test_a_full_disk_is_named(tmp_path):
    store = FileImageStore(tmp_path / "images")
    writer = store.create(IMAGE)
    full = os.open("/dev/full", os.O_RDWR)
    os.dup2(full, writer._descriptor)
    os.close(full)
    with pytest.raises(StoreFull):
        writer.write(b"x")
    writer.abort()
    assert store.sweep(0) == 0


def test_an_unread_reader_closes_its_file(tmp_path):
    store = FileImageStore(tmp_path / "images")
    location = put(store, b"x")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(10):
        store.open(location)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
