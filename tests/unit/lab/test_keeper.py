"""A daemon's keeper: however a start fails, one process is kept, and none is left behind."""

from __future__ import annotations

import sys
import threading
import time

import pytest

from gureum.lab.daemon import Daemon, Plan, Ready
from gureum.lab.keeper import Condition, Keeper, Running
from gureum.lab.process import read_pid_file, working_on
from gureum.lab.state import StateFolder

SLEEP = "import time; time.sleep(60)"


@pytest.fixture
def told():
    """The lines of the supervisor's log."""
    return []


@pytest.fixture
def running(tmp_path, told):
    """What keepers share, in a lab that has come up before: a failure is tried again."""
    state = StateFolder(tmp_path)
    for folder in (state.run, state.logs):
        folder.mkdir()
    conditions = {"d": Condition()}
    return Running(
        state, Plan("lab", ()), lambda: None, lambda _text: None, lambda *line: told.append(line), conditions,
        {"d": threading.Event()}, complete=True,
    )  # fmt: skip


@pytest.mark.parametrize("fails", ["its script", "its socket"])
def test_a_start_that_fails_leaves_no_process(running, tmp_path, fails):
    mark = f"kept in {tmp_path}"
    argv = (sys.executable, "-c", SLEEP, mark)
    if fails == "its script":
        daemon = Daemon("d", "D", argv, after=f"test -e {tmp_path}/second || {{ touch {tmp_path}/second; exit 3; }}")
    else:
        daemon = Daemon("d", "D", argv, ready=Ready("file", f"{tmp_path}/there", timeout_s=0.3))
    keeper = Keeper(daemon, running)
    thread = threading.Thread(target=keeper.run)
    thread.start()
    try:
        deadline = time.monotonic() + 20
        while not running.conditions["d"].restarts and time.monotonic() < deadline:
            time.sleep(0.01)
        (tmp_path / "there").touch()
        assert running.ready["d"].wait(20)
        assert running.conditions["d"].restarts >= 1
        while not (living := list(working_on(mark.encode()))) and time.monotonic() < deadline:
            time.sleep(0.01)  # a command line is empty for a moment while the program is loaded
        assert [process.pid for process in living] == [read_pid_file(running.state.pid_file("d")).pid]
    finally:
        running.halt()
        thread.join()
        keeper._child.kill()
        keeper._child.wait()


def test_each_death_and_each_new_start_is_told(running, told, tmp_path):
    daemon = Daemon("d", "D", (sys.executable, "-c", SLEEP))
    keeper = Keeper(daemon, running)
    thread = threading.Thread(target=keeper.run)
    thread.start()
    try:
        assert running.ready["d"].wait(20)
        first = read_pid_file(running.state.pid_file("d"))
        first.send(9)
        deadline = time.monotonic() + 20
        while len(told) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        second = read_pid_file(running.state.pid_file("d"))
    finally:
        running.halt()
        thread.join()
        keeper._child.kill()
        keeper._child.wait()
    (died, again) = told
    assert died[0] == "WARNING"
    assert died[1].startswith("d: it ended by signal 9 after ")
    assert died[1].endswith("; start 2 in 0.2 s")
    assert again[0] == "INFO"
    assert again[1].startswith("d: runs again after ")
    assert again[1].endswith(f", pid {second.pid}")


@pytest.mark.parametrize(("serves", "waits"), [(True, ["0.2 s", "0.2 s"]), (False, ["0.2 s", "0.4 s"])])
def test_wait_before_a_new_start_is_short_again_after_a_healthy_life_alone(
    running, told, tmp_path, monkeypatch, serves, waits
):
    """Half a second is healthy here; a start that is waited for as long and fails is not."""
    monkeypatch.setattr("gureum.lab.keeper._HEALTHY_S", 0.3)
    sleeping = (sys.executable, "-S", "-c", "import time; time.sleep(0.5)")
    ready = Ready() if serves else Ready("file", f"{tmp_path}/never", timeout_s=5)
    keeper = Keeper(Daemon("d", "D", sleeping, ready=ready), running)
    thread = threading.Thread(target=keeper.run)
    thread.start()
    try:
        deadline = time.monotonic() + 20
        while len(deaths := [text for level, text in told if level == "WARNING"]) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
    finally:
        running.halt()
        thread.join()
        if keeper._child:
            keeper._child.wait()
    assert [text.partition(" in ")[2] for text in deaths] == waits
