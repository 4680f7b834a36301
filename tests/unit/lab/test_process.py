"""Processes are known by id and start time, and pid files name the living only."""

from __future__ import annotations

import os
import signal
import subprocess

from gureum.lab.process import Process, clean_environment, end, identify, memory_kib, read_pid_file, write_pid_file


def test_a_pid_file_names_the_process_until_it_dies(tmp_path):
    child = subprocess.Popen(["sleep", "60"])
    process = identify(child.pid, "digest")
    assert process
    write_pid_file(tmp_path / "a.pid", process)
    assert read_pid_file(tmp_path / "a.pid") == process
    end([process], signal.SIGTERM, 5)
    assert not process.alive(), "a zombie is dead"
    assert read_pid_file(tmp_path / "a.pid") is None
    child.wait()


def test_a_number_used_again_is_not_our_process(tmp_path):
    (tmp_path / "a.pid").write_text(f"{os.getpid()} 1 -\n")
    assert read_pid_file(tmp_path / "a.pid") is None
    Process(os.getpid(), 1).send(signal.SIGKILL)  # or this test is over


def test_a_broken_pid_file_names_nobody(tmp_path):
    (tmp_path / "a.pid").write_text("nonsense")
    assert read_pid_file(tmp_path / "a.pid") is None


def test_who_ignores_the_signal_is_killed():
    child = subprocess.Popen(
        ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"], stdout=subprocess.PIPE
    )
    assert child.stdout
    assert child.stdout.readline() == b"ready\n"
    process = identify(child.pid)
    assert process
    end([process], signal.SIGTERM, 0.1)
    assert child.wait(5) == -signal.SIGKILL
    child.stdout.close()


def test_daemons_do_not_see_the_users_variables(monkeypatch):
    monkeypatch.setenv("OS_PASSWORD", "secret")
    assert "OS_PASSWORD" not in clean_environment({})


def test_memory_of_this_process_is_known():
    assert memory_kib(os.getpid()) > 1000
