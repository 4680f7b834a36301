"""Tempest's closed schemas as judges of compute's answers at every microversion that changed them."""

from __future__ import annotations

import importlib
import warnings

import pytest
from tests.api.compute.setting import P1, at, build

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    jsonschema = pytest.importorskip("jsonschema")
    pytest.importorskip("tempest")
    judge = importlib.import_module("tempest.lib.common.jsonschema_validator")

V21 = "/compute/v2.1"
SEEN = ("2.1", "2.3", "2.11", "2.13", "2.26", "2.28", "2.33", "2.36", "2.39", "2.41", "2.47", "2.50", "2.51", "2.53")
SEEN += ("2.55", "2.57", "2.58", "2.61", "2.62", "2.64", "2.70", "2.75", "2.84", "2.87", "2.88", "2.96")


def schema(noun, name, version):
    """The newest schema of Tempest at or below `version`."""
    wanted = tuple(int(part) for part in version.split("."))
    for minor in range(wanted[1], 0, -1):
        try:
            module = importlib.import_module(f"tempest.lib.api_schema.response.compute.v2_{minor}.{noun}")
        except ModuleNotFoundError:
            continue
        if hasattr(module, name):
            return getattr(module, name)
    raise AssertionError(f"Tempest has no schema {noun}.{name}")


def check(answer, noun, name, version):
    wanted = schema(noun, name, version)
    assert answer.status in wanted["status_code"], answer.content
    if "response_body" in wanted:
        validator = judge.JSONSCHEMA_VALIDATOR(wanted["response_body"], format_checker=judge.FORMAT_CHECKER)
        faults = [f"{list(fault.path)}: {fault.message[:300]}" for fault in validator.iter_errors(answer.json())]
        assert not faults, faults
    else:
        assert answer.content == b""


@pytest.fixture
def world(database, tmp_path):
    return build(database, tmp_path)


READS = (
    ("flavors", "list_flavors", "/flavors"),
    ("flavors", "list_flavors_details", "/flavors/detail"),
    ("flavors", "create_update_get_flavor_details", "/flavors/1"),
    ("flavors_extra_specs", "set_get_flavor_extra_specs", "/flavors/1/os-extra_specs"),
    ("limits", "get_limit", "/limits"),
    ("quotas", "get_quota_set", f"/os-quota-sets/{P1}"),
    ("quotas", "get_quota_set", f"/os-quota-sets/{P1}/defaults"),
    ("quotas", "get_quota_set_details", f"/os-quota-sets/{P1}/detail"),
    ("quota_classes", "get_quota_class_set", "/os-quota-class-sets/default"),
    ("availability_zone", "list_availability_zone_list", "/os-availability-zone"),
    ("availability_zone", "list_availability_zone_list_detail", "/os-availability-zone/detail"),
    ("hypervisors", "list_search_hypervisors", "/os-hypervisors"),
    ("services", "list_services", "/os-services"),
    ("aggregates", "list_aggregates", "/os-aggregates"),
    ("server_groups", "list_server_groups", "/os-server-groups?all_projects=1"),
    ("tenant_usages", "list_tenant_usage", "/os-simple-tenant-usage?detailed=1"),
    ("tenant_usages", "get_tenant_usage", f"/os-simple-tenant-usage/{P1}"),
    ("extensions", "list_extensions", "/extensions"),
)


@pytest.mark.parametrize("version", SEEN)
def test_lists_and_single_resources(world, version):
    world.hosts("h1", "h2")
    server = world.server(host="h1")
    world.action(server, "req-1")
    root, alice = world.as_("root"), world.as_("alice")
    old = tuple(map(int, version.split("."))) < (2, 64)
    group = {"name": "g", "policies": ["affinity"]} if old else {"name": "g", "policy": "affinity"}
    made = alice.post(f"{V21}/os-server-groups", {"server_group": group}, **at(version))
    check(made, "server_groups", "create_show_server_group", version)
    new = root.post(f"{V21}/os-aggregates", {"aggregate": {"name": "a"}}, **at(version))
    check(new, "aggregates", "create_aggregate", version)
    for noun, name, path in READS:
        check(root.get(V21 + path, **at(version)), noun, name, version)
    check(
        alice.get(f"{V21}/servers/{server}/os-instance-actions", **at(version)),
        "servers",
        "list_instance_actions",
        version,
    )
    for who in (alice, root):
        shown = who.get(f"{V21}/servers/{server}/os-instance-actions/req-1", **at(version))
        check(shown, "servers", "show_instance_action", version)
    if tuple(map(int, version.split("."))) < (2, 88):
        check(
            root.get(f"{V21}/os-hypervisors/detail", **at(version)), "hypervisors", "list_hypervisors_detail", version
        )
        one = root.get(f"{V21}/os-hypervisors", **at(version)).json()["hypervisors"][0]["id"]
        check(root.get(f"{V21}/os-hypervisors/{one}", **at(version)), "hypervisors", "get_hypervisor", version)
        total = root.get(f"{V21}/os-hypervisors/statistics", **at(version))
        check(total, "hypervisors", "get_hypervisor_statistics", version)


def test_changes_by_operators(world):
    world.hosts("h1")
    root = world.as_("root")
    put = root.put
    url = f"{V21}/os-services"
    who = {"host": "h1", "binary": "nova-compute"}
    check(put(f"{url}/disable", who), "services", "enable_disable_service", "2.1")
    check(put(f"{url}/enable", who), "services", "enable_disable_service", "2.1")
    check(put(f"{url}/disable-log-reason", {**who, "disabled_reason": "x"}), "services", "disable_log_reason", "2.1")
    forced = put(f"{url}/force-down", {**who, "forced_down": True}, **at("2.11"))
    check(forced, "services", "update_forced_down", "2.11")
    service = root.get(url, **at("2.53")).json()["services"][0]["id"]
    check(put(f"{url}/{service}", {"status": "enabled"}, **at("2.53")), "services", "update_service", "2.53")
    new = {"quota_set": {"cores": 5, "force": True}}
    for version in ("2.1", "2.36", "2.57"):
        check(put(f"{V21}/os-quota-sets/{P1}", new, **at(version)), "quotas", "update_quota_set", version)
    check(root.delete(f"{V21}/os-quota-sets/{P1}"), "quotas", "delete_quota", "2.1")
    for version in ("2.1", "2.50", "2.57"):
        answer = put(f"{V21}/os-quota-class-sets/default", {"quota_class_set": {"cores": 7}}, **at(version))
        check(answer, "quota_classes", "update_quota_class_set", version)
    made = root.post(f"{V21}/os-aggregates", {"aggregate": {"name": "a"}}).json()["aggregate"]["id"]
    one = f"{V21}/os-aggregates/{made}"
    check(put(one, {"aggregate": {"availability_zone": "z"}}), "aggregates", "update_aggregate", "2.1")
    for body in (
        {"add_host": {"host": "h1"}},
        {"set_metadata": {"metadata": {"k": "v"}}},
        {"remove_host": {"host": "h1"}},
    ):
        check(root.post(f"{one}/action", body), "aggregates", "get_aggregate", "2.1")
    check(root.delete(one), "aggregates", "delete_aggregate", "2.1")


def test_a_servers_documents(world):
    alice = world.as_("alice")
    one = f"{V21}/servers/{world.server()}"
    body = {"metadata": {"a": "b"}}
    check(alice.post(f"{one}/metadata", body), "servers", "update_server_metadata", "2.1")
    check(alice.put(f"{one}/metadata", body), "servers", "set_server_metadata", "2.1")
    check(alice.get(f"{one}/metadata"), "servers", "list_server_metadata", "2.1")
    check(alice.get(f"{one}/metadata/a"), "servers", "set_show_server_metadata_item", "2.1")
    check(alice.put(f"{one}/metadata/a", {"meta": {"a": "c"}}), "servers", "set_show_server_metadata_item", "2.1")
    check(alice.delete(f"{one}/metadata/a"), "servers", "delete_server_metadata_item", "2.1")
    tags = at("2.26")
    check(alice.put(f"{one}/tags", {"tags": ["x"]}, **tags), "servers", "update_all_tags", "2.26")
    check(alice.get(f"{one}/tags", **tags), "servers", "list_tags", "2.26")
    for _ in range(2):
        put = alice.put(f"{one}/tags/y", **tags)
        check(put, "servers", "update_tag", "2.26") if put.content else None
        assert put.headers["location"].endswith("/tags/y")
    check(alice.get(f"{one}/tags/y", **tags), "servers", "check_tag_existence", "2.26")
    check(alice.delete(f"{one}/tags/y", **tags), "servers", "delete_tag", "2.26")
    check(alice.delete(f"{one}/tags", **tags), "servers", "delete_all_tags", "2.26")


def test_version_documents(world):
    anyone = world.as_("nobody")
    check(anyone.get("/compute"), "versions", "list_versions", "2.1")
    check(anyone.get("/compute/"), "versions", "list_versions", "2.1")
    check(anyone.get("/compute/v2.1"), "versions", "get_one_version", "2.1")
