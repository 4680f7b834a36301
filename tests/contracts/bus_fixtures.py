"""Fixtures of the bus's two suites, a plugin so that both share one broker. Next: `bus_world.py`."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contracts.bus_world import World
from tests.contracts.rabbitmq_broker import SERVER, Broker

from gureum.foundation.bus.open import open_bus


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    if not SERVER.exists():
        pytest.skip("needs RabbitMQ: apt-get install rabbitmq-server")
    broker = Broker(tmp_path_factory.mktemp("rabbitmq"))
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "amqp":
        return request.getfixturevalue("broker").url
    return "inprocess:" if request.param == "inprocess" else f"unix:{tmp_path}/bus.sock"


@pytest.fixture
def world(url: str) -> Iterator[World]:
    control = open_bus(url, role="control")
    if url == "inprocess:":
        yield World(url, control, control, control)
        control.close()
        return
    agent, other = open_bus(url, role="agent"), open_bus(url, role="agent")
    yield World(url, control, agent, other)
    for bus in (other, agent, control):
        bus.close()


@pytest.fixture
def name() -> str:
    return f"hypervisor/{uuid.uuid4().hex[:8]}"
