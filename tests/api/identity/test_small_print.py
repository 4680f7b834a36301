"""Details of the reference that clients and outsiders tripped over: catalogs, what points at deleted things, bodies."""

from __future__ import annotations

import pytest
from tests.api.identity.setting import V3, made, own

from gureum.services.identity.catalog.urls import names_of, replaced


def catalog(client):
    return {entry["type"]: entry for entry in client.get(f"{V3}/auth/catalog").json()["catalog"]}


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ("$(project_id)s", "project"),
        ("%(tenant_id)s", "project"),
        ("%(project_id)s", "project"),
        ("$(user_id)s", "user"),
    ],
)
def test_names_in_urls_are_replaced_in_every_catalog(world, admin, demo, form, name):
    service = made(admin, "services", "service", {"type": "volume"})
    body = {"service_id": service, "interface": "public", "url": f"http://v/v3/{form}", "region_id": "RegionOne"}
    endpoint = made(admin, "endpoints", "endpoint", body)
    assert admin.get(f"{V3}/endpoints/{endpoint}").json()["endpoint"]["url"] == body["url"]
    for client in (admin, demo):
        expected = f"http://v/v3/{own(client)[name]['id']}"
        (shown,) = catalog(client)["volume"]["endpoints"]
        assert shown["url"] == expected
        in_token = {entry["type"]: entry for entry in own(client)["catalog"]}["volume"]["endpoints"]
        assert [row["url"] for row in in_token] == [expected]
    given = f"{V3}/OS-EP-FILTER/projects/{own(demo)['project']['id']}/endpoints/{endpoint}"
    assert admin.put(given).status == 204
    assert [row["url"] for row in catalog(demo)["volume"]["endpoints"]] == [f"http://v/v3/{own(demo)[name]['id']}"]
    system = world.client("admin", {"system": {"all": True}})
    assert len(catalog(system)["volume"]["endpoints"]) == (0 if name == "project" else 1)


@pytest.mark.parametrize("url", ["http://v/$(nope)s", "http://v/%(region)s", "http://v/$(project_id", "http://v/%()s"])
def test_a_url_with_a_name_that_nothing_replaces_is_refused(admin, url):
    service = made(admin, "services", "service", {"type": "volume"})
    body = {"service_id": service, "interface": "public", "url": url}
    assert admin.post(f"{V3}/endpoints", {"endpoint": body}).status == 400
    endpoint = made(admin, "endpoints", "endpoint", {**body, "url": "http://v"})
    assert admin.patch(f"{V3}/endpoints/{endpoint}", {"endpoint": {"url": url}}).status == 400
    assert admin.get(f"{V3}/endpoints/{endpoint}").json()["endpoint"]["url"] == "http://v"


def test_urls_without_names_may_hold_percent_signs():
    assert names_of("http://v/100%25/a%20b") == frozenset()
    assert replaced("http://v/100%25/a%20b", {}) == "http://v/100%25/a%20b"
    assert replaced("http://v/$(project_id)s/%(user_id)s", {"project_id": "p", "user_id": "u"}) == "http://v/p/u"
    assert replaced("http://v/$(project_id)s", {"user_id": "u"}) is None


def test_services_without_endpoints_are_in_the_catalog(admin, demo):
    service = made(admin, "services", "service", {"type": "volume", "name": "v"})
    entry = {"id": service, "type": "volume", "name": "v", "endpoints": []}
    assert catalog(demo)["volume"] == entry
    assert admin.patch(f"{V3}/services/{service}", {"service": {"enabled": False}}).status == 200
    assert "volume" not in catalog(demo)


def test_a_deleted_project_is_nobodys_default_project(world, admin):
    domain = world.domain("d")
    projects = [world.project("p"), made(admin, "projects", "project", {"name": "q", "domain_id": domain})]
    users = [
        made(admin, "users", "user", {"name": f"u{n}", "default_project_id": id_}) for n, id_ in enumerate(projects)
    ]

    def default(user):
        return admin.get(f"{V3}/users/{user}").json()["user"].get("default_project_id")

    assert [default(user) for user in users] == projects
    assert admin.delete(f"{V3}/projects/{projects[0]}").status == 204
    assert admin.patch(f"{V3}/domains/{domain}", {"domain": {"enabled": False}}).status == 200
    assert admin.delete(f"{V3}/domains/{domain}").status == 204
    assert [default(user) for user in users] == [None, None]


def test_registered_limits_outlive_their_service_and_region(admin):
    service = made(admin, "services", "service", {"type": "x"})
    region = made(admin, "regions", "region", {})
    body = {"service_id": service, "region_id": region, "resource_name": "r", "default_limit": 1}
    (limit,) = admin.post(f"{V3}/registered_limits", {"registered_limits": [body]}).json()["registered_limits"]
    one = f"{V3}/registered_limits/{limit['id']}"
    assert admin.delete(f"{V3}/services/{service}").status == 204
    assert admin.delete(f"{V3}/regions/{region}").status == 204
    assert admin.get(one).json()["registered_limit"] == limit
    assert admin.delete(one).status == 204


def test_unknown_keys_in_the_roles_of_a_trust_are_refused(world, demo, admin):
    me, project = own(demo)["user"]["id"], own(demo)["project"]["id"]
    trust = {"trustor_user_id": me, "trustee_user_id": own(admin)["user"]["id"], "impersonation": False}
    trust |= {"project_id": project, "roles": [{"name": "member", "domain": "x"}]}
    assert demo.post(f"{V3}/OS-TRUST/trusts", {"trust": trust}).status == 400
    trust["roles"] = [{"name": "member"}]
    assert demo.post(f"{V3}/OS-TRUST/trusts", {"trust": trust}).status == 201


def test_a_domains_role_may_be_granted_on_another_domain_but_on_no_project_of_it(world, admin, demo):
    role = made(admin, "roles", "role", {"name": "own", "domain_id": world.domain("d")})
    user, project = own(demo)["user"]["id"], own(demo)["project"]["id"]
    assert admin.put(f"{V3}/domains/default/users/{user}/roles/{role}").status == 204
    assert admin.put(f"{V3}/projects/{project}/users/{user}/roles/{role}").status == 403


def test_the_type_of_a_credential_changes_unless_it_is_ec2(demo):
    body = {"type": "cert", "blob": "x", "project_id": own(demo)["project"]["id"]}
    one = f"{V3}/credentials/{made(demo, 'credentials', 'credential', body)}"
    answer = demo.patch(one, {"credential": {"type": "other"}})
    assert (answer.status, answer.json()["credential"]["type"]) == (200, "other")
    assert demo.patch(one, {"credential": {"type": "ec2"}}).status == 400
    assert demo.get(one).json()["credential"]["type"] == "other"


def test_a_tag_twice_is_refused(world, admin):
    project = world.project("p")
    assert admin.post(f"{V3}/projects", {"project": {"name": "q", "tags": ["a", "a"]}}).status == 400
    assert admin.post(f"{V3}/domains", {"domain": {"name": "q", "tags": ["a", "a"]}}).status == 400
    assert admin.patch(f"{V3}/projects/{project}", {"project": {"tags": ["a", "b", "a"]}}).status == 400
    assert admin.put(f"{V3}/projects/{project}/tags", {"tags": ["a", "a"]}).status == 400
    assert admin.put(f"{V3}/projects/{project}/tags", {"tags": ["b", "a"]}).json()["tags"] == ["a", "b"]


def test_an_endpoint_group_without_filters_is_of_all_endpoints(admin):
    group = {"name": "g", "filters": {"interface": "public"}}
    one = f"{V3}/OS-EP-FILTER/endpoint_groups/{made(admin, 'OS-EP-FILTER/endpoint_groups', 'endpoint_group', group)}"
    answer = admin.patch(one, {"endpoint_group": {"filters": {}}})
    assert (answer.status, answer.json()["endpoint_group"]["filters"]) == (200, {})
    every = admin.get(f"{V3}/endpoints").json()["endpoints"]
    assert len(admin.get(f"{one}/endpoints").json()["endpoints"]) == len(every) > 0


def test_ec2_keys_are_made_for_whatever_is_shown_as_a_project(admin):
    keys = f"{V3}/users/{own(admin)['user']['id']}/credentials/OS-EC2"
    assert admin.get(f"{V3}/projects/default").status == 200
    assert admin.post(keys, {"tenant_id": "default"}).json()["credential"]["tenant_id"] == "default"


def test_a_domain_keeps_what_only_projects_have_as_a_property_of_its_own(admin):
    body = {"name": "x", "domain_id": "other", "parent_id": None, "id": "chosen", "links": 1, "colour": ["red"]}
    domain = admin.post(f"{V3}/domains", {"domain": body}).json()["domain"]
    assert domain.items() >= {"domain_id": "other", "parent_id": None, "colour": ["red"]}.items()
    assert domain["id"] != "chosen"
    assert "is_domain" not in domain
    assert admin.get(f"{V3}/domains/{domain['id']}").json()["domain"] == domain
    assert domain in admin.get(f"{V3}/domains").json()["domains"]
    assert admin.post(f"{V3}/domains", {"domain": {"name": "y", "parent_id": 5}}).status == 400


def test_only_a_change_of_nothing_else_lifts_immutability(admin):
    project = made(admin, "projects", "project", {"name": "x", "options": {"immutable": True}})
    at = f"{V3}/projects/{project}"
    for options, more, status in (
        ({"immutable": False}, {"colour": "red"}, 403),
        ({"immutable": None}, {"name": "y"}, 403),
        ({}, {}, 403),
        ({"immutable": True}, {}, 403),
        ({"immutable": None}, {}, 200),
        ({}, {"colour": "red"}, 200),
    ):
        assert admin.patch(at, {"project": {"options": options, **more}}).status == status, (options, more)
    assert admin.get(at).json()["project"].items() >= {"options": {}, "colour": "red", "name": "x"}.items()
