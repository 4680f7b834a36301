"""What the bus's two suites share: three members of one bus on each transport, a process and a broker to kill."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gureum.foundation.bus.interface import Bus, BusError, NobodyServes

ROOT = Path(__file__).resolve().parents[2]
TRANSPORTS = ["inprocess", "unix", pytest.param("amqp", marks=pytest.mark.rabbitmq)]
OUTSIDE = ["unix", pytest.param("amqp", marks=pytest.mark.rabbitmq)]


@dataclass
class World:
    """Three members of one bus: the control plane and two agents."""

    url: str
    control: Bus
    agent: Bus
    other: Bus


def eventually(what: Callable[[], bool], within_s: float = 10.0) -> float:
    """Return the seconds until `what` was true."""
    start = time.monotonic()
    while not what():
        if time.monotonic() - start > within_s:
            pytest.fail(f"not true within {within_s} s")
        time.sleep(0.01)
    return time.monotonic() - start


def echo(method: str, payload: bytes) -> bytes:
    return method.encode() + b":" + payload


@contextlib.contextmanager
def process(url: str, role: str, name: str) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-m", "tests.contracts.bus_process", url, role, name]
    child = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        yield child
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def nobody_serves(bus: Bus, name: str) -> bool:
    try:
        bus.call(name, "echo", b"", timeout_s=2)
    except NobodyServes:
        return True
    except BusError:
        return False
    return False


def echoes(bus: Bus, name: str) -> bool:
    try:
        return bus.call(name, "echo", b"?", timeout_s=2) == b"?"
    except BusError:
        return False


def answers(bus: Bus, name: str) -> bool:
    try:
        return bus.call(name, "m", b"", timeout_s=2) == b"m:"
    except BusError:
        return False
