"""A blob that is read again and again stays in the page cache, as far as memory is free; one that is read once does not."""

from __future__ import annotations

import pytest

from gureum.drivers.image.file import reader
from gureum.drivers.image.file.memory import AGAIN_S, ReadBefore, fits_in_memory
from gureum.drivers.image.file.store import FileImageStore
from gureum.drivers.image.file.writer import CACHED_BYTES


def test_a_second_read_within_the_hour_counts():
    moment = 0.0
    before = ReadBefore(lambda: moment)
    assert not before.note("a")
    assert not before.note("b")
    moment = AGAIN_S
    assert before.note("a")
    moment = 2 * AGAIN_S + 1
    assert not before.note("a")


def test_the_oldest_of_many_is_forgotten():
    before = ReadBefore(lambda: 0.0)
    for number in range(1025):
        before.note(str(number))
    assert before.note("1024")
    assert not before.note("0")


@pytest.mark.parametrize(
    ("text", "fits"), [("MemFree: 1 kB\nMemAvailable: 4096 kB\n", True), ("", False), ("x", False)]
)
def test_a_quarter_of_the_available_memory_is_the_limit(tmp_path, text, fits):
    file = tmp_path / "meminfo"
    file.write_text(text)
    assert fits_in_memory(1 << 20, file) is fits
    assert not fits_in_memory((1 << 20) + 1, file)
    assert not fits_in_memory(1, tmp_path / "none")


def test_the_first_read_leaves_the_page_cache_and_the_second_keeps_it(tmp_path, monkeypatch):
    advised = []
    monkeypatch.setattr(reader.os, "posix_fadvise", lambda *arguments: advised.append(arguments[1:3]))
    monkeypatch.setattr(reader, "_is_cached", lambda *_: False)
    store = FileImageStore(tmp_path / "images")
    writer = store.create("image")
    block = b"x" * (1 << 20)
    for _ in range((CACHED_BYTES >> 20) + 1):
        writer.write(block)
    blob = writer.commit()
    advised.clear()
    assert sum(len(chunk) for chunk in store.open(blob.location)) == blob.size
    assert sum(count for _, count in advised) == blob.size
    advised.clear()
    assert sum(len(chunk) for chunk in store.open(blob.location)) == blob.size
    assert advised == []
