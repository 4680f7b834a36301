"""Rules in code, and an operator's policy.yaml over them."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from gureum.foundation.caller import Caller
from gureum.foundation.errors import Forbidden
from gureum.foundation.policy import EVERY_SCOPE, Policy, Rule
from gureum.foundation.policy.operators_file import SETTLED_S, PolicyFileError

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


# -- accidents with the operator's file ------------------------------------------------------------------

TIGHT = '"two": "!"\n'


@pytest.fixture
def tightened(tmp_path):
    """A policy whose file refuses everybody what the default grants a reader, and that file."""
    file = tmp_path / "policy.yaml"
    written(file, TIGHT, 1)
    policy = Policy(RULES, file)
    assert not reads(policy)
    return policy, file


def reads(policy: Policy) -> bool:
    return policy.allows("two", READER, {"project_id": "p1"})


@pytest.mark.parametrize(
    "text",
    [
        '"two": \'@\n',
        "- two\n",
        "two\n",
        '"two":\n',
        '"two": true\n',
        '"two": []\n',
        "1: '@'\n",
        '"two": "rule:one"\n"one": "rule:two"\n',
        '"two": "not rule:two"\n',
        '"two": "rule:c0"\n' + "".join(f'"c{n}": "rule:c{n + 1}"\n' for n in range(3_000)),
        f'"two": "{"not " * 3_000}rule:one"\n',
        "[" * 300,
        b"\xff\xfe",
    ],
)
def test_a_file_that_is_no_policy_changes_nothing_and_is_logged_once(tightened, caplog, text):
    policy, file = tightened
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    os.utime(file, (1_002, 1_002))
    for _ in range(3):
        policy.reload()
    assert not reads(policy)
    assert len(caplog.records) == 1
    assert "is not used, the rules from before stay" in caplog.text


def test_a_file_that_is_removed_or_hidden_opens_nothing(tightened, caplog):
    policy, file = tightened
    file.unlink()
    policy.reload()
    file.mkdir()
    policy.reload()
    file.rmdir()
    file.symlink_to(file)
    policy.reload()
    assert not reads(policy)
    assert len(caplog.records) == 3
    file.unlink()
    written(file, "", 2)
    policy.reload()
    assert reads(policy), "an empty file means the defaults"


def test_a_folder_that_cannot_be_read_opens_nothing(tightened, monkeypatch):
    policy, file = tightened

    def denied(*_args, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    policy.reload()
    assert not reads(policy)


def test_a_change_within_the_same_second_and_size_is_seen(tightened):
    policy, file = tightened
    written(file, '"two": "@"\n', 1)
    policy.reload()
    assert reads(policy)


def test_a_half_written_file_is_left_until_it_is_whole(tightened, monkeypatch):
    policy, file = tightened
    file.write_text("")
    policy.reload()
    assert not reads(policy)
    file.write_text('"two": "role:reader"\n')
    policy.reload()
    assert not reads(policy)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + SETTLED_S)
    policy.reload()
    assert reads(policy)


def test_a_process_does_not_start_without_the_file_that_it_was_given(tmp_path):
    file = tmp_path / "policy.yaml"
    with pytest.raises(PolicyFileError, match="No such file"):
        Policy(RULES, file)
    for text in ("- x\n", '"one": "rule:two"\n"two": "rule:one"\n'):
        file.write_text(text)
        with pytest.raises(PolicyFileError):
            Policy(RULES, file)


@pytest.mark.parametrize(
    "check", ["not nonsense", "role:reader or nonsense", "not (role:x or", "http:x and", "role:reader @"]
)
def test_a_check_that_is_not_understood_allows_nobody(tmp_path, caplog, check):
    """Below a `not`, and beside an `or`, "nobody" in the place of a part would allow somebody."""
    file = tmp_path / "policy.yaml"
    written(file, f'"two": "{check}"\n', 1)
    policy = Policy(RULES, file)
    assert not reads(policy)
    assert "is not understood, so the rule allows nobody" in caplog.text


def test_an_operators_file_makes_no_cloud_administrators_of_a_domains(tmp_path):
    """The field's own policy files say `admin_required: role:admin`."""
    file = tmp_path / "policy.yaml"
    written(file, '"admin_required": "role:admin or role:boss"\n"context_is_admin": ""\n', 1)
    rules = [
        Rule("cloud", "rule:admin_required", scopes=EVERY_SCOPE),
        Rule("open", "rule:context_is_admin", scopes=EVERY_SCOPE),
    ]
    policy = Policy(rules, file)
    boss = Caller(user_id="u1", system=True, roles=("boss",))
    domain_boss = Caller(user_id="u1", domain_id="d1", roles=("boss", "admin"))
    assert [policy.allows(name, boss, {}) for name in ("cloud", "open")] == [True, True]
    assert [policy.allows(name, domain_boss, {}) for name in ("cloud", "open")] == [False, False]


def test_no_old_answer_is_left_after_a_reload_under_load(tmp_path):
    """Threads ask all the time while the file is replaced 50 times; what a thread asks after a reload is the new rule."""
    file, new = tmp_path / "policy.yaml", tmp_path / "new.yaml"
    written(file, TIGHT, 0)
    policy = Policy(RULES, file)
    in_force = False
    turn = threading.Event()
    wrong, asked = [], 0

    def ask(number: int) -> None:
        nonlocal asked
        while not turn.is_set():
            before = in_force
            answer = policy.allows("two", READER, {"project_id": "p1", "number": asked % (number + 2)})
            asked += 1
            time.sleep(0)
            if before == in_force and before is not None and answer is not before:
                wrong.append((before, answer))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for change in range(1, 51):
        in_force = None  # either is right while the file is replaced
        written(new, TIGHT if change % 2 == 0 else '"two": "role:reader"\n', change)
        new.replace(file)
        policy.reload()
        in_force = change % 2 == 1
        assert reads(policy) is in_force
        enough = asked + 20
        while asked < enough:
            time.sleep(0)
    turn.set()
    for thread in threads:
        thread.join()
    assert not wrong


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
