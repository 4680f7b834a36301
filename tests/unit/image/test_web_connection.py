"""Connecting to an outside place: the owner of a name says how many addresses it has."""

from __future__ import annotations

import socket

import pytest

from gureum.drivers.image.pace import USUAL_RATE
from gureum.drivers.image.web.connection import PinnedConnection, Waiting
from gureum.drivers.image.web.guard import Target

ADDRESSES = [f"203.0.113.{number}" for number in range(1, 100)]


class ImageDeleted(Exception):
    pass


@pytest.fixture
def tried(monkeypatch):
    """The addresses that were connected to; none answers."""
    addresses = []

    def refuse(place, timeout):
        addresses.append(place[0])
        raise TimeoutError("timed out")

    monkeypatch.setattr(socket, "create_connection", refuse)
    return addresses


def connect(look):
    target = Target("http", "example.org", 80, "/")
    PinnedConnection(target, ADDRESSES, Waiting(30.0, USUAL_RATE, look)).connect()


def test_few_addresses_of_a_name_are_tried(tried):
    with pytest.raises(TimeoutError):
        connect(lambda: None)
    assert tried == ADDRESSES[:4]


def test_no_address_is_tried_for_a_transfer_that_ended(tried):
    def look():
        if tried:
            raise ImageDeleted

    with pytest.raises(ImageDeleted):
        connect(look)
    assert tried == ADDRESSES[:1]
