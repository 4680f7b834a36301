"""The document of a small API: versions, bodies, statuses and errors as its routes say."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from gureum.foundation.http.dialects import plain
from gureum.foundation.http.microversions import Versions
from gureum.foundation.http.openapi import document
from gureum.foundation.http.routes import PUBLIC, Api, Route
from gureum.foundation.http.versioned import Takes
from gureum.services.compute.dialect import error_body

Short = Annotated[str, Meta(max_length=5)]


class New(Struct, forbid_unknown_fields=True):
    name: Annotated[str, Takes((2, 1), str), Takes((2, 5), Short)]


class Stop(Struct, forbid_unknown_fields=True):
    hard: bool = False


API = Api(
    "compute",
    "/compute",
    error_body,
    (
        Route("GET", "/", print, PUBLIC),
        Route("GET", "/v2.1/things", print, "see", query=("limit", "marker")),
        Route("POST", "/v2.1/things", print, "make", 200, body=New, until=(2, 1)),
        Route("POST", "/v2.1/things", print, "make", 201, body=New, since=(2, 2)),
        Route("POST", "/v2.1/things/{id}/action", print, "act", 202, body=dict, described={"stop": Stop}, also=(503,)),
        Route("GET", "/v2/things", print, "see"),
    ),
    versions=Versions("compute", (2, 1), (2, 9), unversioned="v2"),
)
RULES = {"see": "List things", "make": "Make a thing", "act": "Act"}


def test_all_versions_together():
    found = document(API, RULES)
    assert set(found["paths"]) == {"/", "/v2.1/things", "/v2.1/things/{id}/action"}
    assert found["info"]["version"] == "2.9"
    make = found["paths"]["/v2.1/things"]["post"]
    assert make["summary"] == "Make a thing"
    assert {"200", "201", "400", "401", "403", "406", "409", "413", "415"} <= set(make["responses"])
    assert [
        (one.get("since"), one.get("until"), one["status"], one["body"]["$ref"][-4:])
        for one in make["x-openstack-variants"]
    ] == [
        ("2.1", "2.1", 200, "_2_1"),
        ("2.2", None, 201, "_2_1"),
        ("2.5", None, 201, "_2_5"),
    ]
    assert make["requestBody"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/New_2_5"}
    assert [one["name"] for one in found["paths"]["/v2.1/things"]["get"]["parameters"]] == ["limit", "marker"]
    assert found["components"]["schemas"]["New_2_5"]["properties"]["name"]["maxLength"] == 5
    assert found["components"]["schemas"]["New_2_5"]["additionalProperties"] is False


def test_one_version_alone():
    make = document(API, RULES, (2, 1))["paths"]["/v2.1/things"]["post"]
    assert "200" in make["responses"]
    assert "201" not in make["responses"]
    assert make["requestBody"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/New_2_1"}
    assert "x-openstack-variants" not in make


def test_a_body_that_the_handler_decodes():
    act = document(API, RULES)["paths"]["/v2.1/things/{id}/action"]["post"]
    (alternative,) = act["requestBody"]["content"]["application/json"]["schema"]["oneOf"]
    assert alternative["required"] == ["stop"]
    assert "503" in act["responses"]
    assert act["parameters"][0]["in"] == "path"


def test_errors_are_of_the_dialect():
    found = document(API, RULES, unauthorized=plain)
    responses = found["components"]["responses"]
    shape = responses["E404"]["content"]["application/json"]["schema"]
    assert shape["required"] == ["itemNotFound"]
    assert responses["E401"]["content"]["application/json"]["schema"]["required"] == ["error"]
    assert found["paths"]["/"]["get"]["security"] == []
    assert "401" not in found["paths"]["/"]["get"]["responses"]
