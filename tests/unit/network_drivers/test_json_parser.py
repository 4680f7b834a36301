"""The parser that stands in for the ovs library's: pieces of any size, strings of any content."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("ovs")

from gureum.drivers.network.ovn.json_parser import MessageParser

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
messages = st.dictionaries(st.text(), values, max_size=3)


@settings(max_examples=60, deadline=None)
@given(st.lists(messages, min_size=1, max_size=3), st.integers(1, 17), st.booleans())
def test_messages_come_out_as_they_went_in_however_they_are_cut(sent, size, ascii_only):
    text = "".join(json.dumps(message, ensure_ascii=ascii_only) for message in sent)
    received = []
    waiting = ""
    parser = MessageParser()
    for start in range(0, len(text), size):
        waiting += text[start : start + size]
        while waiting:
            waiting = waiting[parser.feed(waiting) :]
            if parser.is_done():
                received.append(parser.finish())
                parser = MessageParser()
    assert received == sent


def test_a_broken_message_is_an_error_text():
    parser = MessageParser()
    parser.feed('{"id": oops}')
    assert parser.is_done()
    assert isinstance(parser.finish(), str)


@pytest.mark.parametrize("text", ["", '{"a": 1', '{"a": "x'])
def test_a_message_without_an_end_is_an_error_text(text):
    parser = MessageParser()
    parser.feed(text)
    assert not parser.is_done()
    assert isinstance(parser.finish(), str)


def test_what_follows_the_message_is_an_error_only_when_asked():
    strict, lenient = MessageParser(check_trailer=True), MessageParser()
    assert lenient.feed('{"a": 1}{"b"') == 8
    assert lenient.finish() == {"a": 1}
    strict.feed('{"a": 1}{"b"')
    assert isinstance(strict.finish(), str)
