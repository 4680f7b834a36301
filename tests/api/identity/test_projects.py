"""Projects, domains, their tree and tags."""

from __future__ import annotations

import pytest
from tests.api.identity.setting import DEFAULT, V3, found, made, own

ALL = f"{V3}/projects"
KEYS = {"id", "name", "domain_id", "description", "enabled", "parent_id", "is_domain", "tags", "options", "links"}
DOMAIN_KEYS = {"id", "name", "description", "enabled", "tags", "options", "links"}


def test_create_show_change_delete(admin):
    answer = admin.post(ALL, {"project": {"name": "p", "description": "d", "tags": ["b", "a"], "colour": "blue"}})
    assert answer.status == 201
    made_ = answer.json()["project"]
    assert set(made_) == KEYS | {"colour"}
    assert (made_["domain_id"], made_["parent_id"], made_["tags"]) == ("default", "default", ["a", "b"])
    one = f"{ALL}/{made_['id']}"
    assert made_["links"] == {"self": "http://cloud" + one}
    assert admin.get(one).json() == {"project": made_}
    changed = admin.patch(one, {"project": {"name": "q", "enabled": False, "colour": "red", "description": ""}})
    assert changed.status == 200
    assert changed.json()["project"] == {**made_, "name": "q", "enabled": False, "colour": "red", "description": ""}
    assert admin.delete(one).status == 204
    assert (
        admin.get(one).status == admin.delete(one).status == admin.patch(one, {"project": {"name": "r"}}).status == 404
    )


def test_names_are_unique_within_a_domain(world, admin):
    domain = world.domain("d")
    project = world.project("p")
    assert admin.post(ALL, {"project": {"name": "p"}}).status == 409
    assert admin.post(ALL, {"project": {"name": "p", "domain_id": domain}}).status == 201
    other = world.project("other")
    assert admin.patch(f"{ALL}/{other}", {"project": {"name": "p"}}).status == 409
    assert admin.patch(f"{ALL}/{project}", {"project": {"name": "p"}}).status == 200


@pytest.mark.parametrize("body", [{"name": "p", "domain_id": "none"}, {"name": "p", "parent_id": "none"}])
def test_what_it_stands_on_must_exist(admin, body):
    assert admin.post(ALL, {"project": body}).status == 404


@pytest.mark.parametrize(
    ("field", "value", "status"), [("domain_id", "x", 400), ("is_domain", True, 400), ("parent_id", "x", 403)]
)
def test_what_does_not_change(world, admin, field, value, status):
    project = world.project("p")
    assert admin.patch(f"{ALL}/{project}", {"project": {field: value}}).status == status


def tree(world):
    a = world.project("a")
    b = world.project("b", parent_id=a)
    return a, b, world.project("c", parent_id=b)


def test_the_tree_as_lists_and_as_ids(world, admin):
    a, b, c = tree(world)

    def asked(project, what):
        return admin.get(f"{ALL}/{project}?{what}").json()["project"]

    assert asked(c, "parents_as_ids")["parents"] == {b: {a: {"default": None}}}
    assert [row["project"]["id"] for row in asked(c, "parents_as_list")["parents"]] == [b, a]
    assert asked(a, "subtree_as_ids")["subtree"] == {b: {c: None}}
    assert [row["project"]["id"] for row in asked(a, "subtree_as_list")["subtree"]] == [b, c]
    assert asked(c, "subtree_as_ids")["subtree"] is None


def test_the_tree_shows_others_only_what_they_have_a_role_in(world):
    a, b, c = tree(world)
    user = world.user("eve")
    world.grant(f"projects/{b}", f"users/{user}", "member")
    eve = world.client("eve", {"project": {"id": b}})
    assert eve.get(f"{ALL}/{b}?parents_as_list").json()["project"]["parents"] == []
    assert eve.get(f"{ALL}/{b}?subtree_as_list").json()["project"]["subtree"] == []
    world.grant(f"projects/{c}", f"users/{user}", "reader")
    assert [row["project"]["id"] for row in eve.get(f"{ALL}/{b}?subtree_as_list").json()["project"]["subtree"]] == [c]


def test_a_project_with_others_below_stays(world, admin):
    a, b, c = tree(world)
    assert admin.delete(f"{ALL}/{a}").status == 403
    for project in (c, b, a):
        assert admin.delete(f"{ALL}/{project}").status == 204


def test_the_tree_has_a_bottom_and_stays_in_its_domain(world, admin):
    parent = world.project("level-1")
    for level in range(2, 6):
        parent = world.project(f"level-{level}", parent_id=parent)
    assert admin.post(ALL, {"project": {"name": "level-6", "parent_id": parent}}).status == 403
    domain = world.domain("d")
    assert admin.post(ALL, {"project": {"name": "x", "parent_id": parent, "domain_id": domain}}).status == 400


def test_lists_are_filtered(world, admin):
    domain = world.domain("d")
    inside = made(admin, "projects", "project", {"name": "inside", "domain_id": domain, "enabled": False})
    child = world.project("child", parent_id=found(admin, "projects", "demo"))

    def names(query):
        answer = admin.get(f"{ALL}?{query}")
        assert answer.status == 200, answer.content
        assert set(answer.json()) == {"projects", "links"}
        return {row["name"] for row in answer.json()["projects"]}

    assert names("") == {"admin", "demo", "inside", "child"}
    assert names("name=demo") == {"demo"}
    assert names(f"domain_id={domain}") == names("enabled=false") == {"inside"}
    assert names(f"parent_id={found(admin, 'projects', 'demo')}") == {"child"}
    assert names("name__icontains=HI") == {"child"}
    assert names("name__startswith=in") == names("name__endswith=side") == {"inside"}
    assert names("name__contains=%25") == names("name__icontains=_") == set()
    assert names("enabled__contains=1") == names("nonsense=1") == names("")
    assert names("is_domain=true") == {"Default", "d"}
    assert admin.get(f"{ALL}?enabled=maybe").status == 400
    assert admin.get(f"{ALL}/{inside}").status == admin.get(f"{ALL}/{child}").status == 200


def test_lists_come_in_pages(world, admin):
    for number in range(5):
        world.project(f"p{number}")
    seen, url = [], f"{ALL}?limit=3&name__startswith=p"
    while url:
        page = admin.get(url.removeprefix("http://cloud")).json()
        assert len(page["projects"]) <= 3
        seen += [row["name"] for row in page["projects"]]
        url = page["links"]["next"]
    assert sorted(seen) == [f"p{number}" for number in range(5)]
    assert admin.get(f"{ALL}?marker=none").status == 400
    for bad in ("x", "-1", "99999999999999"):
        assert admin.get(f"{ALL}?limit={bad}").status == 400


def test_tags(world, admin):
    project = world.project("p")
    tags = f"{ALL}/{project}/tags"
    added = admin.put(f"{tags}/green")
    assert (added.status, added.content) == (201, b"")
    assert added.headers["location"] == f"http://cloud{tags}/green"
    assert admin.put(f"{tags}/green").status == 400, "it has that tag"
    assert admin.get(f"{tags}/green").status == admin.request("HEAD", f"{tags}/green").status == 204
    assert admin.get(f"{tags}/blue").status == admin.delete(f"{tags}/blue").status == 404
    replaced = admin.put(tags, {"tags": ["b", "a"]})
    assert (replaced.status, replaced.json()["tags"]) == (200, ["a", "b"])
    assert admin.get(tags).json()["tags"] == ["a", "b"]
    assert admin.delete(f"{tags}/a").status == 204
    assert admin.get(f"{ALL}/{project}").json()["project"]["tags"] == ["b"]
    assert admin.delete(tags).status == 204
    assert admin.get(tags).json()["tags"] == []


@pytest.mark.parametrize("tags", [["a,b"], ["a/b"], [""], ["x" * 256], [5], ["t"] * 81, "t", None])
def test_bad_tags(world, admin, tags):
    assert admin.put(f"{ALL}/{world.project('p')}/tags", {"tags": tags}).status == 400


def test_at_most_80_tags(world, admin):
    project = world.project("p", tags=[f"t{number}" for number in range(80)])
    assert admin.put(f"{ALL}/{project}/tags/one-more").status == 400
    assert admin.delete(f"{ALL}/{project}/tags/t1").status == 204
    assert admin.put(f"{ALL}/{project}/tags/one-more").status == 201


def test_lists_are_filtered_by_tags(world, admin):
    world.project("ab", tags=["a", "b"])
    world.project("a", tags=["a"])

    def names(query):
        return {row["name"] for row in admin.get(f"{ALL}?{query}").json()["projects"]}

    assert names("tags=a,b") == {"ab"}
    assert names("tags-any=a,b") == {"ab", "a"}
    assert names("not-tags=a,b") == {"a", "admin", "demo"}
    assert names("not-tags-any=a,b") == {"admin", "demo"}
    assert names("tags=a&limit=1000") == {"ab", "a"}


def test_pages_of_a_list_filtered_by_tags_are_full(world, admin):
    for number in range(7):
        project = world.project(f"p{number}")
        if number % 2 == 0:
            assert admin.put(f"{ALL}/{project}/tags/even").status == 201
    every = [row["id"] for row in admin.get(f"{ALL}?tags=even").json()["projects"]]
    walked, lengths, address = [], [], f"{ALL}?tags=even&limit=2"
    while address:
        page = admin.get(address).json()
        walked += [row["id"] for row in page["projects"]]
        lengths.append(len(page["projects"]))
        address = (page["links"]["next"] or "").removeprefix("http://cloud")
    assert (walked, lengths) == (every, [2, 2])


def test_immutable(world, admin):
    project = world.project("p", options={"immutable": True})
    one = f"{ALL}/{project}"
    assert admin.patch(one, {"project": {"name": "q"}}).status == 403
    assert admin.patch(one, {"project": {"name": "q", "options": {"immutable": False}}}).status == 403
    assert admin.put(f"{one}/tags/t").status == admin.delete(f"{one}/tags").status == admin.delete(one).status == 403
    assert admin.patch(one, {"project": {"options": {"immutable": False}}}).status == 200
    assert admin.delete(one).status == 204


# -- domains ---------------------------------------------------------------------------------------------


def test_a_domain_from_beginning_to_end(world, admin):
    answer = admin.post(f"{V3}/domains", {"domain": {"name": "d", "description": "x"}})
    assert answer.status == 201
    domain = answer.json()["domain"]
    assert set(domain) == DOMAIN_KEYS
    one = f"{V3}/domains/{domain['id']}"
    assert admin.get(one).json()["domain"] == domain
    assert admin.post(f"{V3}/domains", {"domain": {"name": "d"}}).status == 409
    as_project = admin.get(f"{ALL}/{domain['id']}").json()["project"]
    assert (as_project["is_domain"], as_project["domain_id"]) == (True, None)
    user = world.user("eve", domain_id=domain["id"])
    project = made(admin, "projects", "project", {"name": "p", "domain_id": domain["id"]})
    group = made(admin, "groups", "group", {"name": "g", "domain_id": domain["id"]})
    role = made(admin, "roles", "role", {"name": "r", "domain_id": domain["id"]})
    assert admin.delete(one).status == 403, "it is enabled"
    assert admin.delete(f"{ALL}/{domain['id']}").status == 403
    changed = admin.patch(one, {"domain": {"enabled": False, "name": "e"}}).json()["domain"]
    assert changed == {**domain, "enabled": False, "name": "e"}
    assert admin.delete(one).status == 204
    for gone in (f"domains/{domain['id']}", f"users/{user}", f"projects/{project}", f"groups/{group}", f"roles/{role}"):
        assert admin.get(f"{V3}/{gone}").status == 404


def test_the_default_domain_stays(admin):
    assert admin.patch(f"{V3}/domains/default", {"domain": {"enabled": False}}).status == 403
    assert admin.delete(f"{V3}/domains/default").status == 403


def test_a_project_may_act_as_a_domain(admin):
    made_ = admin.post(ALL, {"project": {"name": "d", "is_domain": True}}).json()["project"]
    assert admin.get(f"{V3}/domains/{made_['id']}").status == 200
    assert admin.post(ALL, {"project": {"name": "e", "is_domain": True, "domain_id": "default"}}).status == 400
    assert admin.get(f"{V3}/domains/{found(admin, 'projects', 'demo')}").status == 404


def test_a_project_that_acts_as_a_domain_goes_when_disabled(admin):
    domain = admin.post(ALL, {"project": {"name": "d", "is_domain": True}}).json()["project"]["id"]
    assert admin.delete(f"{ALL}/{domain}").status == 403
    assert admin.patch(f"{ALL}/{domain}", {"project": {"enabled": False}}).status == 200
    assert admin.delete(f"{ALL}/{domain}").status == 204
    assert admin.get(f"{V3}/domains/{domain}").status == 404


def test_a_tree_goes_whole_or_not_at_all(world, admin):
    top = world.project("top")
    low = world.project("low", parent_id=top)
    leaf = world.project("leaf", parent_id=low, options={"immutable": True})
    eve = world.member("eve")
    world.grant(f"projects/{leaf}", f"users/{own(eve)['user']['id']}", "member")
    url = f"{ALL}/{top}/cascade"
    assert eve.delete(url).status == 403
    assert admin.delete(url).status == 403
    assert admin.patch(f"{ALL}/{top}", {"project": {"enabled": False}}).status == 200
    assert admin.delete(url).status == 403
    assert admin.get(f"{ALL}/{leaf}").status == 200
    assert admin.patch(f"{ALL}/{leaf}", {"project": {"options": {"immutable": False}}}).status == 200
    assert admin.delete(url).status == 204
    assert {admin.get(f"{ALL}/{id_}").status for id_ in (top, low, leaf)} == {404}
    assert admin.delete(f"{ALL}/default/cascade").status == 403


def test_tokens_of_a_project_list_no_domains_and_see_their_own(world, demo):
    world.domain("d")
    assert demo.get(f"{V3}/domains").status == 403
    assert demo.get(f"{V3}/domains/default").status == 200


def test_a_new_project_goes_to_the_domain_of_the_token(world):
    domain = world.domain("d")
    boss = world.domain_user("boss", domain, "manager")
    made_ = boss.post(ALL, {"project": {"name": "p"}})
    assert (made_.status, made_.json()["project"]["domain_id"]) == (201, domain)
    assert own(boss)["domain"]["id"] == domain
    assert DEFAULT["id"] != domain


def test_a_list_without_parameters_is_the_list_that_a_parameter_asks_for(world, admin):
    for name in ("a", "b"):
        world.project(name, tags=["t"], colour="blue")
    other = world.domain("other")
    there = world.project("there", domain_id=other)
    plain, asked = admin.get(ALL).json(), admin.get(f"{ALL}?is_domain=false").json()
    assert plain["projects"] == asked["projects"]
    assert {"admin", "demo", "a", "b", "there"} == {one["name"] for one in plain["projects"]}
    assert set(plain["links"]) == set(asked["links"])
    reader = world.domain_user("reader", other, "reader")
    assert [one["id"] for one in reader.get(ALL).json()["projects"]] == [there]
