"""The load's reading of answers, and the words on the wire. Bytes come over a socket pair, or not at all."""

from __future__ import annotations

import socket

import pytest
from bench.client import BUSY, Rate, Request
from bench.cloud import read_counters
from bench.load import Connection, LoadError, content_length, once, steady

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    yield Connection(ours), theirs
    ours.close()
    theirs.close()


@pytest.mark.parametrize("cut", range(1, len(ANSWER)))
def test_an_answer_may_come_in_pieces(pair, cut):
    connection, _ = pair
    connection.send(b"x")
    assert not connection.take(ANSWER[:cut])
    assert connection.take(ANSWER[cut:])
    assert connection.status == 200


def test_the_next_answer_starts_anew(pair):
    connection, theirs = pair
    theirs.sendall(ANSWER)
    assert len(once([connection], [b"GET / HTTP/1.1\r\n\r\n"])) == 1
    theirs.sendall(ANSWER)
    assert len(once([connection], [b"GET / HTTP/1.1\r\n\r\n"])) == 1


def test_an_answer_that_is_no_success_ends_the_run_with_its_text(pair):
    connection, theirs = pair
    theirs.sendall(b"HTTP/1.1 409 Conflict\r\ncontent-length: 4\r\n\r\nbusy")
    with pytest.raises(LoadError, match=r"409 Conflict(.|\s)*busy"):
        once([connection], [b"x", b"x"])


def test_a_closed_connection_ends_the_run(pair):
    connection, theirs = pair
    theirs.shutdown(socket.SHUT_WR)
    with pytest.raises(LoadError, match="closed"):
        steady([connection], b"x", 1.0)


def test_the_length_of_a_body():
    assert content_length(b"HTTP/1.1 200 OK\r\nA: b\r\nCONTENT-LENGTH: 12\r\nC: d") == 12
    assert content_length(b"HTTP/1.1 200 OK\r\ncontent-length: 7") == 7
    assert content_length(b"HTTP/1.1 204 No Content\r\nA: b") == 0
    with pytest.raises(LoadError, match="chunks"):
        content_length(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked")


def test_a_request_is_encoded_whole():
    sent = Request("POST", "/a", {"X-B": "c"}, b"{}").encoded(80)
    assert sent == b"POST /a HTTP/1.1\r\nHost: 127.0.0.1:80\r\nX-B: c\r\nContent-Length: 2\r\n\r\n{}"
    assert b"Content-Length" not in Request("GET", "/a").encoded(80)
    assert b"Content-Length: 0" in Request("POST", "/a").encoded(80)


def test_a_busy_client_is_told():
    assert Rate(1, 1, 1, busy=BUSY, count=1).client_note() == ""
    assert "95%" in Rate(1, 1, 1, busy=0.95, count=1).client_note()


def test_counters_are_summed_over_their_labels():
    text = '# HELP x y\nx_total{a="1"} 2.0\nx_total{a="2"} 3.0\ny 1.5e+06\nx_created{a="1"} 9.0\n'
    assert read_counters(text) == {"x": 5.0, "y": 1.5e6, "x_created": 9.0}
