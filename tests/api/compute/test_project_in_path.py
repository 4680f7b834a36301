"""The project's id in the path, which every route of compute takes and none needs."""

from __future__ import annotations

import pytest
from tests.api.compute.setting import P0, P1, P2, at

from gureum.services.compute.nouns import NOUNS

V21 = "/compute/v2.1"


def test_the_callers_project_may_stand_in_the_path(world, alice):
    first, second = world.server("one"), world.server("two")
    page = alice.get(f"{V21}/{P1}/servers?limit=1&sort_key=display_name&sort_dir=asc").json()
    (server,) = page["servers"]
    assert [link["href"] for link in server["links"]] == [
        f"http://cloud/compute/v2.1/{P1}/servers/{first}",
        f"http://cloud/compute/{P1}/servers/{first}",
    ]
    (link,) = page["servers_links"]
    assert link["href"].startswith(f"http://cloud/compute/v2.1/{P1}/servers?")
    following = alice.get(link["href"].removeprefix("http://cloud")).json()["servers"]
    assert [each["id"] for each in following] == [second]
    assert alice.get(f"{V21}/{P1}/servers/{first}/tags/red", **at("2.26")).status == 404
    made = alice.put(f"{V21}/{P1}/servers/{first}/tags/red", **at("2.26"))
    assert made.headers["location"] == f"http://cloud/compute/v2.1/{P1}/servers/{first}/tags/red"


@pytest.mark.parametrize("name", ["alice", "root"])
def test_another_project_in_the_path_is_refused(world, name):
    answer = world.as_(name).get(f"{V21}/{P2}/servers")
    assert answer.status == 400
    assert answer.json()["badRequest"]["message"].startswith("Malformed request URL")


def test_every_route_of_compute_takes_it(world, root):
    api = world.app.apis[0]
    for noun in NOUNS:
        for route in noun.ROUTES:
            if route.path.count("/") > 1:
                version, _, rest = route.path.strip("/").partition("/")
                assert api.without_project(f"{version}/{P0}/{rest}") == (f"{version}/{rest}", P0)
                assert api.without_project(f"{version}/{rest}") == (f"{version}/{rest}", "")
    assert root.get(f"/compute/v2/{P0}/os-keypairs").status == 200
    assert root.get(f"{V21}/{P0}/os-nothing").status == 404
    assert root.get(f"{V21}/{P0}").status == 404
    assert world.as_("nobody").get(f"{V21}/{P0}/servers").status == 401
