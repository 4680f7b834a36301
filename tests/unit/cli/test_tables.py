"""What programs read: whole lines in a pipe, JSON, exit codes."""

from __future__ import annotations

import json
import os
import time

import pytest
from rich.table import Table

from gureum import __version__
from gureum.cli import doctor, status
from gureum.cli.__main__ import main
from gureum.cli.tables import print_table
from gureum.cli.tasks import print_tasks
from gureum.foundation.db.engine import Database
from gureum.foundation.db.types import Row
from gureum.foundation.tasks.model import Task
from gureum.lab.checks import Finding
from gureum.lab.process import identify, write_pid_file
from gureum.lab.state import StateFolder

LONG = "the virtual network to bring up ports " + ", ".join(str(number) * 36 for number in range(9))


def test_table_in_a_pipe_cuts_and_wraps_nothing(capsys):
    table = Table("resource", "waits for")
    table.add_row("server", LONG)
    print_table(table)
    assert any(LONG in line for line in capsys.readouterr().out.splitlines())


def test_version(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert (ended.value.code, capsys.readouterr().out) == (0, f"gureum {__version__}\n")


def test_status_as_json_has_every_daemon(tmp_path, capsys, monkeypatch):
    state = StateFolder(tmp_path)
    state.make()
    state.remember({"simulate": True, "port": 1})
    me = identify(os.getpid())
    write_pid_file(state.pid_file("supervisor"), me)
    control = {"title": "control plane", "state": "restarting", "pid": 0, "restarts": 3, "problem": LONG, "since": 1.0}
    told = {"phase": "running", "supervisor": me.pid, "since": time.time(), "daemons": {"control": control}}
    state.status.write_text(json.dumps(told))
    assert status.print_status(state, as_json=True) == 3
    account = json.loads(capsys.readouterr().out)
    assert (account["state"], account["healthy"]) == ("running", False)
    assert [(one["name"], one["restarts"], one["problem"]) for one in account["daemons"]][1] == ("control", 3, LONG)


def test_status_of_no_cloud_as_json(tmp_path, capsys):
    assert status.print_status(StateFolder(tmp_path / "none"), as_json=True) == 3
    assert json.loads(capsys.readouterr().out)["state"] == "absent"


def test_doctor_as_json(capsys):
    bad = Finding("port", "bad", "it is in use", "Choose another")
    assert doctor._print([bad], as_json=True) == 1
    told = {"subject": "port", "verdict": "bad", "text": "it is in use", "remedy": "Choose another"}
    assert json.loads(capsys.readouterr().out) == [told]


def test_tasks_as_json_and_of_a_named_configuration(tmp_path, capsys):
    config = tmp_path / "gureum.toml"
    config.write_text(f'[database]\nurl = "sqlite:///{tmp_path}/d.sqlite"\n')
    database = Database(f"sqlite:///{tmp_path}/d.sqlite")
    Row.metadata.create_all(database.engine)
    task = Task(id="t", kind="server", resource_id="s", step="wire", reason=LONG, data={}, since=time.time() - 5)
    database.write(lambda tx: tx.add(task))
    database.close()
    assert print_tasks(config, every=False, as_json=True) == 0
    (task,) = json.loads(capsys.readouterr().out)
    assert (task["kind"], task["step"], task["waits_for"]) == ("server", "wire", LONG)
    assert 5 <= task["for_s"] < 60


def test_status_shows_what_the_next_up_remembers_but_no_password(tmp_path, capsys):
    state = StateFolder(tmp_path)
    state.make()
    state.remember({"simulate": True, "port": 8774, "bus": "amqp://u:hush@broker", "external_cidr": "x"})
    assert status.print_status(state) == 3
    shown = capsys.readouterr().out
    assert "Remembered: --simulate, --bus amqp://u:***@broker (" in shown
    assert status.print_status(state, as_json=True) == 3
    assert json.loads(capsys.readouterr().out)["remembered"] == {"simulate": "", "bus": "amqp://u:***@broker"}
