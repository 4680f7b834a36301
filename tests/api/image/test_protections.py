"""Property protections: roles that create, read, change and delete properties by their names."""

from __future__ import annotations

import shutil

import pytest
from tests.api.image.conftest import IMAGES, cloud_on, patch, register

from gureum.foundation.db.engine import Database
from gureum.services.image.config import ImagePropertyConfig

RULES = [
    ImagePropertyConfig("x_billing_.*", create=["admin"], read=["admin", "member"], update=["admin"], delete=["admin"]),
    ImagePropertyConfig("x_secret", create=["admin"], read=["admin"], update=["admin"], delete=["admin"]),
    ImagePropertyConfig("x_(owner|open)", create=["@"], read=["@"], update=["@"], delete=["@"]),
]


@pytest.fixture
def cloud(empty_database, tmp_path):
    shutil.copy(empty_database, tmp_path / "test.sqlite")
    database = Database(f"sqlite:///{tmp_path}/test.sqlite")
    yield cloud_on(database, tmp_path, properties=RULES)
    database.close()


def change(client, image_id, op, name, value="v"):
    return patch(client, image_id, {"op": op, "path": f"/{name}", "value": value}).status


def test_creating(alice, root):
    assert alice.post(IMAGES, {"x_billing_code": "1"}).status == 403
    assert alice.post(IMAGES, {"of_nobody": "1"}).status == 403
    assert alice.post(IMAGES, {"x_open": "1"}).status == 201
    assert root.post(IMAGES, {"x_billing_code": "1"}).status == 201
    assert root.post(IMAGES, {"of_nobody": "1"}).status == 403


def test_changing_and_deleting(alice, root):
    image_id = register(alice, x_open="1")["id"]
    assert change(alice, image_id, "add", "x_billing_code") == 403
    assert change(root, image_id, "add", "x_billing_code") == 200
    assert change(alice, image_id, "replace", "x_billing_code") == 403
    assert change(alice, image_id, "remove", "x_billing_code") == 403
    assert change(root, image_id, "replace", "x_billing_code", "w") == 200
    assert change(alice, image_id, "replace", "x_open") == 200
    assert change(alice, image_id, "remove", "x_open") == 200
    assert change(root, image_id, "remove", "x_billing_code") == 200


def test_reading_in_views_lists_and_filters(alice, root):
    image_id = register(alice, x_open="1")["id"]
    assert change(root, image_id, "add", "x_secret", "s") == 200
    assert change(root, image_id, "add", "x_billing_code", "b") == 200
    for view in (alice.get(f"{IMAGES}/{image_id}").json(), alice.get(IMAGES).json()["images"][0]):
        assert ("x_secret" in view, view["x_billing_code"], view["x_open"]) == (False, "b", "1")
    assert root.get(f"{IMAGES}/{image_id}").json()["x_secret"] == "s"
    assert alice.get(f"{IMAGES}?x_secret=s").json()["images"] == []
    assert len(alice.get(f"{IMAGES}?x_billing_code=b").json()["images"]) == 1
    for op in ("add", "replace", "remove"):
        assert change(alice, image_id, op, "x_secret") == 403
