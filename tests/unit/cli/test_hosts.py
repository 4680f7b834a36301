"""`gureum host list` on a database that heartbeats have written."""

from __future__ import annotations

import json

import pytest

from gureum.cli.hosts import print_hosts
from gureum.foundation import clock
from gureum.foundation.db.engine import Database
from gureum.foundation.db.types import Row
from gureum.foundation.fleet.directory import AgentRow


@pytest.fixture
def file(tmp_path):
    url = f"sqlite:///{tmp_path}/cloud.sqlite"
    database = Database(url)
    Row.metadata.create_all(database.engine, tables=[AgentRow.__table__])
    database.close()
    file = tmp_path / "gureum.toml"
    file.write_text(f'[database]\nurl = "{url}"\n')
    return file


def heard(file, **values):
    database = Database(f"sqlite:///{file.parent}/cloud.sqlite")
    usual = {"kind": "shelf", "host": "h1", "version": 3, "address": "10.0.0.1", "seen_at": clock.now() - 3}
    database.write(lambda tx: tx.add(AgentRow(**usual | values)))
    database.close()


def test_agents_are_listed_with_their_versions(file, capsys):
    heard(file, started_at=clock.now() - 7200)
    heard(file, host="h2", seen_at=clock.now() - 200)
    assert print_hosts(file) == 0
    first, second = capsys.readouterr().out.splitlines()[-3:-1]
    assert first.split() == ["h1", "shelf", "3", "10.0.0.1", "2", "h", "3", "s", "ago"]
    assert second.split() == ["h2", "shelf", "3", "10.0.0.1", "?", "3", "min", "ago"]


def test_programs_read_json(file, capsys):
    heard(file)
    assert print_hosts(file, as_json=True) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert (entry["host"], entry["kind"], entry["version"], entry["started_at"]) == ("h1", "shelf", 3, 0.0)


def test_a_cloud_without_hosts_says_so(file, capsys):
    assert print_hosts(file) == 0
    assert capsys.readouterr().out == "No host was heard yet.\n"
