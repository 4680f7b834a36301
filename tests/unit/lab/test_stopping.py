"""Guests are asked before their power is cut; who is a guest, and how long is waited."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from gureum.lab import stopping
from gureum.lab.daemon import Plan
from gureum.lab.process import identify
from gureum.lab.state import StateFolder

SLEEP = "import time; time.sleep(60)"


@pytest.fixture
def guest():
    child = subprocess.Popen(["qemu-system-x86_64", "-c", SLEEP, "guest=instance-1"], executable=sys.executable)
    yield child
    child.kill()
    child.wait()


def test_guest_is_known_by_its_command_line(guest):
    deadline = time.monotonic() + 10
    while not stopping.is_guest(guest.pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert stopping.is_guest(guest.pid)
    assert not stopping.is_guest(identify(1).pid)


@pytest.fixture
def asked(monkeypatch, guest):
    """The times at which the host of `guest` was asked."""
    times: list[float] = []
    monkeypatch.setattr(stopping, "_in_any", lambda _: [one] if (one := identify(guest.pid)) else [])
    monkeypatch.setattr(stopping, "is_guest", lambda _: True)
    monkeypatch.setattr(stopping, "_hosts_of", lambda *_: [identify(guest.pid)])
    monkeypatch.setattr(stopping, "_ask_host", lambda _: times.append(time.monotonic()))
    return times


def test_wait_ends_when_the_guest_is_gone(asked, guest, monkeypatch, tmp_path):
    monkeypatch.setattr(stopping, "_ask_host", lambda _: (asked.append(0.0), guest.terminate(), guest.wait()))
    began = time.monotonic()
    stopping.ask_guests(StateFolder(tmp_path), Plan("lab", ()), set(), 30.0)
    assert time.monotonic() - began < 5
    assert len(asked) == 1


def test_guest_that_does_not_listen_is_asked_again_and_not_waited_for_longer(asked, monkeypatch, tmp_path):
    monkeypatch.setattr(stopping, "_ASK_AGAIN_S", 0.3)
    began = time.monotonic()
    stopping.ask_guests(StateFolder(tmp_path), Plan("lab", ()), set(), 1.0)
    assert 1.0 <= time.monotonic() - began < 3
    assert len(asked) >= 2
