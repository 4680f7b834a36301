"""A sixth service is its folder and one line: tests/sixth_service/notices, the worked example of docs/develop."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest

from gureum.foundation import clock
from gureum.foundation.config import ConfigError, ServicesConfig, load
from gureum.foundation.http.openapi import document
from gureum.foundation.tasks.engine import Hooks, WorkerDied
from gureum.roles.assembly import Catalogue
from gureum.roles.catalogue import SERVICES
from gureum.roles.control import build
from tests.cloud import SimulatedCloud, config

LINE = "tests.sixth_service.notices"
SIX = Catalogue((*SERVICES, LINE))
CLONE = Path(__file__).resolve().parents[2]
WITH_NOTICES = ServicesConfig("core", ["notices"])


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/cloud.sqlite"
    return request.getfixturevalue("postgresql_server").new_database()


@pytest.fixture
def cloud(url, tmp_path):
    cloud = SimulatedCloud(tmp_path, database=url, more={"catalogue": SIX}, services=WITH_NOTICES)
    yield cloud
    cloud.close()


def test_the_new_service_answers_and_enforces_its_rules(cloud):
    admin, demo = cloud.client(), cloud.client("demo")
    notice = admin.post("/notices/v1/notices", {"notice": {"title": "window", "text": "tonight"}})
    assert notice.status == 201, notice.content
    assert demo.post("/notices/v1/notices", {"notice": {"title": "mine"}}).status == 403
    assert [one["title"] for one in demo.get("/notices/v1/notices").json()["notices"]] == ["window"]
    assert demo.delete(f"/notices/v1/notices/{notice.json()['notice']['id']}").status == 403
    assert admin.post("/notices/v1/notices", {"notice": {"title": "x", "colour": "red"}}).status == 400
    assert admin.post("/notices/v1/notices", {"notice": {"title": "x", "project_id": "nobody"}}).status == 400
    assert admin.delete(f"/notices/v1/notices/{notice.json()['notice']['id']}").status == 204
    assert demo.get("/notices/v1/notices").json() == {"notices": []}


def test_a_field_is_there_from_its_version_on(cloud):
    old, new = cloud.client(), cloud.client().with_headers(OpenStack_API_Version="notices 1.1")
    warning = {"notice": {"title": "window", "level": "warning"}}
    assert b"unknown field `level` - at `notice`" in old.post("/notices/v1/notices", warning).content
    assert new.post("/notices/v1/notices", warning).json()["notice"]["level"] == "warning"
    assert old.post("/notices/v1/notices", {"notice": {"title": "later"}}).status == 201
    assert [notice["level"] for notice in new.get("/notices/v1/notices").json()["notices"]] == [
        "warning",
        "information",
    ]
    assert all("level" not in notice for notice in old.get("/notices/v1/notices").json()["notices"])
    assert new.get("/notices/v1/notices?limit=1").json()["notices_links"][0]["rel"] == "next"


def test_its_quotas_are_those_that_it_declares_and_follow_unified_limits(cloud):
    admin = cloud.client()
    project = admin.get("/identity/v3/projects?name=demo").json()["projects"][0]["id"]
    service = admin.get("/identity/v3/services?type=notices").json()["services"][0]["id"]
    limit = {"service_id": service, "resource_name": "notices", "default_limit": 1}
    assert admin.post("/identity/v3/registered_limits", {"registered_limits": [limit]}).status == 201

    def tell(**whom):
        return admin.post("/notices/v1/notices", {"notice": {"title": "window", **whom}})

    assert tell(project_id=project).status == 201
    refused = tell(project_id=project)
    assert refused.status == 403
    assert "notices: 1 requested, 1 of 1 in use" in refused.content.decode()
    assert tell().status == 201, "one for all is no project's"


def test_clients_find_it_in_the_catalog(cloud):
    types = {
        entry["type"]: entry["endpoints"] for entry in cloud.client().get("/identity/v3/auth/catalog").json()["catalog"]
    }
    assert types["notices"][0]["url"].endswith("/notices")


def test_its_document_has_its_bodies_and_its_answers(cloud):
    (api,) = cloud.control.mounted["notices"].apis
    whole = document(api, {rule.name: rule.description for rule in SIX.service("notices").rules})
    create = whole["paths"]["/v1/notices"]["post"]
    assert create["summary"] == "Tell a project, or all of them"
    body = create["requestBody"]["content"]["application/json"]["schema"]
    assert body["properties"] == {"notice": {"$ref": "#/components/schemas/NewNotice"}}
    assert [variant["since"] for variant in create["x-openstack-variants"]] == ["1.0", "1.1"]
    shown = create["responses"]["201"]["content"]["application/json"]["schema"]
    newest = cloud.client().with_headers(OpenStack_API_Version="notices 1.1")
    made = newest.post("/notices/v1/notices", {"notice": {"title": "window"}}).json()
    jsonschema.validate(made, {**shown, "components": whole["components"]})
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"notice": {"id": 1}}, {**shown, "components": whole["components"]})


def test_its_options_are_read_and_checked(tmp_path):
    file = tmp_path / "gureum.toml"
    file.write_text('[services]\nenabled = ["notices"]\n[notices]\nmost = 3\n')
    SIX.check(load(file))
    file.write_text('[services]\nenabled = ["notices"]\n[notices]\nleast = 3\n')
    with pytest.raises(ConfigError, match=r"\[notices\] has no option 'least'; there are most"):
        SIX.check(load(file))
    file.write_text('[services]\nenabled = ["notices"]\n[notices]\nmost = "many"\n')
    with pytest.raises(ConfigError, match=r"\$\.notices\.most"):
        SIX.check(load(file))


def test_what_a_disabled_service_reads_may_stay_in_the_file(tmp_path):
    file = tmp_path / "gureum.toml"
    file.write_text("[notices]\nmost = 3\n")
    assert "notices" not in [service.name for service in SIX.check(load(file))]
    file.write_text("[nothing]\nmost = 3\n")
    with pytest.raises(ConfigError, match=r"there is no section \[nothing\]"):
        SIX.check(load(file))


def test_nothing_of_the_other_services_changes(url, tmp_path):
    """The same routes, rules, dialects and tables, with and without it."""

    def shape(control):
        apis = [api for api in control.app.apis if api.name != "notices"]
        routes = {api.name: [(route.method, route.path, route.policy) for route in api.routes] for api in apis}
        rules = [rule for service in control.services if service.name != "notices" for rule in service.rules]
        return routes, rules, {table.name for table in control.schema.tables} - {"notices"}

    plain = build(config(tmp_path, database=url))
    wider = build(config(tmp_path, database=url, services=WITH_NOTICES), catalogue=SIX)
    try:
        assert shape(plain) == shape(wider)
        assert "notices" not in {table.name for table in plain.schema.tables}
    finally:
        plain.close()
        wider.close()


def test_what_it_holds_of_a_deleted_project_is_listed_and_cleaned(cloud):
    admin, deleted = cloud.client(), cloud.control.deleted_projects
    project = admin.post("/identity/v3/projects", {"project": {"name": "short"}}).json()["project"]["id"]
    for notice in ({"title": "theirs", "project_id": project}, {"title": "everybody's"}):
        assert admin.post("/notices/v1/notices", {"notice": notice}).status == 201
    assert admin.delete(f"/identity/v3/projects/{project}").status == 204
    cloud.settle()
    with cloud.control.database.read() as tx:
        assert [one.left for one in deleted.all(tx)] == [{"notices": {"notices": 1}}]
    cloud.control.database.write(lambda tx: deleted.begin_cleaning(tx, project))
    cloud.settle()
    with cloud.control.database.read() as tx:
        assert deleted.all(tx) == []
    assert [one["title"] for one in admin.get("/notices/v1/notices").json()["notices"]] == ["everybody's"]


def catalog_of(client):
    return {entry["type"] for entry in client.get("/identity/v3/auth/catalog").json()["catalog"]}


def test_its_catalog_entry_goes_while_it_is_disabled_and_comes_back_with_the_same_ids(url, tmp_path):
    cloud = SimulatedCloud(tmp_path, database=url, more={"catalogue": SIX}, services=WITH_NOTICES)
    assert "notices" in catalog_of(cloud.client())

    def endpoints(admin):
        (service,) = admin.get("/identity/v3/services?type=notices").json()["services"]
        rows = admin.get(f"/identity/v3/endpoints?service_id={service['id']}").json()["endpoints"]
        return service["enabled"], {row["id"] for row in rows}, {row["enabled"] for row in rows}

    before = endpoints(cloud.client())
    cloud.restart(prepare=True, services=ServicesConfig("core"))
    admin = cloud.client()
    assert catalog_of(admin) == {"identity", "image", "placement", "compute", "network"}
    assert endpoints(admin) == (False, before[1], {False})
    cloud.restart(prepare=True, services=WITH_NOTICES)
    assert "notices" in catalog_of(cloud.client())
    assert endpoints(cloud.client()) == before
    cloud.close()


def test_an_endpoint_that_an_operator_made_or_disabled_is_left_alone(url, tmp_path):
    cloud = SimulatedCloud(tmp_path, database=url, more={"catalogue": SIX}, services=WITH_NOTICES)
    admin = cloud.client()
    (service,) = admin.get("/identity/v3/services?type=notices").json()["services"]
    rows = admin.get(f"/identity/v3/endpoints?service_id={service['id']}").json()["endpoints"]
    closed = next(row["id"] for row in rows if row["interface"] == "internal")
    admin.patch(f"/identity/v3/endpoints/{closed}", {"endpoint": {"enabled": False}})
    elsewhere = {
        "service_id": service["id"],
        "interface": "public",
        "url": "http://192.0.2.1/n",
        "region_id": "RegionOne",
    }
    made = admin.post("/identity/v3/endpoints", {"endpoint": elsewhere})
    assert made.status == 201, made.content
    cloud.restart(prepare=True, services=ServicesConfig("core"))
    assert "notices" in catalog_of(cloud.client()), "the operator's own endpoint is still served"
    cloud.restart(prepare=True, services=WITH_NOTICES)
    rows = cloud.client().get(f"/identity/v3/endpoints?service_id={service['id']}").json()["endpoints"]
    assert {row["id"] for row in rows if not row["enabled"]} == {closed}
    assert len(rows) == 4
    cloud.close()


def test_a_process_that_is_not_the_whole_control_plane_withdraws_nothing(url, tmp_path):
    """Another one may carry what it does not, or does not know."""
    cloud = SimulatedCloud(tmp_path, database=url, more={"catalogue": SIX}, services=WITH_NOTICES)
    other = build(config(tmp_path, database=url), alone=False)
    other.prepare()
    other.close()
    assert "notices" in catalog_of(cloud.client())
    cloud.close()


def test_each_region_offers_and_withdraws_its_own_endpoints(url, tmp_path):
    from gureum.services.identity.catalog.model import Endpoint, Service
    from gureum.services.identity.catalog.own_endpoints import bring_up_to_date

    cloud = SimulatedCloud(tmp_path, database=url, more={"catalogue": SIX}, services=WITH_NOTICES)
    both = tuple(service.catalog for service in cloud.control.services if service.catalog)
    fewer = tuple(entry for entry in both if entry.type != "notices")
    sites = {"One": "http://one", "Two": "http://two"}

    def start(region, entries):
        cloud.control.database.write(lambda tx: bring_up_to_date(tx, region, sites[region], entries, withdraws=True))

    def notices():
        with cloud.control.database.read() as tx:
            service = tx.query(Service).filter_by(type="notices").one()
            rows = tx.query(Endpoint).filter_by(service_id=service.id)
            return service.enabled, {(row.region_id, row.url) for row in rows if row.enabled}

    one, two = ("One", "http://one/notices"), ("Two", "http://two/notices")
    home = next(iter(notices()[1]))
    for region in sites:
        start(region, both)
    assert notices() == (True, {home, one, two})
    start("One", fewer)
    assert notices() == (True, {home, two})
    start("Two", fewer)
    cloud.restart(prepare=True, services=ServicesConfig("core"))
    assert notices() == (False, set())
    start("One", both)
    assert notices() == (True, {one})
    cloud.close()


def test_an_endpoint_of_an_operator_keeps_its_url(url, tmp_path):
    cloud = SimulatedCloud(tmp_path, database=url)
    admin = cloud.client()
    (service,) = admin.get("/identity/v3/services?type=compute").json()["services"]
    rows = admin.get(f"/identity/v3/endpoints?service_id={service['id']}&interface=internal").json()["endpoints"]
    admin.delete(f"/identity/v3/endpoints/{rows[0]['id']}")
    own = {
        **rows[0],
        "url": "http://10.0.0.1:8774" + rows[0]["url"].partition("://")[2].partition("/")[2].join(["/", ""]),
    }
    new = {key: own[key] for key in ("service_id", "interface", "url", "region_id")}
    made = admin.post("/identity/v3/endpoints", {"endpoint": new}).json()["endpoint"]
    cloud.restart(prepare=True)
    assert cloud.client().get(f"/identity/v3/endpoints/{made['id']}").json()["endpoint"]["url"] == new["url"]
    cloud.close()


def names_it(content):
    return LINE.encode() in content or LINE.replace(".", "/").encode() in content


def test_no_file_but_its_own_names_it():
    naming = [
        file.relative_to(CLONE)
        for folder in ("src", "tools", "tests")
        for file in (CLONE / folder).rglob("*")
        if file.is_file() and file.suffix in ("", ".py", ".txt", ".toml") and names_it(file.read_bytes())
    ]
    others = [file for file in naming if "sixth_service" not in str(file)]
    assert others == []


class KilledAfterFirstSteps(Hooks):
    """The worker dies like by kill -9 once each server has a host."""

    def __init__(self, steps):
        self.left = steps

    def after_commit(self, task, outcome):
        self.left -= 1
        if self.left < 0:
            raise WorkerDied


def test_it_is_enabled_on_a_cloud_with_work_under_way(url, tmp_path):
    """The control plane dies in the middle of boots and comes back with one more service: nothing is lost."""
    moving = clock.VirtualClock(time.time())
    with clock.use(moving):
        cloud = SimulatedCloud(tmp_path, database=url)
        demo = cloud.client("demo")
        image, network = cloud.image(), cloud.network(demo)
        servers = [cloud.server(demo, imageRef=image, networks=[{"uuid": network}]) for _ in range(3)]
        cloud.control.engine.hooks = KilledAfterFirstSteps(2)
        with pytest.raises(WorkerDied):
            cloud.control.engine.run_due()
        assert "BUILD" in {status(demo, server) for server in servers}
        moving.advance(60)  # its leases end
        cloud.restart(prepare=True, more={"catalogue": SIX}, services=WITH_NOTICES)
        cloud.settle()
        demo = cloud.client("demo")
        assert {status(demo, server) for server in servers} == {"ACTIVE"}
        assert demo.get("/notices/v1/notices").json() == {"notices": []}
        cloud.close()


def status(client, server):
    return client.get(f"/compute/v2.1/servers/{server}").json()["server"]["status"]


def test_two_profiles_stand_side_by_side(tmp_path):
    whole = build(config(tmp_path / "whole"))
    small = build(config(tmp_path / "small", services=ServicesConfig("none", ["image"])))
    try:
        assert {api.name for api in small.app.apis} == {"identity", "image", "root"}
        assert {api.name for api in whole.app.apis} == {"identity", "placement", "image", "network", "compute", "root"}
    finally:
        whole.close()
        small.close()


def test_a_service_that_is_not_enabled_is_not_imported(tmp_path):
    program = f"""
import sys
from gureum.foundation.config import Config, ServicesConfig
from gureum.roles.control import build
control = build(Config(state={str(tmp_path)!r}, services=ServicesConfig("none", ["image"])))
control.close()
print(sorted(name for name in sys.modules if name.startswith("gureum.services.") and name.count(".") == 2))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=CLONE,
        env={"PYTHONPATH": "src"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "['gureum.services.identity', 'gureum.services.image']"
