"""Unified limits: what is registered, what projects have instead, and the two models."""

from __future__ import annotations

import pytest
from tests.api.identity.setting import V3, bootstrapped, own

from gureum.foundation.quota import NO_UNIFIED_LIMITS, UnifiedLimit, UnifiedLimits
from gureum.services.identity.config import IdentityConfig

REGISTERED = f"{V3}/registered_limits"
LIMITS = f"{V3}/limits"


def service(admin, kind="compute"):
    (one,) = admin.get(f"{V3}/services?type={kind}").json()["services"]
    return one["id"]


def register(admin, name="cores", default=10, **more):
    body = {"service_id": service(admin), "resource_name": name, "default_limit": default, **more}
    answer = admin.post(REGISTERED, {"registered_limits": [body]})
    assert answer.status == 201, answer.content
    return answer.json()["registered_limits"][0]


def ask(admin, limit=20, name="cores", **owner):
    body = {"service_id": service(admin), "resource_name": name, "resource_limit": limit, **owner}
    return admin.post(LIMITS, {"limits": [body]})


def limit(admin, amount=20, **owner):
    answer = ask(admin, amount, **owner)
    assert answer.status == 201, answer.content
    return answer.json()["limits"][0]


def test_registered_limits(world, admin, demo):
    one = register(admin, description="of virtual processors")
    assert set(one) == {"id", "service_id", "region_id", "resource_name", "default_limit", "description", "links"}
    regional = register(admin, default=5, region_id="RegionOne")
    url = f"{REGISTERED}/{one['id']}"
    assert demo.get(url).json()["registered_limit"] == one
    assert {row["id"] for row in demo.get(REGISTERED).json()["registered_limits"]} == {one["id"], regional["id"]}
    (found_,) = demo.get(f"{REGISTERED}?region_id=RegionOne").json()["registered_limits"]
    assert found_ == regional
    changed = admin.patch(url, {"registered_limit": {"default_limit": 11, "resource_name": "vcpus"}})
    assert (changed.json()["registered_limit"]["default_limit"], changed.status) == (11, 200)
    assert admin.delete(url).status == 204
    assert demo.get(url).status == 404
    for client in (demo, world.member("boss", "manager")):
        assert client.post(REGISTERED, {"registered_limits": []}).status in (400, 403)
        assert client.delete(f"{REGISTERED}/{regional['id']}").status == 403


def test_duplicates_and_uses(admin, demo):
    one, other = register(admin), register(admin, "ram")
    body = {"service_id": one["service_id"], "resource_name": "cores", "default_limit": 1}
    assert admin.post(REGISTERED, {"registered_limits": [body]}).status == 409
    change = {"registered_limit": {"resource_name": "cores"}}
    assert admin.patch(f"{REGISTERED}/{other['id']}", change).status == 409
    limit(admin, project_id=own(demo)["project"]["id"])
    assert admin.patch(f"{REGISTERED}/{one['id']}", {"registered_limit": {"resource_name": "x"}}).status == 403
    assert admin.patch(f"{REGISTERED}/{one['id']}", {"registered_limit": {"default_limit": 3}}).status == 200
    assert admin.delete(f"{REGISTERED}/{one['id']}").status == 403
    assert ask(admin, project_id=own(demo)["project"]["id"]).status == 409


def test_limits(world, admin, demo):
    register(admin)
    project = own(demo)["project"]["id"]
    one = limit(admin, project_id=project)
    keys = {"id", "project_id", "domain_id", "service_id", "region_id", "resource_name", "resource_limit"}
    assert set(one) == keys | {"description", "links"}
    assert (one["project_id"], one["domain_id"]) == (project, None)
    of_domain = limit(admin, domain_id="default")
    assert (of_domain["project_id"], of_domain["domain_id"]) == (None, "default")
    url = f"{LIMITS}/{one['id']}"
    changed = admin.patch(url, {"limit": {"resource_limit": -1, "description": "all"}}).json()["limit"]
    assert changed == {**one, "resource_limit": -1, "description": "all"}
    assert {row["id"] for row in admin.get(LIMITS).json()["limits"]} == {one["id"], of_domain["id"]}
    for query, ids in (
        (f"project_id={project}", {one["id"]}),
        ("domain_id=default", {of_domain["id"]}),
        ("project_id=default", set()),
        ("resource_name=ram", set()),
        (f"service_id={service(admin)}&resource_name=cores", {one["id"], of_domain["id"]}),
    ):
        assert {row["id"] for row in admin.get(f"{LIMITS}?{query}").json()["limits"]} == ids
    assert admin.delete(url).status == 204
    assert admin.get(url).status == 404


def test_everyone_sees_its_own_limits(world, admin, demo):
    register(admin)
    project = own(demo)["project"]["id"]
    mine, theirs = limit(admin, project_id=project), limit(admin, project_id=own(admin)["project"]["id"])
    assert [row["id"] for row in demo.get(LIMITS).json()["limits"]] == [mine["id"]]
    assert demo.get(f"{LIMITS}/{mine['id']}").status == 200
    assert demo.get(f"{LIMITS}/{theirs['id']}").status == 403
    assert demo.get(f"{LIMITS}/unknown").status == demo.delete(f"{LIMITS}/unknown").status == 404
    assert demo.patch(f"{LIMITS}/{mine['id']}", {"limit": {"resource_limit": 99}}).status == 403
    assert demo.delete(f"{LIMITS}/{mine['id']}").status == 403
    body = {"service_id": mine["service_id"], "resource_name": "ram", "resource_limit": 5, "project_id": project}
    assert demo.post(LIMITS, {"limits": [body]}).status == 403
    boss = world.domain_user("boss", "default", "manager")
    assert {row["id"] for row in boss.get(LIMITS).json()["limits"]} == {mine["id"], theirs["id"]}


@pytest.mark.parametrize(
    "more",
    [
        {"project_id": "0" * 32},
        {"domain_id": "0" * 32},
        {"project_id": "default"},
        {"project_id": "default", "domain_id": "default"},
        {},
        {"project_id": "DEMO", "name": "unknown"},
        {"project_id": "DEMO", "limit": -2},
        {"project_id": "DEMO", "limit": 2**63},
        {"project_id": "DEMO", "region_id": "RegionOne"},
    ],
)
def test_what_is_no_limit(world, admin, demo, more):
    register(admin)
    if more.get("project_id") == "DEMO":
        more = {**more, "project_id": own(demo)["project"]["id"]}
    before = world.commits()
    assert ask(admin, **more).status == 400
    assert world.commits() == before


def test_the_model(demo):
    model = demo.get(f"{LIMITS}/model").json()["model"]
    assert model["name"] == "flat"
    assert model["description"]
    assert demo.request("HEAD", f"{LIMITS}/model").status == 200


def test_two_strict_levels(database, tmp_path):
    world = bootstrapped(database, tmp_path, IdentityConfig(limit_model="strict_two_level"))
    admin, demo = world.client(), world.client("demo")
    register(admin)
    project = own(demo)["project"]["id"]
    assert demo.get(f"{LIMITS}/model").json()["model"]["name"] == "strict_two_level"
    assert ask(admin, 11, project_id=project).status == 403
    of_domain = limit(admin, 30, domain_id="default")
    mine = limit(admin, 20, project_id=project)
    assert admin.patch(f"{LIMITS}/{mine['id']}", {"limit": {"resource_limit": 31}}).status == 403
    assert admin.patch(f"{LIMITS}/{mine['id']}", {"limit": {"resource_limit": -1}}).status == 403
    assert admin.patch(f"{LIMITS}/{of_domain['id']}", {"limit": {"resource_limit": 19}}).status == 403
    assert admin.patch(f"{LIMITS}/{of_domain['id']}", {"limit": {"resource_limit": 20}}).status == 200
    assert admin.post(f"{V3}/projects", {"project": {"name": "deep", "parent_id": project}}).status == 403


def test_what_other_services_read(world, admin, demo):
    project = own(demo)["project"]["id"]
    assert world.facade.unified.limits("compute", project) == NO_UNIFIED_LIMITS
    register(admin, "cores", 10)
    register(admin, "ram", 100)
    register(admin, "ram", 50, region_id="RegionOne")
    register(admin, "ram", 1, region_id=region(admin, "elsewhere"))
    assert world.facade.unified.limits("compute", project).by_resource["ram"] == UnifiedLimit(50)
    limit(admin, 20, project_id=project)
    cores, ram = UnifiedLimit(10), UnifiedLimit(50)
    mine = UnifiedLimits({"cores": UnifiedLimit(10, 20), "ram": ram})
    assert world.facade.unified.limits("compute", project) == mine
    assert world.facade.unified.limits("compute", "another").by_resource == {"cores": cores, "ram": ram}
    assert (
        world.facade.unified.limits("image", project)
        == world.facade.unified.limits("none", project)
        == NO_UNIFIED_LIMITS
    )
    before = world.database.counters.statements
    assert world.facade.unified.limits("compute", project) == mine
    assert world.database.counters.statements == before


def region(admin, id_):
    assert admin.post(f"{V3}/regions", {"region": {"id": id_}}).status == 201
    return id_


def test_what_is_remembered_ends_with_every_change(world, admin, demo):
    project = own(demo)["project"]["id"]

    def seen():
        return world.facade.unified.limits("compute", project).by_resource

    assert seen() == {}
    one = register(admin)
    assert seen() == {"cores": UnifiedLimit(10)}
    admin.patch(f"{REGISTERED}/{one['id']}", {"registered_limit": {"default_limit": 11}})
    assert seen() == {"cores": UnifiedLimit(11)}
    mine = limit(admin, 20, project_id=project)
    assert seen() == {"cores": UnifiedLimit(11, 20)}
    admin.patch(f"{LIMITS}/{mine['id']}", {"limit": {"resource_limit": 21}})
    assert seen() == {"cores": UnifiedLimit(11, 21)}
    admin.delete(f"{LIMITS}/{mine['id']}")
    assert seen() == {"cores": UnifiedLimit(11)}
    admin.patch(f"{V3}/services/{service(admin)}", {"service": {"type": "other"}})
    assert seen() == {}
    admin.patch(f"{V3}/services/{one['service_id']}", {"service": {"type": "compute"}})
    assert seen() == {"cores": UnifiedLimit(11)}
    admin.delete(f"{REGISTERED}/{one['id']}")
    assert seen() == {}


def test_what_is_read_while_a_limit_changes_is_not_remembered(world, admin, demo, monkeypatch):
    """Another process's change may come between the reading and the remembering."""
    register(admin)
    memory, project = world.facade.unified, own(demo)["project"]["id"]
    whole = memory._concluded

    def interrupted(*arguments):
        found = whole(*arguments)
        limit(admin, 20, project_id=project)
        return found

    monkeypatch.setattr(memory, "_concluded", interrupted)
    assert world.facade.unified.limits("compute", project).by_resource == {"cores": UnifiedLimit(10)}
    monkeypatch.undo()
    assert world.facade.unified.limits("compute", project).by_resource == {"cores": UnifiedLimit(10, 20)}


def test_two_strict_levels_have_a_tree(database, tmp_path):
    world = bootstrapped(database, tmp_path, IdentityConfig(limit_model="strict_two_level"))
    admin = world.client()
    project = own(admin)["project"]["id"]
    register(admin)
    register(admin, "ram", 7)
    limit(admin, 30, domain_id="default")
    limit(admin, 20, project_id=project)
    found = world.facade.unified.limits("compute", project)
    assert found == UnifiedLimits({"cores": UnifiedLimit(10, 20, 30), "ram": UnifiedLimit(7, None, 7)}, "default")
    assert found.tree() == {"cores": 30, "ram": 7}
    assert world.facade.unified.limits("compute", "*") == UnifiedLimits(
        {"cores": UnifiedLimit(10), "ram": UnifiedLimit(7)}
    )


def test_owners_take_their_limits_along(world, admin):
    register(admin)
    project = world.project("p")
    one = limit(admin, project_id=project)
    assert admin.delete(f"{V3}/projects/{project}").status == 204
    assert admin.get(f"{LIMITS}/{one['id']}").status == 404
    assert admin.get(LIMITS).json()["limits"] == []
    assert len(admin.get(REGISTERED).json()["registered_limits"]) == 1
