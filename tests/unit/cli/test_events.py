"""`gureum event`: where subscribers stand, and moving them."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import select
from tests.unit.events.outbox_under_test import Gauge

from gureum.cli.events import forget, print_subscribers, replay, skip
from gureum.foundation.db.types import Row
from gureum.foundation.events.model import EventCursor
from gureum.lab.refusal import Refusal


@pytest.fixture
def file(tmp_path, database):
    """A cloud's configuration, with a subscriber that cannot handle its second event."""
    Row.metadata.create_all(database.engine)
    gauge = Gauge(database)
    gauge.broken = {2}
    gauge.rain(1, 2, 3)
    gauge.reader.run_once()
    file = tmp_path / "gureum.toml"
    file.write_text(f'state = "{tmp_path}"\n[database]\nurl = "{database.url}"\n')
    return file


def test_the_list_shows_what_fails(file, capsys):
    print_subscribers(file, as_json=True)
    (shown,) = json.loads(capsys.readouterr().out)
    assert (shown["name"], shown["waiting"], shown["failing"], shown["attempts"]) == ("gauge", 2, 2, 1)
    print_subscribers(file)
    assert "the gauge is full" in capsys.readouterr().out


def test_a_replay_moves_the_cursor_and_clears_the_problem(file, database):
    replay(file, "gauge", 3)
    with database.read() as tx:
        cursor = tx.get_one(EventCursor, "gauge")
    assert (cursor.number, cursor.problem, cursor.attempts) == (2, "", 0)


def test_the_event_that_fails_is_skipped(file, database, capsys):
    skip(file, "gauge")
    assert "the event 2" in capsys.readouterr().out
    with database.read() as tx:
        cursor = tx.get_one(EventCursor, "gauge")
    assert (cursor.number, cursor.failing, cursor.problem) == (2, None, "")
    with pytest.raises(Refusal, match="No event fails"):
        skip(file, "gauge")


def test_a_subscriber_is_forgotten(file, database):
    forget(file, "gauge")
    with database.read() as tx:
        assert tx.scalar(select(EventCursor.name)) is None


def test_a_subscriber_of_a_service_that_is_enabled_is_not_forgotten(file, database):
    begin = {"name": "leftovers", "xact": 0, "number": 1, "moved_at": 0.0}
    database.write(lambda tx: tx.add(EventCursor(**begin)))
    with pytest.raises(Refusal, match="belongs to a service"):
        forget(file, "leftovers")
    with database.read() as tx:
        assert tx.get_one(EventCursor, "leftovers").number == 1


def test_an_unknown_subscriber_is_refused(file):
    with pytest.raises(Refusal, match="no subscriber nobody"):
        replay(file, "nobody", 0)
