"""What of a command line is ours and what is another program's."""

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
