"""Rules in code, and an operator's policy.yaml over them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gureum.foundation.caller import Caller
from gureum.foundation.errors import Forbidden
from gureum.foundation.policy import EVERY_SCOPE, Policy, Rule

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


def test_an_administrator_of_a_domain_is_none_of_the_cloud():
    policy = Policy([Rule("project rule", "rule:admin"), Rule("cloud rule", "rule:admin_required", scopes=EVERY_SCOPE)])
    domain_admin = Caller(user_id="u1", domain_id="d1", roles=("admin",))
    system_admin = Caller(user_id="u1", system=True, roles=("admin",))
    assert not policy.allows("project rule", domain_admin, {})
    assert not policy.allows("cloud rule", domain_admin, {})
    assert not policy.allows("project rule", system_admin, {})
    assert policy.allows("cloud rule", system_admin, {})
    assert policy.allows("project rule", ADMIN, {})
    with pytest.raises(Forbidden, match="for tokens of the scope project; this token is system"):
        policy.enforce("project rule", system_admin, {})


def test_an_operators_file_opens_no_other_scope(tmp_path):
    file = tmp_path / "policy.yaml"
    written(file, '"one": "@"\n', 1)
    policy = Policy(RULES, file)
    assert policy.allows("one", READER, {})
    assert not policy.allows("one", Caller(user_id="u1", domain_id="d1", roles=("reader",)), {})
    assert not policy.allows("one", Caller(user_id="u1"), {})


def test_a_request_during_a_reload_leaves_no_old_answer(tmp_path, monkeypatch):
    """A rule is tightened; while the file is compiled a request is answered by the old rule."""
    file = tmp_path / "policy.yaml"
    written(file, "", 1)
    policy = Policy(RULES, file)
    compiled = policy._compile

    def compile_while_asked(overrides):
        ruleset = compiled(overrides)
        assert policy.allows("two", READER, {"project_id": "p1"})
        return ruleset

    monkeypatch.setattr(policy, "_compile", compile_while_asked)
    written(file, '"two": "!"\n', 2)
    policy.reload()
    assert not policy.allows("two", READER, {"project_id": "p1"})


def test_a_name_that_no_rule_has_is_reported_unless_others_refer_to_it(tmp_path, caplog):
    file = tmp_path / "policy.yaml"
    written(file, '"one": "rule:our_readers"\n"our_readers": "role:reader"\n"onne": "!"\n', 1)
    policy = Policy(RULES, file)
    assert policy.allows("one", READER, {})
    assert [record.getMessage() for record in caplog.records] == [
        f"policy file {file}: no rule is named onne, and no other rule refers to it"
    ]


@pytest.mark.parametrize(
    ("check", "bounded"),
    [
        ("rule:admin", True),
        ("role:service", True),
        ("role:reader and system_scope:all", True),
        ("role:reader and project_id:%(project_id)s", True),
        ("rule:project_reader_or_admin", True),
        ("!", True),
        ("@", False),
        ("role:reader", False),
        ("rule:admin or role:reader", False),
        ("rule:any_authenticated", False),
        ("not role:reader", False),
    ],
)
def test_a_rule_that_names_nothing_of_its_target_bounds_nobody(check, bounded):
    assert Policy([Rule("asked", check)]).is_bounded("asked") is bounded


def test_a_reason_stands_for_a_predicate():
    assert Policy([Rule("asked", "@", unbounded="the same for everybody")]).is_bounded("asked")
