"""`bench/run` as a person runs it: two cheap rows with small sizes, their figures as text and as JSON, nothing left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from gureum.cli.terminal import CLONE
from gureum.lab.process import working_on

MARK = "gureum-bench-"


@pytest.fixture
def own(tmp_path):
    """Clouds of this test lie in a folder of its own."""
    return {**os.environ, "TMPDIR": str(tmp_path)}


def left_in(folder: Path) -> list[str]:
    processes = [f"process {process.pid}" for process in working_on(f"{folder}/{MARK}".encode())]
    return processes + [str(entry) for entry in folder.glob(f"{MARK}*")]


def test_two_rows_run_to_their_end(tmp_path, own):
    written = tmp_path / "figures.json"
    argv = [str(CLONE / "bench/run"), "--quick", "--json", str(written), "work", "network"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=own, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(written.read_text())
    figures = {row["key"]: row for row in told["rows"]}
    assert told["quick"] is True
    assert figures["work-create-HTTP requests"]["value"] == 1
    assert figures["work-get-HTTP requests"]["value"] == 1
    assert 10 < figures["work-create-statements"]["value"] < 200
    assert 0 < figures["work-create-commits"]["value"] <= figures["work-create-statements"]["value"]
    assert figures["port-create"]["value"] > 5
    assert "commits of one row alone" in figures["port-create"]["limit"]
    assert "POST /ports, 8 connections" in done.stdout
    assert left_in(tmp_path) == [], "what the bench starts it ends"


def test_an_unknown_row_is_refused_with_its_name(own):
    done = subprocess.run([str(CLONE / "bench/run"), "nonsense"], capture_output=True, text=True, check=False, env=own)
    assert done.returncode == 2
    assert "no such row: nonsense" in done.stderr


def test_an_ended_bench_leaves_nothing(tmp_path, own):
    argv = [str(CLONE / "bench/run"), "--quick", "servers"]
    bench = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=own)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(f"{MARK}*/run/control.ready")):
        assert bench.poll() is None, "it ended by itself"
        assert time.monotonic() < deadline, "its cloud does not start"
        time.sleep(0.05)
    bench.send_signal(signal.SIGTERM)
    assert bench.wait(30) == 143
    assert left_in(tmp_path) == []
