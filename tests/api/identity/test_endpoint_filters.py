"""Endpoint groups, what projects are given of the catalog, and policies at endpoints."""

from __future__ import annotations

import pytest
from tests.api.identity.setting import V3, made, own

FILTER = f"{V3}/OS-EP-FILTER"
GROUPS = f"{FILTER}/endpoint_groups"


def endpoints(admin, query=""):
    return admin.get(f"{V3}/endpoints{query}").json()["endpoints"]


def group(admin, name="g", **filters):
    body = {"name": name, "description": "some", "filters": filters or {"interface": "public"}}
    answer = admin.post(GROUPS, {"endpoint_group": body})
    assert answer.status == 201, answer.content
    return answer.json()["endpoint_group"]


def seen(client):
    """The ids of the endpoints in the client's catalog, in its token and as it asks for it."""
    asked = {e["id"] for s in client.get(f"{V3}/auth/catalog").json()["catalog"] for e in s["endpoints"]}
    assert {e["id"] for s in own(client)["catalog"] for e in s["endpoints"]} == asked
    return asked


def test_groups(admin, demo):
    one = group(admin)
    assert set(one) == {"id", "name", "description", "filters", "links"}
    assert one["links"]["self"].endswith(f"/v3/OS-EP-FILTER/endpoint_groups/{one['id']}")
    url = f"{GROUPS}/{one['id']}"
    assert admin.get(url).json()["endpoint_group"] == one
    assert admin.request("HEAD", url).status == 200
    assert admin.get(GROUPS).json()["endpoint_groups"] == [one]
    changed = admin.patch(url, {"endpoint_group": {"filters": {"interface": "admin"}, "name": "h"}})
    assert changed.json()["endpoint_group"] == {**one, "filters": {"interface": "admin"}, "name": "h"}
    listed = admin.get(f"{url}/endpoints").json()["endpoints"]
    assert listed == [row for row in endpoints(admin) if row["interface"] == "admin"]
    assert demo.get(GROUPS).status == demo.delete(url).status == 403
    assert admin.delete(url).status == 204
    assert admin.get(url).status == 404


@pytest.mark.parametrize(
    "body",
    [
        {"name": "g"},
        {"name": "g", "filters": {"interface": "secret"}},
        {"name": "g", "filters": {"url": "x"}},
        {"name": "", "filters": {"interface": "public"}},
        {"filters": {"interface": "public"}},
    ],
)
def test_what_is_no_group(world, admin, body):
    before = world.commits()
    assert admin.post(GROUPS, {"endpoint_group": body}).status == 400
    assert world.commits() == before


def test_names_are_unique(admin):
    group(admin)
    other = group(admin, "other")
    assert admin.post(GROUPS, {"endpoint_group": {"name": "g", "filters": {"interface": "admin"}}}).status == 409
    assert admin.patch(f"{GROUPS}/{other['id']}", {"endpoint_group": {"name": "g"}}).status == 409


def test_a_project_sees_what_it_is_given(world, admin, demo):
    everything = {row["id"] for row in endpoints(admin)}
    project = own(demo)["project"]["id"]
    one = endpoints(admin)[0]["id"]
    gift = f"{FILTER}/projects/{project}/endpoints/{one}"
    assert seen(demo) == everything
    assert admin.put(gift).status == 204
    assert admin.put(gift).status == 204
    assert seen(demo) == {one}
    assert seen(admin) == everything
    assert admin.get(gift).status == admin.request("HEAD", gift).status == 204
    public = group(admin)
    of_group = f"{GROUPS}/{public['id']}/projects/{project}"
    assert admin.get(of_group).status == 404
    assert admin.put(of_group).status == 204
    assert admin.get(of_group).json()["project"]["id"] == project
    wanted = {row["id"] for row in endpoints(admin, "?interface=public")} | {one}
    assert seen(demo) == wanted
    listed = admin.get(f"{FILTER}/projects/{project}/endpoints").json()["endpoints"]
    assert {row["id"] for row in listed} == wanted
    assert [row["id"] for row in admin.get(f"{FILTER}/endpoints/{one}/projects").json()["projects"]] == [project]
    assert [r["id"] for r in admin.get(f"{GROUPS}/{public['id']}/projects").json()["projects"]] == [project]
    assert admin.get(f"{FILTER}/projects/{project}/endpoint_groups").json()["endpoint_groups"] == [public]
    assert admin.delete(gift).status == admin.delete(of_group).status == 204
    assert admin.delete(gift).status == admin.get(gift).status == 404
    assert seen(demo) == everything


def test_a_group_that_changes_or_goes_is_followed_at_once(admin, demo):
    project = own(demo)["project"]["id"]
    one = group(admin, interface="public", region_id="RegionOne")
    assert admin.put(f"{GROUPS}/{one['id']}/projects/{project}").status == 204
    assert seen(demo) == {row["id"] for row in endpoints(admin, "?interface=public")}
    assert admin.patch(f"{GROUPS}/{one['id']}", {"endpoint_group": {"filters": {"region_id": "none"}}}).status == 200
    assert seen(demo) == set()
    assert admin.delete(f"{GROUPS}/{one['id']}").status == 204
    assert len(seen(demo)) == len(endpoints(admin))


def test_policies_at_endpoints(world, admin, demo):
    for region, parent in (("north", None), ("far-north", "north")):
        body = {"id": region, "parent_region_id": parent}
        assert admin.post(f"{V3}/regions", {"region": body}).status == 201
    service = made(admin, "services", "service", {"type": "dns"})
    body = {"service_id": service, "interface": "public", "url": "http://dns", "region_id": "far-north"}
    endpoint = made(admin, "endpoints", "endpoint", body)
    policies = [made(admin, "policies", "policy", {"blob": "{}", "type": "text"}) for _ in range(4)]
    of_endpoint = f"{V3}/endpoints/{endpoint}/OS-ENDPOINT-POLICY/policy"
    assert admin.get(of_endpoint).status == 404

    def at(policy, path):
        return f"{V3}/policies/{policy}/OS-ENDPOINT-POLICY/{path}"

    paths = [
        f"services/{service}",
        f"services/{service}/regions/north",
        f"services/{service}/regions/far-north",
        f"endpoints/{endpoint}",
    ]
    for policy, path in zip(policies, paths, strict=True):
        assert admin.get(at(policy, path)).status == 404
        assert admin.put(at(policy, path)).status == 204
        assert admin.get(at(policy, path)).status == admin.request("HEAD", at(policy, path)).status == 204
        assert admin.get(of_endpoint).json()["policy"]["id"] == policy
        assert [row["id"] for row in admin.get(at(policy, "endpoints")).json()["endpoints"]] == [endpoint]
    assert admin.get(at(policies[0], "endpoints")).json()["endpoints"] == []
    for policy, path in list(zip(policies, paths, strict=True))[:0:-1]:
        assert admin.delete(at(policy, path)).status == 204
        assert admin.delete(at(policy, path)).status == 404
    assert admin.get(of_endpoint).json()["policy"]["id"] == policies[0]
    assert admin.put(at(policies[1], paths[0])).status == 204
    assert admin.get(at(policies[0], paths[0])).status == 404
    assert admin.delete(f"{V3}/policies/{policies[1]}").status == 204
    assert admin.get(of_endpoint).status == 404
    assert admin.put(at("0" * 32, paths[0])).status == admin.put(at(policies[0], "services/none")).status == 404
    assert demo.put(at(policies[0], paths[0])).status == demo.get(of_endpoint).status == 403
