"""Regions, services and endpoints."""

from __future__ import annotations

import pytest
from tests.api.identity.setting import V3, found, made


def test_a_region_from_beginning_to_end(admin):
    answer = admin.post(f"{V3}/regions", {"region": {"id": "north", "description": "d"}})
    assert answer.status == 201
    region = answer.json()["region"]
    assert set(region) == {"id", "description", "parent_region_id", "links"}
    one = f"{V3}/regions/north"
    assert admin.get(one).json()["region"] == region
    assert admin.post(f"{V3}/regions", {"region": {"id": "north"}}).status == 409
    assert admin.post(f"{V3}/regions", {"region": {"id": "x", "parent_region_id": "none"}}).status == 404
    child = admin.put(f"{V3}/regions/inner", {"region": {"parent_region_id": "north"}})
    assert (child.status, child.json()["region"]["parent_region_id"]) == (201, "north")
    assert [row["id"] for row in admin.get(f"{V3}/regions?parent_region_id=north").json()["regions"]] == ["inner"]
    assert admin.delete(one).status == 409, "it has a child"
    assert admin.patch(one, {"region": {"description": "e"}}).json()["region"]["description"] == "e"
    assert admin.delete(f"{V3}/regions/inner").status == admin.delete(one).status == 204
    assert admin.get(one).status == admin.delete(one).status == 404
    assert admin.post(f"{V3}/regions", {"region": {}}).json()["region"]["id"]
    assert admin.delete(f"{V3}/regions/RegionOne").status == 403, "it has endpoints"


def test_a_service_from_beginning_to_end(admin):
    answer = admin.post(f"{V3}/services", {"service": {"type": "volume", "name": "v", "description": "d"}})
    assert answer.status == 201
    service = answer.json()["service"]
    assert set(service) == {"id", "type", "name", "description", "enabled", "links"}
    one = f"{V3}/services/{service['id']}"
    assert admin.get(one).json()["service"] == service
    assert [row["id"] for row in admin.get(f"{V3}/services?type=volume").json()["services"]] == [service["id"]]
    assert admin.patch(one, {"service": {"name": "w"}}).json()["service"] == {**service, "name": "w"}
    assert admin.delete(one).status == 204
    assert admin.get(one).status == admin.delete(one).status == 404


def test_an_endpoint_from_beginning_to_end(admin):
    service = made(admin, "services", "service", {"type": "volume"})
    body = {"service_id": service, "interface": "public", "url": "http://v/%(project_id)s", "region": "RegionOne"}
    answer = admin.post(f"{V3}/endpoints", {"endpoint": body})
    assert answer.status == 201
    endpoint = answer.json()["endpoint"]
    assert set(endpoint) == {"id", "service_id", "interface", "url", "region", "region_id", "enabled", "links"}
    one = f"{V3}/endpoints/{endpoint['id']}"
    assert admin.get(one).json()["endpoint"] == endpoint
    assert len(admin.get(f"{V3}/endpoints?service_id={service}").json()["endpoints"]) == 1
    assert len(admin.get(f"{V3}/endpoints?interface=public").json()["endpoints"]) == 6
    assert admin.patch(one, {"endpoint": {"url": "http://w"}}).json()["endpoint"] == {**endpoint, "url": "http://w"}
    assert admin.delete(one).status == 204
    assert admin.get(one).status == 404


def test_the_catalog_follows_at_once(world, admin, demo):
    def types():
        return {entry["type"] for entry in demo.get(f"{V3}/auth/catalog").json()["catalog"] if entry["endpoints"]}

    service = made(admin, "services", "service", {"type": "volume"})
    assert "volume" not in types(), "no endpoint yet"
    made(admin, "endpoints", "endpoint", {"service_id": service, "interface": "public", "url": "http://v"})
    assert "volume" in types()
    admin.patch(f"{V3}/services/{service}", {"service": {"enabled": False}})
    assert "volume" not in types()


@pytest.mark.parametrize(
    ("noun", "body"),
    [
        ("service", {"name": "no type"}),
        ("service", {"type": ""}),
        ("service", {"type": "t", "enabled": "yes"}),
        ("endpoint", {"interface": "public", "url": "http://v"}),
        ("endpoint", {"service_id": "none", "interface": "public", "url": "http://v"}),
        ("endpoint", {"service_id": "SERVICE", "interface": "secret", "url": "http://v"}),
        ("endpoint", {"service_id": "SERVICE", "interface": "public", "url": "no url"}),
        ("endpoint", {"service_id": "SERVICE", "interface": "public", "url": "http://v", "region_id": "none"}),
        ("region", {"id": "x" * 256}),
        ("region", {"id": 5}),
    ],
)
def test_bad_bodies(world, admin, noun, body):
    if body.get("service_id") == "SERVICE":
        (service,) = admin.get(f"{V3}/services?type=compute").json()["services"]
        body = {**body, "service_id": service["id"]}
    before = world.commits()
    assert admin.post(f"{V3}/{noun}s", {noun: body}).status == 400
    assert world.commits() == before


def test_who_may(world, admin, demo):
    assert demo.get(f"{V3}/regions").status == 200
    for noun in ("services", "endpoints"):
        assert demo.get(f"{V3}/{noun}").status == 403
        assert demo.post(f"{V3}/{noun}", {noun[:-1]: {}}).status == 403
    assert demo.post(f"{V3}/regions", {"region": {}}).status == 403
    assert found(admin, "roles", "reader")
