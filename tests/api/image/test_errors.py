"""The form of the image API's errors: JSON for those who prefer it, else a page, which glanceclient reads."""

from __future__ import annotations

from tests.api.image.conftest import IMAGES

MISSING = f"{IMAGES}/00000000-0000-0000-0000-000000000000"


def test_clients_that_prefer_json_get_json(alice):
    for headers in ({}, {"accept": "application/json"}, {"accept": "application/json, */*;q=0.5"}):
        answer = alice.get(MISSING, **headers)
        assert (answer.status, answer.headers["content-type"]) == (404, "application/json")
        assert answer.headers["vary"] == "Accept"
        assert answer.json()["code"] == "404 Not Found"


def test_clients_that_take_anything_get_a_page(alice):
    answer = alice.get(MISSING, accept="*/*")
    assert (answer.status, answer.headers["content-type"]) == (404, "text/html; charset=UTF-8")
    assert answer.headers["vary"] == "Accept"
    assert b"No image found with ID" in answer.content
    refused = alice.post(IMAGES, {"disk_format": "<script>"}, accept="*/*")
    assert refused.status == 400
    assert b"<script>" not in refused.content


def test_success_and_missing_authentication_stay_json(cloud, alice):
    assert alice.get(IMAGES, accept="*/*").headers["content-type"] == "application/json"
    answer = cloud.as_("nobody").get(IMAGES, accept="*/*")
    assert (answer.status, answer.headers["content-type"]) == (401, "application/json")
    assert answer.json()["error"]["code"] == 401
