"""What `doctor` says of the operator's policy file."""

from __future__ import annotations

import pytest
from tests.cloud import config

from gureum.foundation.config import PolicyConfig
from gureum.foundation.policy import SHARED_RULES
from gureum.lab.policy_checks import policy_findings
from gureum.roles.assembly import CATALOGUE
from gureum.roles.control import build, built


@pytest.fixture
def look(tmp_path):
    """The findings of a policy file with this text; None is no file."""

    def look(text):
        if text is not None:
            (tmp_path / "policy.yaml").touch(0o644)  # leaves the mode of one that is there
            (tmp_path / "policy.yaml").write_text(text)
        file = tmp_path / "gureum.toml"
        file.write_text(f'state = "{tmp_path}"\n[policy]\nfile = "policy.yaml"\n')
        return list(policy_findings(file))

    return look


def test_a_sound_file_is_good(look):
    (finding,) = look('"identity:list_regions": "rule:ours"\n"ours": "role:reader"\n"add_image": "!"\n')
    assert finding.verdict == "good"
    assert "3 rules" in finding.text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('"os_compute_api:server:create": "!"\n', "no rule is named os_compute_api:server:create"),
        ('"add_image": "role:member or"\n', "add_image: the check 'role:member or' is not understood"),
        ('"add_image": "rule:ours"\n', "add_image: it refers to the rule ours, which is nowhere"),
        ('"add_image": "rule:get_image"\n"get_image": "rule:add_image"\n', "in a circle: add_image -> get_image"),
        ('"add_image":\n', "add_image: the check is None"),
        ('"add_image": "\n', "it is not YAML"),
        (None, "No such file or directory; no process starts without it"),
    ],
)
def test_what_does_not_do_what_was_meant_is_bad(look, text, says):
    (finding,) = look(text)
    assert finding.verdict == "bad"
    assert says in finding.text
    assert finding.remedy


@pytest.mark.parametrize(("what", "mode"), [("policy.yaml", 0o666), ("policy.yaml", 0o664), (".", 0o777)])
def test_a_file_that_others_can_write_is_bad(look, tmp_path, what, mode):
    (tmp_path / "policy.yaml").touch(0o644)
    (tmp_path / what).chmod(mode)
    bad, good = look('"add_image": "!"\n')
    assert (bad.verdict, good.verdict) == ("bad", "good")
    assert bad.text.startswith("others than its owner can write")
    assert bad.remedy.startswith("Run: chmod go-w")


def test_no_policy_file_is_no_finding(tmp_path):
    file = tmp_path / "gureum.toml"
    file.write_text(f'state = "{tmp_path}"\n')
    assert list(policy_findings(file)) == []
    assert list(policy_findings(None)) == []


@pytest.mark.parametrize("text", [None, "- no table\n"])
def test_a_control_plane_does_not_start_without_the_file_that_it_was_given(tmp_path, text):
    """Its defaults would grant what the operator refused."""
    if text is not None:
        (tmp_path / "policy.yaml").write_text(text)
    with pytest.raises(SystemExit, match=r"\[policy\] file: .*policy.yaml|\[policy\] file: it is not a table"):
        built(config(tmp_path, policy=PolicyConfig(file="policy.yaml")), alone=True)


def test_doctor_knows_the_rules_of_every_service(tmp_path):
    control = build(config(tmp_path))
    try:
        assert {rule.name for rule in CATALOGUE.rules()} == set(control.app.policy.names) - SHARED_RULES.keys()
    finally:
        control.close()
