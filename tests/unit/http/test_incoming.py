"""Bodies that are too large, too slow, too many at once, and too deep."""

from __future__ import annotations

import asyncio
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gureum.foundation.errors import BadRequest, RequestTimeout, TooLarge
from gureum.foundation.http import incoming
from gureum.foundation.http.body import MAX_DEPTH, _is_too_deep, decode
from gureum.foundation.http.incoming import Bodies


def pieces(*parts, ends=True):
    """A `receive` that gives the parts, and then waits for ever when it does not end."""
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    if ends:
        messages.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive():
        if not messages:
            await asyncio.Event().wait()
        return messages.pop(0)

    return receive


def test_a_body_is_read_whole_and_nothing_is_held_after_it():
    bodies = Bodies()
    assert asyncio.run(bodies.read(pieces(b"ab", b"c"), {}, 3)) == b"abc"
    assert bodies.budget.total == 0
    with pytest.raises(TooLarge):
        asyncio.run(bodies.read(pieces(b"ab", b"cd"), {}, 3))
    with pytest.raises(TooLarge):
        asyncio.run(bodies.read(pieces(), {"content-length": "4"}, 3))
    assert bodies.budget.total == 0


@pytest.mark.parametrize("least", [1, 40], ids=["by their bytes", "by their number"])
def test_bodies_that_take_longest_are_refused_beyond_the_budget(monkeypatch, least):
    monkeypatch.setattr(incoming, "BODIES_BUDGET_BYTES", 100)
    monkeypatch.setattr(incoming, "LEAST_BYTES", least)

    async def all_of_them():
        bodies = Bodies()
        sent = [b"a" * 40] if least == 1 else []
        slow = [asyncio.create_task(bodies.read(pieces(*sent, ends=False), {}, 1000)) for _ in range(4)]
        await asyncio.sleep(0.05)
        assert [task.done() for task in slow] == [True, True, False, False]
        assert all(isinstance(task.exception(), RequestTimeout) for task in slow[:2])
        assert await bodies.read(pieces(b"a" * 20), {}, 1000) == b"a" * 20
        for task in slow[2:]:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
        assert bodies.budget.total == 0

    asyncio.run(all_of_them())


def depth_by_steps(text: bytes) -> int:
    depth = deepest = 0
    inside = escaped = False
    for character in text.decode("latin-1"):
        if inside:
            inside = escaped or character != '"'
            escaped = not escaped and character == "\\"
        elif character == '"':
            inside = True
        elif character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth = max(depth - 1, 0)
    return deepest


@given(
    st.lists(
        st.sampled_from(
            [b"[" * 9, b"]" * 9, b"[{", b"}]", b'"a"', b'"[{"', b'"\\"["', b'"\\\\"', b'"\\\\\\"}"', b"a,"]
        ),
        max_size=40,
    ).map(b"".join)
)
@example(b"[" * 32 + b'"\\\\"' + b"[")
@example(b"[" * 32 + b'"\\\\\\""' + b"]")
@example(b"[" * 33)
def test_depth_is_that_of_brackets_outside_of_strings(text):
    assert _is_too_deep(text) == (depth_by_steps(text) > MAX_DEPTH)


@pytest.mark.parametrize("text", [b"[" * (1 << 20), b"[]" * (1 << 19), b'{"a":1},' * (1 << 17), b'[""' * (1 << 18)])
def test_depth_is_found_in_linear_time(text):
    """A body of brackets took the loop half a second. 30 ns a byte, with room for a slow machine."""
    began = time.thread_time()
    _is_too_deep(text)
    assert time.thread_time() - began < 0.25


def test_a_deep_body_is_refused():
    with pytest.raises(BadRequest, match="nested deeper"):
        decode(b"[" * 40 + b"]" * 40, list, "")
