"""`gureum enter`: where options, the host and the command may stand."""

from __future__ import annotations

import os

import pytest

from gureum.cli.__main__ import main
from gureum.lab.process import identify, write_pid_file
from gureum.lab.state import open_state


@pytest.fixture
def folder(tmp_path_factory):
    """A state folder whose host1 is this very process."""
    state = open_state(tmp_path_factory.mktemp("lab"))
    state.make()
    write_pid_file(state.pid_file("host1"), identify(os.getpid()))
    return str(state.root)


@pytest.fixture
def ran(monkeypatch):
    """What would replace this process."""
    found = []
    monkeypatch.setattr("gureum.cli.enter.become", found.append)
    monkeypatch.setenv("SHELL", "/bin/sh")
    return found


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ("enter --state D host1", "/bin/sh"),
        ("enter host1 --state D", "/bin/sh"),
        ("enter --state D host1 -- ip -o link", "ip -o link"),
        ("enter host1 --state D -- ip -o link", "ip -o link"),
        ("enter host1 --state=D -- sh -c --", "sh -c --"),
        ("enter --state D host1 ip link", "ip link"),
        ("enter --state D -- host1 ip link", "ip link"),
    ],
)
def test_the_folder_may_stand_before_or_after_the_host(folder, ran, words, command):
    assert main(words.replace("D", folder).split()) == 0
    (said,) = ran
    assert said[said.index("--") + 1 :] == command.split()


def test_a_commands_own_options_need_the_dashes(folder, ran, capfd):
    with pytest.raises(SystemExit):
        main(["enter", "--state", folder, "host1", "ip", "-o", "link"])
    assert "after --" in capfd.readouterr().err
    assert ran == []


def test_no_host_is_a_question(folder, ran, capfd):
    with pytest.raises(SystemExit):
        main(["enter", "--state", folder])
    assert "which host" in capfd.readouterr().err


def test_a_host_that_does_not_run_is_said(folder, ran, capfd):
    assert main(["enter", "host9", "--state", folder, "--", "true"]) == 1
    assert "no host 'host9'" in capfd.readouterr().err
    assert ran == []


@pytest.mark.parametrize("host", ["host1", "host9", "control"])
def test_simulated_host_has_nothing_to_enter(folder, ran, capfd, host):
    open_state(folder).remember({"simulate": True})
    assert main(["enter", host, "--state", folder, "--", "true"]) == 1
    assert "is simulated: its hosts have no namespaces" in capfd.readouterr().err
    assert ran == []
