"""What holds of every route of every service."""

from __future__ import annotations

import pytest

from gureum.foundation.config import Config, ServicesConfig
from gureum.foundation.http.routes import PUBLIC, Runs
from gureum.roles.control import build


@pytest.fixture(scope="module")
def routes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("routes")
    control = build(Config(state=str(folder), services=ServicesConfig("all")))
    yield [route for api in control.app.apis for route in api.routes]
    control.close()


def test_callers_without_a_token_wait_on_threads_of_their_own(routes):
    """What they send may hash passwords: nobody else waits for that."""
    wrong = [
        r.path for r in routes if r.policy == PUBLIC and r.method not in ("GET", "HEAD") and r.place() is not Runs.LOGIN
    ]
    assert wrong == [], "add runs=Runs.LOGIN"


def test_only_reads_run_on_the_event_loop(routes):
    wrong = [r.path for r in routes if r.place() is Runs.LOOKUP and r.mode() != "read"]
    assert wrong == [], "a write may wait for the database: leave it to the threads"
