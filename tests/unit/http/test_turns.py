"""Requests at an embedded database take turns, and one that takes long holds up no other."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.api.client import Client

from gureum.foundation.caller import Caller
from gureum.foundation.db.engine import Database
from gureum.foundation.http import app as edge
from gureum.foundation.http import dialects
from gureum.foundation.http.app import App
from gureum.foundation.http.authentication import Authentication
from gureum.foundation.http.routes import PUBLIC, Api, Route
from gureum.foundation.policy import Policy


class Inside:
    """Counts the handlers that run at once; `gate` holds those of /slow."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now = self.most = 0
        self.entered, self.gate = threading.Event(), threading.Event()

    def quick(self, _call):
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        time.sleep(0.001)
        with self._lock:
            self._now -= 1
        return {}

    def slow(self, _call):
        self.entered.set()
        assert self.gate.wait(10)
        return {}


@pytest.fixture
def inside():
    return Inside()


@pytest.fixture
def client(tmp_path, inside):
    database = Database(f"sqlite:///{tmp_path}/test.sqlite")
    routes = tuple(Route("GET", f"/{name}", getattr(inside, name), PUBLIC) for name in ("quick", "slow"))
    app = App(
        [Api("identity", "/identity", dialects.plain, routes)],
        database,
        Policy(()),
        Authentication(lambda _token: Caller(), lambda _token: Caller()),
        public_url="http://cloud",
        threads=4,
    )
    yield Client(app)
    database.close()


def test_short_ones_run_one_after_the_other(client, inside, monkeypatch):
    monkeypatch.setattr(edge, "PATIENCE_S", 10.0)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: client.get("/identity/quick").status, range(12)))
    assert answers == [200] * 12
    assert inside.most == 1


def test_nobody_waits_for_a_long_one(client, inside):
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(client.get, "/identity/slow")
        try:
            assert inside.entered.wait(10)
            assert client.get("/identity/quick").status == 200
            assert not slow.done()
        finally:
            inside.gate.set()
        assert slow.result(10).status == 200
