"""A request's story over all logs, in order of time."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from gureum.cli.logs import print_trace, trace
from gureum.cli.terminal import CLONE
from gureum.lab.refusal import Refusal
from gureum.lab.state import StateFolder


def line(second: int, role: str, request: str, text: str) -> str:
    return f"2026-01-31T12:00:{second:02d}.000000Z INFO {role} gureum.x {request} u p {text}\n"


def test_lines_of_all_processes_come_in_order_and_others_stay_away(tmp_path):
    (tmp_path / "control.log").write_text(
        line(1, "api", "req-1", "asked") + line(2, "api", "req-2", "other") + line(5, "api", "req-1", "done")
    )
    (tmp_path / "host1.agent.log").write_text(
        line(3, "agent", "req-1", "boots") + line(4, "agent", "req-11", "not this one")
    )
    assert [record.rpartition(" ")[2] for _, _, record in trace(tmp_path, "req-1")] == ["asked", "boots", "done"]


def test_request_that_only_speaks_of_the_id_is_no_part_of_its_story(tmp_path):
    (tmp_path / "control.log").write_text(
        line(1, "api", "req-1", "asked")
        + line(2, "api", "req-2", "GET /compute/v2.1/servers/x/os-instance-actions/req-1 -> 200")
    )
    assert [record.rpartition(" ")[2] for _, _, record in trace(tmp_path, "req-1")] == ["asked"]


def test_story_as_json_for_programs(tmp_path, capsys):
    state = StateFolder(tmp_path)
    state.logs.mkdir()
    state.log("control").write_text(line(1, "api", "req-1", "asked"))
    assert print_trace(state, "req-1", as_json=True) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["log"], told["began"]) == ("control", "2026-01-31T12:00:01.000000Z")
    assert told["record"].endswith(" asked")


def test_a_traceback_belongs_to_its_line(tmp_path):
    (tmp_path / "a.log").write_text(
        line(1, "api", "req-1", "failed") + "Traceback:\n  boom\n" + line(2, "api", "req-2", "x") + "  stray\n"
    )
    (found,) = trace(tmp_path, "req-1")
    assert found[2].endswith("failed\nTraceback:\n  boom")


def test_an_id_that_nobody_spoke_of_is_said(tmp_path):
    (tmp_path / "log").mkdir()
    with pytest.raises(Refusal, match="No log has a line"):
        print_trace(StateFolder(tmp_path), "req-9")


def test_a_reader_who_has_seen_enough_gets_no_complaint(tmp_path):
    state = StateFolder(tmp_path)
    state.logs.mkdir()
    state.log("control").write_text(line(1, "api", "req-1", "asked") * 5000)
    words = [sys.executable, "-m", "gureum.cli", "logs", "control", "-n", "5000", "--state", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(CLONE / "src")}
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as logs:
        assert logs.stdout.readline()
        logs.stdout.close()
        assert logs.stderr.read() == b""
