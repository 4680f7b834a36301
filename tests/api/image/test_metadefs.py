"""Metadata definitions through HTTP: namespaces and what is in them, who sees and who changes, what is protected."""

from __future__ import annotations

import pytest

from gureum.services.image.metadefs.common.load import load_common

ROOT = "/image/v2/metadefs"
SPACES = f"{ROOT}/namespaces"
PROPERTY = {"title": "T", "type": "string", "enum": ["a", "b"]}


def make(client, name="My::Space", **more):
    answer = client.post(SPACES, {"namespace": name, "visibility": "public", **more})
    assert answer.status == 201, answer.content
    return answer


def test_a_namespace_with_all_that_is_in_it(root, alice):
    whole = {
        "display_name": "Mine",
        "description": "d",
        "properties": {"one": PROPERTY},
        "objects": [{"name": "Some limits", "properties": {"p": PROPERTY}, "required": ["p"]}],
        "tags": [{"name": "t"}],
        "resource_type_associations": [{"name": "OS::Glance::Image", "prefix": "my_"}],
    }
    answer = make(root, **whole)
    view = answer.json()
    assert answer.headers["location"] == "http://cloud/image/v2/metadefs/namespaces/My::Space"
    assert (view["self"], view["schema"]) == (
        "/v2/metadefs/namespaces/My::Space",
        "/v2/schemas/metadefs/namespace",
    )
    assert (view["owner"], view["protected"], view["visibility"]) == ("p0", False, "public")
    assert view["properties"] == {"one": PROPERTY}
    assert view["objects"][0]["self"] == "/v2/metadefs/namespaces/My::Space/objects/Some%20limits"
    assert alice.get(f"{SPACES}/My::Space").json() == view
    prefixed = alice.get(f"{SPACES}/My::Space?resource_type=OS::Glance::Image").json()
    assert (list(prefixed["properties"]), prefixed["objects"][0]["required"]) == (["my_one"], ["my_p"])
    assert alice.get(f"{SPACES}/My::Space?resource_type=OS::Nova::Flavor").status == 404
    assert root.post(SPACES, {"namespace": "My::Space"}).status == 409
    assert root.delete(f"{SPACES}/My::Space").status == 204
    assert root.get(f"{SPACES}/My::Space").status == 404
    make(root)


def test_a_private_namespace_is_its_owners(root, alice, bob):
    make(root, "Secret", visibility="private", owner="p1")
    make(root, "Open")
    assert alice.get(f"{SPACES}/Secret").status == 200
    assert bob.get(f"{SPACES}/Secret").status == 404
    assert bob.get(f"{SPACES}/Secret/tags").status == 404
    assert [one["namespace"] for one in bob.get(SPACES).json()["namespaces"]] == ["Open"]
    assert {one["namespace"] for one in alice.get(SPACES).json()["namespaces"]} == {"Open", "Secret"}
    assert alice.post(SPACES, {"namespace": "Mine"}).status == 403
    assert alice.delete(f"{SPACES}/Secret").status == 403


def test_a_protected_namespace_loses_nothing(root):
    associations = [{"name": "OS::Nova::Flavor"}]
    more = {"properties": {"p": PROPERTY}, "tags": [{"name": "t"}], "objects": [{"name": "o"}]}
    make(root, protected=True, resource_type_associations=associations, **more)
    for rest in ("", "/properties/p", "/tags/t", "/tags", "/objects/o", "/resource_types/OS::Nova::Flavor"):
        assert root.delete(f"{SPACES}/My::Space{rest}").status == 403, rest
    answer = root.put(f"{SPACES}/My::Space", {"namespace": "My::Space", "visibility": "public"})
    assert (answer.status, answer.json()["protected"], "description" in answer.json()) == (200, False, False)
    for rest in ("/properties/p", "/tags/t", "/tags", "/objects/o", "/resource_types/OS::Nova::Flavor", ""):
        assert root.delete(f"{SPACES}/My::Space{rest}").status == 204, rest


def test_namespaces_are_listed_by_page_and_filter(root):
    for name, kind in (("A", "OS::Nova::Flavor"), ("B", "OS::Glance::Image"), ("C", "OS::Nova::Flavor")):
        make(root, name, resource_type_associations=[{"name": kind}])
    page = root.get(f"{SPACES}?limit=2&sort_key=namespace&sort_dir=asc").json()
    assert [one["namespace"] for one in page["namespaces"]] == ["A", "B"]
    assert page["namespaces"][1]["resource_type_associations"][0]["name"] == "OS::Glance::Image"
    rest = root.get("/image" + page["next"]).json()
    assert ([one["namespace"] for one in rest["namespaces"]], "next" in rest) == (["C"], False)
    found = root.get(f"{SPACES}?resource_types=OS::Nova::Flavor,Other&sort_key=namespace&sort_dir=asc").json()
    assert [one["namespace"] for one in found["namespaces"]] == ["A", "C"]
    assert root.get(f"{SPACES}?visibility=private").json()["namespaces"] == []
    assert root.get(f"{SPACES}?visibility=odd").status == 400
    assert root.get(f"{SPACES}?marker=nothing").status == 400


def test_renaming_keeps_what_is_in_it_and_clashes_with_none(root):
    make(root, "A", properties={"p": PROPERTY})
    make(root, "B")
    assert root.put(f"{SPACES}/A", {"namespace": "B"}).status == 409
    answer = root.put(f"{SPACES}/A", {"namespace": "C", "visibility": "public"})
    assert (answer.status, answer.json()["namespace"]) == (200, "C")
    assert list(root.get(f"{SPACES}/C/properties").json()["properties"]) == ["p"]


def test_properties(root, alice):
    make(root, resource_type_associations=[{"name": "OS::Nova::Flavor", "prefix": "hw:"}])
    place = f"{SPACES}/My::Space/properties"
    answer = root.post(place, {"name": "p", **PROPERTY})
    assert (answer.status, answer.json()) == (201, {"name": "p", **PROPERTY})
    assert root.post(place, {"name": "p", **PROPERTY}).status == 409
    assert alice.post(place, {"name": "q", **PROPERTY}).status == 403
    assert alice.get(place).json() == {"properties": {"p": PROPERTY}}
    assert alice.get(f"{place}/hw:p?resource_type=OS::Nova::Flavor").json()["name"] == "hw:p"
    assert alice.get(f"{place}/p?resource_type=OS::Nova::Flavor").status == 404
    changed = root.put(f"{place}/p", {"name": "q", "title": "U", "type": "integer", "minimum": 1})
    assert changed.json() == {"name": "q", "title": "U", "type": "integer", "minimum": 1}
    assert alice.get(f"{place}/p").status == 404
    assert root.delete(f"{place}/q").status == 204
    assert root.delete(f"{place}/q").status == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "string"},
        {"title": "t"},
        {"title": "t", "type": "odd"},
        {"title": "t", "type": "string", "more": 1},
        {"title": "t", "type": "string", "maxLength": -1},
        {"title": "t", "type": "string", "pattern": "("},
        {"title": "t", "type": "string", "name": "x" * 81},
    ],
)
def test_a_property_that_is_none_is_refused(root, wrong):
    make(root)
    assert root.post(f"{SPACES}/My::Space/properties", {"name": "p", **wrong}).status == 400
    assert root.get(f"{SPACES}/My::Space/properties").json() == {"properties": {}}


def test_objects(root, alice):
    make(root)
    place = f"{SPACES}/My::Space/objects"
    answer = root.post(place, {"name": "CPU Limits", "description": "d", "properties": {"a": PROPERTY}})
    view = answer.json()
    assert (answer.status, view["required"], view["schema"]) == (201, [], "/v2/schemas/metadefs/object")
    assert root.post(place, {"name": "CPU Limits"}).status == 409
    assert alice.get(f"{place}/CPU%20Limits".replace("%20", " ")).json() == view
    listed = alice.get(place).json()
    assert (listed["objects"], listed["schema"]) == ([view], "/v2/schemas/metadefs/objects")
    changed = root.put(f"{place}/CPU Limits", {"name": "Other"}).json()
    assert (changed["name"], changed["properties"], "description" in changed) == ("Other", {}, False)
    assert root.delete(f"{place}/Other").status == 204
    assert alice.get(place).json()["objects"] == []


def test_tags(root, alice):
    make(root)
    place = f"{SPACES}/My::Space/tags"
    names = [{"name": "a"}, {"name": "b"}]
    answer = root.post(place, {"tags": names})
    assert (answer.status, answer.json()) == (201, {"tags": names})
    assert root.post(place, {"tags": [{"name": "c"}]}, X_Openstack_Append="true").status == 201
    assert root.post(place, {"tags": [{"name": "c"}]}, X_Openstack_Append="true").status == 409
    listed = alice.get(f"{place}?sort_key=name&sort_dir=asc").json()["tags"]
    assert [one["name"] for one in listed] == ["a", "b", "c"]
    marked = alice.get(f"{place}?sort_key=name&sort_dir=asc&marker=a&limit=1").json()["tags"]
    assert marked == [{"name": "b"}]
    assert root.post(place, {"tags": [{"name": "z"}]}).status == 201
    assert alice.get(place).json()["tags"] == [{"name": "z"}]
    made = root.post(f"{place}/y")
    assert (made.status, set(made.json())) == (201, {"name", "created_at", "updated_at"})
    assert root.post(f"{place}/y").status == 409
    assert root.put(f"{place}/y", {"name": "z"}).status == 409
    assert root.put(f"{place}/y", {"name": "x"}).json()["name"] == "x"
    assert root.delete(f"{place}/x").status == 204
    assert alice.get(f"{place}/x").status == 404
    assert root.delete(place).status == 204
    assert alice.get(place).json() == {"tags": []}


def test_resource_types(root, alice):
    make(root)
    place = f"{SPACES}/My::Space/resource_types"
    body = {"name": "My::Kind", "prefix": "x:", "properties_target": "image"}
    answer = root.post(place, body)
    assert (answer.status, {name: answer.json()[name] for name in body}) == (201, body)
    assert root.post(place, body).status == 409
    assert [one["name"] for one in alice.get(f"{ROOT}/resource_types").json()["resource_types"]] == ["My::Kind"]
    assert alice.get(place).json()["resource_type_associations"] == [answer.json()]
    assert root.delete(f"{place}/My::Kind").status == 204
    assert root.delete(f"{place}/My::Kind").status == 404
    assert len(alice.get(f"{ROOT}/resource_types").json()["resource_types"]) == 1


def test_the_common_definitions_are_loaded_once(cloud, root):
    for _ in range(2):
        cloud.database.write(load_common)
    names = {one["namespace"] for one in root.get(f"{SPACES}?limit=100").json()["namespaces"]}
    assert {"OS::Compute::VirtCPUTopology", "OS::Glance::CommonImageProperties", "OS::Compute::Quota"} <= names
    flavor = root.get(f"{SPACES}/OS::Compute::VirtCPUTopology?resource_type=OS::Nova::Flavor").json()
    assert "hw:cpu_sockets" in flavor["properties"]
    assert flavor["protected"]
    kinds = [one["name"] for one in root.get(f"{ROOT}/resource_types").json()["resource_types"]]
    assert "OS::Glance::Image" in kinds


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("namespace", "namespace"),
        ("namespaces", "namespaces"),
        ("object", "object"),
        ("objects", "objects"),
        ("property", "property"),
        ("properties", "properties"),
        ("tag", "tag"),
        ("tags", "tags"),
        ("resource_type", "resource_type_association"),
        ("resource_types", "resource_type_associations"),
    ],
)
def test_schemas(alice, name, told):
    assert alice.get(f"/image/v2/schemas/metadefs/{name}").json()["name"] == told


NAMESPACES = "/image/v2/metadefs/namespaces"
PRIVATE = {"namespace": "private", "visibility": "private", "properties": {"p": {"title": "P", "type": "string"}}}
INSIDE = (
    ("GET", "", None),
    ("PUT", "", {"namespace": "private", "visibility": "public"}),
    ("DELETE", "", None),
    ("GET", "/objects", None),
    ("POST", "/objects", {"name": "o"}),
    ("DELETE", "/objects", None),
    ("GET", "/objects/o", None),
    ("PUT", "/objects/o", {"name": "o"}),
    ("DELETE", "/objects/o", None),
    ("GET", "/properties", None),
    ("POST", "/properties", {"name": "q", "title": "Q", "type": "string"}),
    ("DELETE", "/properties", None),
    ("GET", "/properties/p", None),
    ("PUT", "/properties/p", {"name": "p", "title": "P", "type": "string"}),
    ("DELETE", "/properties/p", None),
    ("GET", "/tags", None),
    ("POST", "/tags", {"tags": []}),
    ("DELETE", "/tags", None),
    ("GET", "/tags/t", None),
    ("POST", "/tags/t", None),
    ("PUT", "/tags/t", {"name": "t"}),
    ("DELETE", "/tags/t", None),
    ("GET", "/resource_types", None),
    ("POST", "/resource_types", {"name": "r"}),
    ("DELETE", "/resource_types/r", None),
)


@pytest.mark.parametrize(("method", "path", "body"), INSIDE)
def test_private_namespace_of_another_project_is_not_found(cloud, root, method, path, body):
    """Its owner, who sees it, is refused what administrators alone may do."""
    assert root.post(NAMESPACES, {**PRIVATE, "owner": "p1"}).status == 201
    for stranger, name in (("bob", "private"), ("bob", "nothing")):
        assert cloud.as_(stranger).request(method, f"{NAMESPACES}/{name}{path}", body).status == 404
    if method != "GET":
        assert cloud.as_("alice").request(method, f"{NAMESPACES}/private{path}", body).status == 403
    assert root.get(f"{NAMESPACES}/private").status == 200
