"""Versions, schemas, stores and import methods."""

from __future__ import annotations

import pytest
from tests.api.client import Client
from tests.api.image.conftest import IMAGES, active


@pytest.mark.parametrize(("path", "status"), [("/image", 300), ("/image/", 300), ("/image/versions", 200)])
def test_versions_are_told_to_everyone(cloud, path, status):
    answer = Client(cloud.app).get(path)
    assert answer.status == status
    versions = answer.json()["versions"]
    assert [version["id"] for version in versions] == [f"v2.{minor}" for minor in range(17, -1, -1)]
    assert [version["status"] for version in versions] == ["CURRENT"] + 17 * ["SUPPORTED"]
    assert versions[0]["links"] == [{"rel": "self", "href": "http://cloud/image/v2/"}]


@pytest.mark.parametrize("name", ["image", "images", "member", "members"])
def test_schemas_have_names(alice, name):
    assert alice.get(f"/image/v2/schemas/{name}").json()["name"] == name


def test_the_schema_knows_every_key_of_an_image(alice):
    view = alice.get(f"{IMAGES}/{active(alice)}").json()
    assert set(view) <= set(alice.get("/image/v2/schemas/image").json()["properties"])


def test_stores_and_import_methods(alice, root):
    file = {"id": "file", "default": "true"}
    assert alice.get("/image/v2/info/stores").json() == {
        "stores": [file, {"id": "second"}, {"id": "web", "read-only": "true"}]
    }
    assert alice.get("/image/v2/info/stores/detail").status == 403
    first = root.get("/image/v2/info/stores/detail").json()["stores"][0]
    assert first == {**file, "type": "file", "weight": 0, "properties": {}}
    methods = alice.get("/image/v2/info/import").json()["import-methods"]
    assert methods["type"] == "array"
    assert methods["value"] == ["glance-direct", "web-download", "copy-image", "glance-download"]


def test_a_new_image_tells_the_stores_and_the_methods(alice):
    answer = alice.post("/image/v2/images", {"name": "i"})
    assert answer.headers["openstack-image-store-ids"] == "file,second"
    assert answer.headers["openstack-image-import-methods"] == "glance-direct,web-download,copy-image,glance-download"
