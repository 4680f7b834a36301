"""The check of tests/answers.py finds answers that are not what their handlers say."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Annotated, Any

import pytest
from tests.answers import check_answer
from tests.api.client import Answer

from gureum.foundation.http.collections.links import NAMED_LINKS
from gureum.foundation.http.dialects import plain
from gureum.foundation.http.microversions import Versions
from gureum.foundation.http.routes import Api, Reply, Route
from gureum.foundation.http.versioned import Since
from gureum.foundation.http.views import Encodes, Listed, View


class Thing(View):
    name: str
    colour: Annotated[str, Since(2, 5)]


def show(_call, _id: str) -> Thing: ...


def index(_call) -> Listed[Thing] | Reply[None]: ...


class Document(View):
    thing: Thing


def cached(_call) -> Reply[Annotated[bytes, Encodes(Document)] | bytes]: ...


def specs(_call, _id: str) -> dict[str, str]: ...


def other(_call) -> dict[str, Any]: ...


ROUTES = (
    Route("GET", "/v2/things", index, "rule", envelope="things"),
    Route("GET", "/v2/things/{id}", show, "rule", envelope="thing"),
    Route("GET", "/v2/cached", cached, "rule"),
    Route("GET", "/v2/things/{id}/specs", specs, "rule", envelope="specs"),
    Route("GET", "/v2/others", other, "rule"),
)
API = Api("x", "/x", plain, ROUTES, versions=Versions("x", (2, 1), (2, 9)), beside_lists=NAMED_LINKS)
APP = SimpleNamespace(apis=[API])
NEW = {"OpenStack-API-Version": "x 2.5"}


def check(path, document, headers=None):
    answer = Answer(200, {"content-type": "application/json"}, json.dumps(document).encode())
    check_answer(APP, "GET", f"/x/v2/{path}", headers or {}, answer)


def test_answers_of_their_version_pass():
    check("things/1", {"thing": {"name": "a"}})
    check("things/1", {"thing": {"name": "a", "colour": "red"}}, NEW)
    check("things/1/specs", {"specs": {"a": "b"}})
    check("things", {"things": [{"name": "a"}], "things_links": [{"rel": "next", "href": "/"}]})
    check("cached", {"thing": {"name": "a"}})


@pytest.mark.parametrize(
    ("path", "document", "headers"),
    [
        ("things/1", {"name": "a"}, {}),
        ("things/1", {"thing": {"name": "a", "colour": "red"}}, {}),
        ("things/1", {"thing": {"name": "a"}}, NEW),
        ("things/1", {"thing": {"name": 1}}, {}),
        ("things", {"things": [{"name": "a"}], "links": []}, {}),
        ("things", {"things": {}}, {}),
        ("things/1/specs", {"specs": {"a": 1}}, {}),
        ("cached", {"name": "a"}, {}),
        ("cached", {"thing": {"name": 1}}, {}),
    ],
)
def test_other_answers_do_not(path, document, headers):
    with pytest.raises(AssertionError, match="answers"):
        check(path, document, headers)


def test_what_is_not_typed_is_not_looked_at():
    check("others", {"x": 1})
