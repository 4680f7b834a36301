"""What of a command line is ours and what is another program's, and what is said of a wrong one."""

from __future__ import annotations

import pytest

from gureum.cli import test as command
from gureum.cli.__main__ import main


@pytest.mark.parametrize(
    ("words", "what", "arguments"),
    [
        ([], "", []),
        (["-k", "name"], "", ["-k", "name"]),
        (["-m", "not postgresql"], "", ["-m", "not postgresql"]),
        (["api"], "api", []),
        (["tests/api/compute", "-x", "-k", "name"], "tests/api/compute", ["-x", "-k", "name"]),
    ],
)
def test_what_follows_the_tier_is_pytests(monkeypatch, words, what, arguments):
    seen = []
    monkeypatch.setattr(command, "run_tests", lambda *given: seen.append(given) or 0)
    monkeypatch.setattr("gureum.cli.__main__.listen_to_interrupts", lambda: None)
    assert main(["test", *words]) == 0
    assert seen == [(what, arguments)]


@pytest.mark.parametrize(
    ("codes", "ending"), [((0, 0, 0), 0), ((5, 0, 5), 0), ((5, 5, 5), 5), ((0, -9, 0), 9), ((0, 1, 0), 1)]
)
def test_one_bad_part_is_a_bad_whole(monkeypatch, codes, ending):
    monkeypatch.setattr(command, "_pytest", lambda _words: codes[0])
    monkeypatch.setattr(command, "_two_at_once", lambda *_given: list(codes[1:]))
    assert command.run_tests("", []) == ending


def test_no_command_shows_all_of_them(capsys):
    assert main([]) == 2
    assert "start the cloud; install what is missing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "command"), [(["up", "--frobnicate"], "up"), (["keys", "rotate", "tokens", "-x"], "keys")]
)
def test_an_unknown_option_leads_to_the_help_of_its_command(capsys, words, command):
    with pytest.raises(SystemExit):
        main(words)
    message = capsys.readouterr().err
    assert words[-1] in message
    assert f"gureum {command} --help" in message


def test_down_says_that_no_cloud_runs(tmp_path_factory, monkeypatch, capsys):
    monkeypatch.setattr("gureum.cli.__main__.listen_to_interrupts", lambda: None)
    folder = tmp_path_factory.mktemp("lab") / "none"
    assert main(["down", "--state", str(folder)]) == 0
    assert capsys.readouterr().out == f"No cloud runs in {folder}.\n"
