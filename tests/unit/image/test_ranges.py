"""Ranges of an image's bytes, by rule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gureum.foundation.errors import RangeNotSatisfiable
from gureum.services.image.data.ranges import piece_of

SIZES = st.integers(0, 1 << 20)


@given(SIZES, st.integers(0, 1 << 21), st.integers(0, 1 << 21))
def test_a_range_is_what_slicing_gives_or_is_refused(size, first, last):
    wanted = range(size)[first : last + 1] if first <= last else range(0)
    if not wanted:
        with pytest.raises(RangeNotSatisfiable):
            piece_of(f"bytes={first}-{last}", "", size)
        return
    piece = piece_of(f"bytes={first}-{last}", "", size)
    assert (piece.start, piece.length, piece.partial) == (wanted[0], len(wanted), True)
    assert piece.content_range(size) == f"bytes {wanted[0]}-{wanted[-1]}/{size}"


@given(SIZES, st.integers(1, 1 << 21))
def test_a_suffix_is_the_end(size, count):
    if size == 0:
        with pytest.raises(RangeNotSatisfiable):
            piece_of(f"bytes=-{count}", "", size)
        return
    piece = piece_of(f"bytes=-{count}", "", size)
    assert piece.start + piece.length == size
    assert piece.length == min(count, size)


@given(st.text(max_size=40), SIZES)
def test_no_text_does_harm(text, size):
    try:
        piece = piece_of(text, "", size)
    except RangeNotSatisfiable:
        return
    assert 0 <= piece.start <= piece.start + piece.length <= size
