"""Bodies that identity refuses, with nothing written."""

from __future__ import annotations

import pytest
from tests.api.identity.setting import TOKENS, V3

NOUNS = ["project", "domain", "user", "group", "role"]
NAMED = [
    {},
    {"name": ""},
    {"name": "   "},
    {"name": 5},
    {"name": None},
    {"name": ["a"]},
    {"name": "a" * 256},
    {"name": "nul\u0000"},
    {"name": "x", "description": 5},
    {"name": "x", "description": "d" * 65536},
    {"name": "x", "bulk": "b" * 16400},
]


@pytest.mark.parametrize("noun", NOUNS)
def test_bad_fields(world, admin, noun):
    before = world.commits()
    for bad in NAMED:
        assert admin.post(f"{V3}/{noun}s", {noun: bad}).status == 400, bad
    for whole in ({}, [], "x", None, {noun: "x"}, {noun: []}, {noun: {"name": "x"}, "more": 1}):
        assert admin.post(f"{V3}/{noun}s", whole).status == 400, whole
    if noun != "group" and noun != "role":
        assert admin.post(f"{V3}/{noun}s", {noun: {"name": "x", "enabled": "yes"}}).status == 400
    assert world.commits() == before


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"null", 400),
        (b"\xff\xfe{}", 400),
        (b'{"project": {"name": "\\ud800"}}', 400),
        (b'{"project": {"name": "a\\u0000b"}}', 400),
        (b'{"project": {"name": "x", "n": 1e999}}', 400),
        (b'{"project": {"name": "x", "n": NaN}}', 400),
        (b'{"project": {"name": "x", "deep": ' + b"[" * 5000 + b"]" * 5000 + b"}}", 400),
        (b'{"project": {"name": "x", "deep": ' + b'{"a":' * 40 + b"1" + b"}" * 40 + b"}}", 400),
        (b'{"project": {"name": "' + b"x" * (1 << 20) + b'"}}', 413),
    ],
)
def test_what_is_not_a_small_json_text(world, admin, raw, status):
    before = world.commits()
    for method, url in (("POST", f"{V3}/projects"), ("PATCH", f"{V3}/projects/default"), ("POST", TOKENS)):
        assert admin.request(method, url, raw=raw).status == status
    assert world.commits() == before


def test_another_media_type(admin):
    answer = admin.request("POST", f"{V3}/projects", raw=b"<project/>", content_type="application/xml")
    assert answer.status == 415


def test_paths_and_queries_that_are_no_text(admin):
    assert admin.get(f"{V3}/projects?name=%00").status == 400
    assert admin.get(f"{V3}/projects?name=%ff%fe").status == 400
    assert admin.get(f"{V3}/projects/a\x00b").status == 400
    assert admin.get(f"{V3}/projects?" + "&".join(f"a{number}=1" for number in range(300))).status == 400
    assert admin.get(f"{V3}/projects/{'x' * 5000}").status == 404
    assert admin.get(f"{V3}/nothing").status == 404
    assert admin.request("TRACE", f"{V3}/projects").status == 405


BOUNDED = {
    "project": ("projects", {"name": "x"}),
    "domain": ("domains", {"name": "x"}),
    "user": ("users", {"name": "x"}),
    "group": ("groups", {"name": "x"}),
    "role": ("roles", {"name": "x"}),
    "credential": ("credentials", {"type": "x", "blob": "b"}),
    "policy": ("policies", {"type": "text/plain", "blob": "b"}),
    "region": ("regions", {}),
    "service": ("services", {"type": "x"}),
}


@pytest.mark.parametrize("noun", BOUNDED)
def test_additional_attributes_are_bounded_over_all_changes(admin, noun):
    collection, body = BOUNDED[noun]
    one = f"{V3}/{collection}/" + admin.post(f"{V3}/{collection}", {noun: body}).json()[noun]["id"]
    assert admin.patch(one, {noun: {"first": "a" * 9000}}).status == 200
    refused = admin.patch(one, {noun: {"second": "b" * 9000}})
    assert refused.status == 400
    assert "additional attributes" in refused.json()["error"]["message"]
    assert "second" not in admin.get(one).json()[noun]
    assert admin.patch(one, {noun: {"first": "", "second": "b" * 9000}}).status == 200
