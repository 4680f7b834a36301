"""Quotas: counted over a project, refused with their limit and use; and the limits of one image."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import pytest
from tests.api.image.conftest import IMAGES, active, cloud_on, patch, register, upload
from tests.api.image.test_imports import begin, stage
from tests.cloud import SimulatedCloud

from gureum.foundation.db.engine import Database
from gureum.foundation.quota import UnifiedLimit, UnifiedLimits
from gureum.services.image.config import ImageQuotaConfig
from gureum.services.image.images.model import Image

MIB = 1 << 20


@pytest.fixture
def make(empty_database, tmp_path):
    """A cloud with other options."""
    shutil.copy(empty_database, tmp_path / "test.sqlite")
    database = Database(f"sqlite:///{tmp_path}/test.sqlite")
    yield lambda **options: cloud_on(database, tmp_path, **options)
    database.close()


def usage(client):
    return client.get("/image/v2/info/usage").json()["usage"]


def test_use_is_counted_for_the_callers_project(cloud, alice, bob, root):
    active(alice, bytes(MIB + 1))
    image_id = register(alice)["id"]
    stage(alice, image_id, bytes(2 * MIB))
    assert usage(alice) == {
        "image_size_total": {"limit": -1, "usage": 2},
        "image_count_total": {"limit": -1, "usage": 2},
        "image_stage_total": {"limit": -1, "usage": 2},
        "image_count_uploading": {"limit": -1, "usage": 1},
    }
    assert {one["usage"] for one in usage(bob).values()} == {0}
    assert begin(alice, image_id, all_stores=True).status == 202
    cloud.engine.run_due()
    found = usage(alice)
    assert (found["image_size_total"]["usage"], found["image_stage_total"]["usage"]) == (6, 0)
    assert cloud.as_("loose").get("/image/v2/info/usage").status == 403


def test_too_many_images(make):
    cloud = make(quota=ImageQuotaConfig(image_count_total=2))
    alice, bob = cloud.as_("alice"), cloud.as_("bob")
    register(alice), register(alice)
    answer = alice.post(IMAGES, {"name": "third"})
    assert answer.status == 413
    assert "image_count_total" in answer.json()["message"]
    assert "limit 2, current usage 2" in answer.json()["message"]
    assert len(alice.get(IMAGES).json()["images"]) == 2
    register(bob)


def test_total_size_is_a_soft_limit(make):
    """Data of unknown size may go over the limit once; over it, nothing is taken."""
    cloud = make(quota=ImageQuotaConfig(image_size_total=2))
    alice = cloud.as_("alice")
    active(alice, bytes(MIB))
    at_limit = active(alice, bytes(MIB))
    active(alice, bytes(MIB))
    refused = register(alice)["id"]
    answer = upload(alice, refused, b"x")
    assert answer.status == 413
    assert "limit 2, current usage 3" in answer.json()["message"]
    assert alice.get(f"{IMAGES}/{refused}").json()["status"] == "queued"
    assert begin(alice, refused, "web-download", uri="http://example.org/").status == 413
    assert alice.delete(f"{IMAGES}/{at_limit}").status == 204
    cloud.engine.run_due()
    assert upload(alice, refused, bytes(MIB + 1)).status == 204


def test_known_size_never_goes_over_the_limit(make):
    cloud = make(quota=ImageQuotaConfig(image_size_total=2))
    alice, root = cloud.as_("alice"), cloud.as_("root")
    first = active(alice, bytes(MIB))
    image_id = register(alice)["id"]
    assert stage(alice, image_id, bytes(MIB)).status == 204
    assert begin(alice, image_id, all_stores=True).status == 413
    assert begin(alice, image_id).status == 202
    cloud.engine.run_due()
    answer = begin(root, first, "copy-image", stores=["second"])
    assert answer.status == 413
    assert "limit 2, current usage 2, requested 1 more" in answer.json()["message"]
    small, large = register(alice)["id"], register(alice)["id"]
    assert stage(alice, small, b"less than a MiB").status == 204
    assert begin(alice, small).status == 202
    cloud.engine.run_due()
    assert stage(alice, large, bytes(MIB)).status == 204
    assert begin(alice, large).status == 413


def test_one_operation_at_a_time_goes_over_a_total(make):
    cloud = make(quota=ImageQuotaConfig(image_size_total=1, image_stage_total=1))
    alice = cloud.as_("alice")
    busy = register(alice)["id"]

    def begin_upload(tx):
        image = tx.get(Image, busy)
        image.status, image.upload_id = "saving", "another-upload"

    cloud.database.write(begin_upload)
    for where in ("file", "stage"):
        put = lambda data: alice.request(
            "PUT", f"{IMAGES}/{register(alice)['id']}/{where}", raw=data, content_type="application/octet-stream"
        )
        assert put(bytes(MIB + 1)).status == 413
        assert put(bytes(MIB)).status == 204
        assert put(b"x").status == 413


def test_stage_is_a_soft_limit(make):
    cloud = make(quota=ImageQuotaConfig(image_stage_total=1))
    alice = cloud.as_("alice")
    staged = [register(alice)["id"] for _ in range(2)]
    for image_id in staged:
        assert stage(alice, image_id, bytes(MIB)).status == 204
    refused = register(alice)["id"]
    assert stage(alice, refused, b"x").status == 413
    assert begin(alice, refused, "web-download", uri="http://example.org/").status == 413
    assert upload(alice, refused, b"x").status == 204, "an upload does not pass the stage"
    assert begin(alice, staged[0]).status == 202


def test_staged_image_is_counted_once_among_uploads(make):
    """At the limit the import of what is staged goes on: it is one of the uploads that are counted."""
    cloud = make(quota=ImageQuotaConfig(image_count_uploading=1))
    alice, root = cloud.as_("alice"), cloud.as_("root")
    staged, other = register(alice)["id"], register(alice)["id"]
    assert stage(alice, staged, b"x").status == 204
    assert usage(alice)["image_count_uploading"] == {"limit": 1, "usage": 1}
    assert upload(alice, other, b"x").status == 413
    assert stage(alice, other, b"x").status == 413
    assert begin(alice, other, "web-download", uri="http://example.org/").status == 413
    assert begin(alice, staged).status == 202
    cloud.engine.run_due()
    assert alice.get(f"{IMAGES}/{staged}").json()["status"] == "active"
    assert upload(alice, other, b"x").status == 204
    assert stage(alice, register(alice)["id"], b"x").status == 204
    assert begin(root, other, "copy-image", stores=["second"]).status == 413


def test_projects_without_images_or_uploads(make):
    cloud = make(quota=ImageQuotaConfig(image_count_total=1, image_count_uploading=0))
    alice = cloud.as_("alice")
    image_id = register(alice)["id"]
    assert upload(alice, image_id, b"x").status == 413
    assert stage(alice, image_id, b"x").status == 413
    none = make(quota=ImageQuotaConfig(image_count_total=0)).as_("bob")
    assert none.post(IMAGES, {"name": "i"}).status == 413


def test_limits_come_from_where_the_cloud_keeps_them(make):
    cloud = make()
    said = lambda project_id: UnifiedLimits({"image_count_total": UnifiedLimit(len(project_id)), "x": UnifiedLimit(1)})
    identity = SimpleNamespace(limits=lambda _service, project_id: said(project_id))
    cloud.deps.__dict__["quotas"] = cloud.deps.quotas.following(identity)
    assert usage(cloud.as_("alice"))["image_count_total"] == {"limit": 2, "usage": 0}


def test_properties_tags_and_members_of_one_image(make):
    alice = make(max_properties=1, max_tags=1, max_members=1).as_("alice")
    assert alice.post(IMAGES, {"name": "i", "a": "1", "b": "2"}).status == 413
    assert alice.post(IMAGES, {"name": "i", "tags": ["a", "b"]}).status == 413
    image_id = register(alice, a="1", tags=["a"])["id"]
    assert patch(alice, image_id, {"op": "add", "path": "/b", "value": "2"}).status == 413
    assert alice.put(f"{IMAGES}/{image_id}/tags/b").status == 413
    assert alice.post(f"{IMAGES}/{image_id}/members", {"member": "p2"}).status == 200
    assert alice.post(f"{IMAGES}/{image_id}/members", {"member": "p3"}).status == 413
    free = make(max_properties=-1, max_tags=-1).as_("alice")
    assert patch(free, image_id, {"op": "add", "path": "/b", "value": "2"}).status == 200


def test_properties_of_one_image_are_bounded_in_size(make):
    alice = make().as_("alice")
    longest = "v" * 65_535
    assert alice.post(IMAGES, {"name": "i", "a": longest, "b": longest, "c": "v"}).status == 413
    image_id = register(alice, a=longest, b=longest)["id"]
    assert patch(alice, image_id, {"op": "add", "path": "/c", "value": "v"}).status == 413
    assert "c" not in alice.get(f"{IMAGES}/{image_id}").json()
    assert patch(alice, image_id, {"op": "replace", "path": "/b", "value": ""}).status == 200
    assert patch(alice, image_id, {"op": "add", "path": "/c", "value": "v" * 65_000}).status == 200
    assert patch(alice, image_id, {"op": "replace", "path": "/b", "value": longest}).status == 413


def test_limits_registered_with_identity_are_in_force(tmp_path):
    cloud = SimulatedCloud(tmp_path)
    admin, demo = cloud.client(), cloud.client("demo")
    services = admin.get("/identity/v3/services?type=image").json()["services"]
    limit = {"service_id": services[0]["id"], "resource_name": "image_count_total", "default_limit": 1}
    answer = admin.post("/identity/v3/registered_limits", {"registered_limits": [limit]})
    assert answer.status == 201, answer.content
    assert usage(demo)["image_count_total"] == {"limit": 1, "usage": 0}
    assert usage(demo)["image_size_total"]["limit"] == -1
    register(demo)
    assert demo.post(IMAGES, {"name": "second"}).status == 413
    cloud.close()
