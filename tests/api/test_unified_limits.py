"""Identity's unified limits as the quotas of compute, network and image: which wins, what is shown, what is refused."""

from __future__ import annotations

import pytest

from gureum.roles.control import build
from gureum.services.identity.config import IdentityConfig
from tests.api.leftovers.furnished import delete_project, new_project
from tests.cloud import ADMIN_PASSWORD, SimulatedCloud

V3, V21, V20, IMAGES = "/identity/v3", "/compute/v2.1", "/network/v2.0", "/image/v2/images"
NEW = {"OpenStack_API_Version": "compute 2.79"}


@pytest.fixture
def cloud(tmp_path):
    cloud = SimulatedCloud(tmp_path)
    yield cloud
    cloud.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def strict(request, tmp_path):
    postgresql = request.param == "postgresql"
    database = request.getfixturevalue("postgresql_server").new_database() if postgresql else ""
    cloud = SimulatedCloud(tmp_path, database=database, identity=IdentityConfig(limit_model="strict_two_level"))
    yield cloud
    cloud.close()


def service(admin, kind):
    return admin.get(f"{V3}/services?type={kind}").json()["services"][0]["id"]


def project(admin, name="demo"):
    return admin.get(f"{V3}/projects?name={name}").json()["projects"][0]["id"]


def register(admin, kind, **defaults):
    """Registered limits; their ids by name."""
    of = service(admin, kind)
    bodies = [{"service_id": of, "resource_name": name, "default_limit": limit} for name, limit in defaults.items()]
    made = admin.post(f"{V3}/registered_limits", {"registered_limits": bodies})
    assert made.status == 201, made.content
    return {one["resource_name"]: one["id"] for one in made.json()["registered_limits"]}


def limit(admin, kind, name, amount, **owner):
    body = {"service_id": service(admin, kind), "resource_name": name, "resource_limit": amount, **owner}
    made = admin.post(f"{V3}/limits", {"limits": [body]})
    assert made.status == 201, made.content
    return made.json()["limits"][0]["id"]


def boot(client, image, **more):
    body = {"server": {"name": "s", "flavorRef": "42", "imageRef": image, "networks": "none", **more}}
    return client.post(f"{V21}/servers", body, **NEW)


def told(answer):
    (fault,) = answer.json().values()
    return fault["message"]


# -- compute -----------------------------------------------------------------------------------------------


def test_which_limit_of_compute_wins(cloud):
    admin, demo = cloud.client(), cloud.client("demo")
    mine = project(admin)
    sets, defaults = f"{V21}/os-quota-sets/{mine}", f"{V21}/os-quota-sets/{mine}/defaults"

    def cores(url=sets):
        return demo.get(url).json()["quota_set"]["cores"]

    assert (cores(), cores(defaults)) == (20, 20)
    registered = register(admin, "compute", **{"class:VCPU": 7, "servers": 3, "server_key_pairs": 1})
    assert (cores(), cores(defaults)) == (7, 7)
    shown = demo.get(f"{V21}/limits").json()["limits"]["absolute"]
    assert [shown[name] for name in ("maxTotalCores", "maxTotalInstances", "maxTotalKeypairs")] == [7, 3, 1]
    default_class = f"{V21}/os-quota-class-sets/default"
    assert admin.get(default_class).json()["quota_class_set"]["cores"] == 7
    assert admin.put(default_class, {"quota_class_set": {"cores": 8}}).status == 200
    assert (cores(), cores(defaults)) == (8, 8)
    of_project = limit(admin, "compute", "class:VCPU", 9, project_id=mine)
    assert (cores(), cores(defaults)) == (9, 8)
    assert admin.put(sets, {"quota_set": {"cores": 10}}).json()["quota_set"]["cores"] == 10
    assert (cores(), cores(defaults)) == (10, 8)
    assert demo.get(f"{sets}/detail").json()["quota_set"]["cores"] == {"limit": 10, "in_use": 0, "reserved": 0}
    assert admin.delete(sets).status == 202
    assert cores() == 9
    assert admin.delete(f"{V3}/limits/{of_project}").status == 204
    assert admin.delete(f"{V3}/registered_limits/{registered['class:VCPU']}").status == 204
    assert cores() == 8


def test_servers_and_what_they_are_made_of_are_counted(cloud):
    admin, demo, image = cloud.client(), cloud.client("demo"), cloud.image()
    ids = register(admin, "compute", servers=1, server_metadata_items=1)
    refused = boot(demo, image, min_count=2)
    assert (refused.status, told(refused)) == (
        403,
        "Quota exceeded for instances: instances: 2 requested, 0 of 1 in use",
    )
    assert boot(demo, image, metadata={"a": "1", "b": "2"}).status == 403
    server = boot(demo, image, metadata={"a": "1"}).json()["server"]["id"]
    assert boot(demo, image).status == 403
    assert demo.post(f"{V21}/servers/{server}/metadata", {"metadata": {"b": "2"}}).status in (403, 409)
    assert admin.patch(f"{V3}/registered_limits/{ids['servers']}", {"registered_limit": {"default_limit": -1}}).json()
    register(admin, "compute", **{"class:VCPU": 1, "class:MEMORY_MB": 1})
    message = told(boot(demo, image))
    assert message.startswith("Quota exceeded for cores, ram: cores: 1 requested, 1 of 1 in use; ram: ")


def gpus(cloud, admin, flavor, amount):
    """The flavor claims so many of a class that every host has ten of."""
    assert admin.request(
        "PUT", "/placement/resource_classes/CUSTOM_GPU", OpenStack_API_Version="placement 1.7"
    ).status in (201, 204)
    for provider in admin.get("/placement/resource_providers").json()["resource_providers"]:
        url = f"/placement/resource_providers/{provider['uuid']}/inventories"
        generation = admin.get(url).json()["resource_provider_generation"]
        body = {"resource_class": "CUSTOM_GPU", "resource_provider_generation": generation, "total": 10}
        assert admin.post(url, body).status == 201
    specs = {"extra_specs": {"resources:CUSTOM_GPU": amount}}
    assert admin.post(f"{V21}/flavors/{flavor}/os-extra_specs", specs).status == 200


def test_other_classes_are_counted_before_and_after_servers_have_a_place(cloud):
    admin, demo, image = cloud.client(), cloud.client("demo"), cloud.image()
    gpus(cloud, admin, "42", "2")
    assert boot(admin, image).status == 202, "nobody registered a limit, and another project's use counts for nothing"
    cloud.settle()
    register(admin, "compute", **{"class:CUSTOM_GPU": 5})
    first = boot(demo, image).json()["server"]["id"]
    refused = boot(demo, image, min_count=2)
    text = "Quota exceeded for class:CUSTOM_GPU: class:CUSTOM_GPU: 4 requested, 2 of 5 in use"
    assert (refused.status, told(refused)) == (403, text)
    cloud.settle()
    assert demo.get(f"{V21}/servers/{first}").json()["server"]["status"] == "ACTIVE"
    assert boot(demo, image).status == 202
    refused = boot(demo, image)
    assert (refused.status, told(refused)) == (403, text.replace("4 requested, 2 of 5", "2 requested, 4 of 5"))
    assert boot(demo, image, flavorRef="1").status == 202, "a flavor that claims none"
    assert demo.delete(f"{V21}/servers/{first}").status == 204
    cloud.settle()
    assert boot(demo, image).status == 202, "what a server held is free when it is gone"
    limit(admin, "compute", "class:CUSTOM_GPU", 6, project_id=project(admin))
    assert boot(demo, image).status == 202, "the project's own limit wins"
    assert boot(demo, image).status == 403


def test_a_server_that_found_no_place_holds_nothing(cloud):
    admin, demo, image = cloud.client(), cloud.client("demo"), cloud.image()
    gpus(cloud, admin, "42", "11")
    register(admin, "compute", **{"class:CUSTOM_GPU": 11})
    failed = boot(demo, image).json()["server"]["id"]
    assert boot(demo, image).status == 403
    cloud.settle()
    assert demo.get(f"{V21}/servers/{failed}").json()["server"]["status"] == "ERROR"
    assert boot(demo, image).status == 202


def test_disk_is_a_class_too(cloud):
    admin, demo, image = cloud.client(), cloud.client("demo"), cloud.image()
    register(admin, "compute", **{"class:DISK_GB": 1})
    assert boot(demo, image, flavorRef="1").status == 202
    refused = boot(demo, image, flavorRef="2")
    text = "Quota exceeded for class:DISK_GB: class:DISK_GB: 20 requested, 1 of 1 in use"
    assert (refused.status, told(refused)) == (403, text)


def test_other_classes_of_a_domain_are_counted_together(strict):
    admin, demo, image = strict.client(), strict.client("demo"), strict.image()
    gpus(strict, admin, "42", "1")
    register(admin, "compute", **{"class:CUSTOM_GPU": 2})
    assert boot(admin, image).status == 202
    strict.settle()
    assert boot(demo, image).status == 202
    refused = boot(demo, image)
    text = "Quota exceeded for class:CUSTOM_GPU: class:CUSTOM_GPU: 1 requested, 2 of 2 in use by all projects of the domain"
    assert (refused.status, told(refused)) == (403, text)


def test_what_a_deleted_project_left_counts_for_its_domain(strict):
    admin, demo, image = strict.client(), strict.client("demo"), strict.image()
    register(admin, "compute", servers=2)
    gone = new_project(strict, "gone")
    assert boot(strict.client("admin", "gone", ADMIN_PASSWORD), image).status == 202
    strict.settle()
    delete_project(strict, gone)
    assert boot(demo, image).status == 202
    refused = boot(demo, image)
    assert (refused.status, "2 of 2 in use by all projects of the domain" in told(refused)) == (403, True)
    deleted = strict.control.deleted_projects
    assert strict.control.database.write(lambda tx: deleted.begin_cleaning(tx, gone))
    strict.settle()
    assert boot(demo, image).status == 202, "what is cleaned counts no more"


@pytest.mark.parametrize(
    ("name", "amount"),
    [("VCPU", "0"), ("DISK_GB", "1"), ("custom_gpu", "1"), ("", "1"), ("CUSTOM_GPU", "-1"), ("CUSTOM_GPU", "1.5"), ("CUSTOM_GPU", "2147483648"), ("CUSTOM_GPU", "٣")],
)  # fmt: skip
def test_a_claim_that_makes_no_sense_is_refused_where_it_is_written(cloud, name, amount):
    specs = {"extra_specs": {f"resources:{name}": amount}}
    assert cloud.client().post(f"{V21}/flavors/1/os-extra_specs", specs).status == 400


def test_groups_members_and_key_pairs_are_counted(cloud):
    admin, demo, image = cloud.client(), cloud.client("demo"), cloud.image()
    register(admin, "compute", server_key_pairs=1, server_groups=1, server_group_members=1)
    for name, status in (("a", 200), ("b", 403)):
        assert demo.post(f"{V21}/os-keypairs", {"keypair": {"name": name}}).status == status
    body = {"server_group": {"name": "g", "policies": ["affinity"]}}
    group = demo.post(f"{V21}/os-server-groups", body).json()["server_group"]["id"]
    refused = demo.post(f"{V21}/os-server-groups", body)
    assert (refused.status, told(refused)) == (
        403,
        "Quota exceeded, too many server groups (server_groups: 1 requested, 1 of 1 in use).",
    )
    hints = {"os:scheduler_hints": {"group": group}}
    one = {"server": {"name": "s", "flavorRef": "42", "imageRef": image, "networks": "none"}, **hints}
    assert demo.post(f"{V21}/servers", one, **NEW).status == 202
    assert demo.post(f"{V21}/servers", one, **NEW).status == 403


# -- network -----------------------------------------------------------------------------------------------


def test_which_limit_of_network_wins(cloud):
    admin, demo = cloud.client(), cloud.client("demo")
    mine = project(admin)
    quotas = f"{V20}/quotas/{mine}"

    def networks(url=quotas):
        return demo.get(url).json()["quota"]["network"]

    assert (networks(), networks(f"{quotas}/default")) == (100, 100)
    register(admin, "network", network=1, port=2, floatingip=0)
    assert (networks(), networks(f"{quotas}/default")) == (1, 1)
    assert demo.post(f"{V20}/networks", {"network": {"name": "n"}}).status == 201
    refused = demo.post(f"{V20}/networks", {"network": {"name": "n"}})
    assert (refused.status, refused.json()["NeutronError"]["type"], told(refused)) == (
        409,
        "OverQuota",
        "Quota exceeded for resources: network: 1 requested, 1 of 1 in use.",
    )
    limit(admin, "network", "network", 2, project_id=mine)
    assert (networks(), networks(f"{quotas}/default")) == (2, 1)
    assert demo.post(f"{V20}/networks", {"network": {"name": "n"}}).status == 201
    assert demo.post(f"{V20}/networks", {"network": {"name": "n"}}).status == 409
    assert admin.put(quotas, {"quota": {"network": 3}}).json()["quota"]["network"] == 3
    assert demo.get(f"{quotas}/details").json()["quota"]["network"] == {"limit": 3, "used": 2, "reserved": 0}
    assert demo.post(f"{V20}/networks", {"network": {"name": "n"}}).status == 201
    assert admin.delete(quotas).status == 204
    assert networks() == 2
    public = admin.get(f"{V20}/networks?name=public").json()["networks"][0]["id"]
    assert demo.post(f"{V20}/floatingips", {"floatingip": {"floating_network_id": public}}).status == 409


def test_a_servers_port_is_counted_too(cloud):
    admin, demo, image = cloud.client(), cloud.client("demo"), cloud.image()
    network = cloud.network(demo)  # with a port of its own, that of DHCP
    register(admin, "network", port=2)
    assert boot(demo, image, networks=[{"uuid": network}]).status == 202
    refused = boot(demo, image, networks=[{"uuid": network}])
    assert (refused.status, told(refused)) == (
        403,
        "Maximum number of ports exceeded (port: 1 requested, 2 of 2 in use).",
    )


# -- over processes, and what it costs ---------------------------------------------------------------------


def test_another_process_follows_a_change(cloud):
    admin, demo = cloud.client(), cloud.client("demo")
    other = build(cloud.config)
    there = demo.with_headers()
    there.app = other.app
    (follow,) = other.mounted["identity"].api_periodic
    url = f"{V21}/os-quota-sets/{project(admin)}"
    follow.work()
    ids = register(admin, "compute", servers=3)
    follow.work()
    assert there.get(url).json()["quota_set"]["instances"] == 3
    admin.patch(f"{V3}/registered_limits/{ids['servers']}", {"registered_limit": {"default_limit": 4}})
    assert there.get(url).json()["quota_set"]["instances"] == 3
    follow.work()
    assert there.get(url).json()["quota_set"]["instances"] == 4
    assert demo.get(url).json()["quota_set"]["instances"] == 4
    other.close()


def statements_of(cloud, client, image, network):
    """Of one POST /servers with a port, when everything that is remembered is."""
    before = 0
    for _ in range(2):
        before = cloud.control.database.counters.statements
        assert boot(client, image, networks=[{"uuid": network}]).status == 202
    return cloud.control.database.counters.statements - before


@pytest.mark.parametrize("model", ["flat", "strict_two_level"])
def test_unified_limits_cost_a_server_no_statement(tmp_path, model):
    cloud = SimulatedCloud(tmp_path, identity=IdentityConfig(limit_model=model))
    admin, demo, image = cloud.client(), cloud.client("demo"), cloud.image()
    network = cloud.network(demo)
    without = statements_of(cloud, demo, image, network)
    register(admin, "compute", **{"servers": 10, "class:VCPU": 10, "class:MEMORY_MB": 51200})
    register(admin, "network", port=10)
    limit(admin, "network", "port", 9, project_id=project(admin))
    assert statements_of(cloud, demo, image, network) == without
    cloud.close()


# -- two strict levels -------------------------------------------------------------------------------------


@pytest.fixture
def family(strict):
    """A cloud with the projects `demo` and `admin` of one domain, and one project of another domain."""
    admin = strict.client()
    domain = admin.post(f"{V3}/domains", {"domain": {"name": "other"}}).json()["domain"]["id"]
    body = {"project": {"name": "far", "domain_id": domain}}
    far = admin.post(f"{V3}/projects", body).json()["project"]["id"]
    roles = {one["name"]: one["id"] for one in admin.get(f"{V3}/roles").json()["roles"]}
    user = admin.get(f"{V3}/users?name=admin").json()["users"][0]["id"]
    assert admin.put(f"{V3}/projects/{far}/users/{user}/roles/{roles['admin']}").status == 204
    who = {"user": {"id": user, "password": "admin-secret"}}
    identity = {"methods": ["password"], "password": who}
    body = {"auth": {"identity": identity, "scope": {"project": {"id": far}}}}
    token = admin.post(f"{V3}/auth/tokens", body).headers["x-subject-token"]
    return strict, admin, strict.client("demo"), admin.with_headers(X_Auth_Token=token)


def test_a_domains_projects_together_stay_within_its_limit(family):
    cloud, admin, demo, far = family
    image = cloud.image()
    register(admin, "compute", servers=2, server_groups=1)
    limit(admin, "compute", "servers", 3, domain_id="default")
    limit(admin, "compute", "servers", 3, project_id=project(admin))
    assert boot(admin, image).status == 202
    assert boot(demo, image, min_count=2).status == 202
    refused = boot(demo, image)
    assert (refused.status, told(refused)) == (
        403,
        "Quota exceeded for instances: instances: 1 requested, 3 of 3 in use by all projects of the domain",
    )
    assert boot(admin, image).status == 403
    assert boot(far, image, min_count=2).status == 202
    assert "2 of 2 in use; " in told(boot(far, image))
    body = {"server_group": {"name": "g", "policies": ["affinity"]}}
    assert admin.post(f"{V21}/os-server-groups", body).status == 200
    assert "1 of 1 in use by all projects of the domain" in told(demo.post(f"{V21}/os-server-groups", body))
    assert far.post(f"{V21}/os-server-groups", body).status == 200


def test_a_quota_of_ones_own_does_not_lift_the_trees_limit(family):
    cloud, admin, demo, _ = family
    image = cloud.image()
    register(admin, "compute", servers=1)
    sets = f"{V21}/os-quota-sets/{project(admin)}"
    assert admin.put(sets, {"quota_set": {"instances": 10}}).status == 200
    assert boot(admin, image).status == 202
    refused = boot(demo, image)
    assert refused.status == 403
    assert "1 of 1 in use by all projects of the domain" in told(refused)
    assert demo.get(f"{sets}/detail").json()["quota_set"]["instances"] == {"limit": 10, "in_use": 0, "reserved": 0}


def test_networks_and_images_are_counted_over_a_tree(family):
    cloud, admin, demo, far = family
    cloud.image()
    register(admin, "network", router=1)
    register(admin, "image", image_count_total=2)
    for client, status in ((demo, 201), (demo, 409), (admin, 409), (far, 201)):
        answer = client.post(f"{V20}/routers", {"router": {"name": "r"}})
        assert answer.status == status, answer.content
    assert "1 of 1 in use by all projects of the domain" in told(admin.post(f"{V20}/routers", {"router": {}}))
    assert demo.post(IMAGES, {"name": "i"}).status == 201
    refused = demo.post(IMAGES, {"name": "i"})
    assert refused.status == 413
    assert (
        "Domain default with all its projects is over a limit for [image_count_total]: limit 2, current usage 2"
        in (refused.json()["message"])
    )
    assert far.post(IMAGES, {"name": "i"}).status == 201
