"""Rules in code, and an operator's policy.yaml over them."""

from __future__ import annotations

import os
from pathlib import Path

from gureum.foundation.caller import Caller
from gureum.foundation.policy import Policy, Rule

RULES = [Rule("one", "rule:admin"), Rule("two", "rule:project_reader")]
ADMIN = Caller(user_id="u1", project_id="p1", roles=("admin",))
READER = Caller(user_id="u2", project_id="p1", roles=("reader",))


def written(file: Path, text: str, age: int) -> None:
    """Write a policy file, so many seconds younger than the last one."""
    file.write_text(text)
    os.utime(file, (1_000 + age, 1_000 + age))


def test_the_operators_file_wins_and_is_read_again_when_it_changes(tmp_path):
    file = tmp_path / "policy.yaml"
    written(file, '"one": "role:reader and project_id:%(project_id)s"\n', 1)
    policy = Policy(RULES, file)
    assert policy.allows("one", READER, {"project_id": "p1"})
    assert not policy.allows("one", READER, {"project_id": "p2"})
    assert not policy.allows("one", ADMIN, {"project_id": "p1"})
    assert policy.allows("two", READER, {"project_id": "p1"})
    written(file, "", 2)
    policy.reload()
    assert policy.allows("one", ADMIN, {})
    assert not policy.allows("one", READER, {"project_id": "p1"})


def test_a_broken_file_changes_nothing_and_an_unknown_rule_denies(tmp_path):
    file = tmp_path / "policy.yaml"
    written(file, '"one": "rule:nowhere"\n"other": "@"\n', 1)
    policy = Policy(RULES, file)
    assert not policy.allows("one", ADMIN, {})
    assert not policy.allows("other", ADMIN, {})
    written(file, '"one": "@\n', 2)
    policy.reload()
    assert not policy.allows("one", ADMIN, {})


def test_a_check_that_asks_another_server_denies(tmp_path):
    file = tmp_path / "policy.yaml"
    written(file, '"one": "http://127.0.0.1:9/%(project_id)s"\n', 1)
    assert not Policy(RULES, file).allows("one", ADMIN, {"project_id": "p1"})
