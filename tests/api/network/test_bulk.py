"""Several new resources in one request: in both forms of a list, all or none."""

from __future__ import annotations

import pytest
from tests.api.network.setting import AT


@pytest.fixture
def network(make):
    return make.network()


NEW = {
    "networks": ("network", lambda n, _made: {"name": f"bulk{n}"}),
    "subnets": ("subnet", lambda n, made: {"network_id": made["network"], "cidr": f"10.{n}.0.0/24", "ip_version": 4}),
    "ports": ("port", lambda n, made: {"network_id": made["network"], "name": f"bulk{n}"}),
    "security-groups": ("security_group", lambda n, _made: {"name": f"bulk{n}"}),
    "security-group-rules": (
        "security_group_rule",
        lambda n, made: {
            "security_group_id": made["group"],
            "direction": "ingress",
            "remote_ip_prefix": f"10.{n}.0.0/16",
        },
    ),
}


@pytest.mark.parametrize("noun", NEW)
@pytest.mark.parametrize("wrapped", [True, False])
def test_several_at_once_bare_or_under_their_own_name(alice, make, network, noun, wrapped):
    single, body = NEW[noun]
    made = {"network": network["id"], "group": make.group()["id"]}
    bodies = [body(n, made) for n in (1, 2)]
    key = noun.replace("-", "_")
    answer = alice.post(f"{AT}/{noun}", {key: [{single: one} for one in bodies] if wrapped else bodies})
    assert answer.status == 201, answer.content
    assert [one | new for one, new in zip(answer.json()[key], bodies, strict=True)] == answer.json()[key]


@pytest.mark.parametrize("noun", NEW)
def test_lists_that_are_none_are_refused_and_nothing_is_written(alice, make, network, noun):
    single, body = NEW[noun]
    key = noun.replace("-", "_")
    good = body(1, {"network": network["id"], "group": make.group()["id"]})
    before = alice.get(f"{AT}/{noun}").json()[key]
    for wrong in (
        {key: []},
        {key: good},
        {key: [good, {single: good, "more": 1}]},
        {key: [good, {single: [good]}]},
        {key: [good, 5]},
        {key: [good, {**good, "colour": 1}]},
        {single: good, key: [good]},
        {single: None},
        {key: None},
        {},
        {"colour": good},
    ):
        assert alice.post(f"{AT}/{noun}", wrong).status == 400, wrong
    assert alice.get(f"{AT}/{noun}").json()[key] == before
