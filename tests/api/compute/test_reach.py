"""Whom a rule refuses learns first whether the server is there: 404 before 403, on every route of a server."""

from __future__ import annotations

from gureum.foundation import ids
from gureum.services.compute.servers.reach import SERVER


def test_a_reader_learns_of_a_server_that_is_not_there_before_it_is_refused(world):
    rita, own, foreign = world.as_("rita"), world.server(), world.server(project_id="2" * 32)
    writes = [
        route
        for route in world.app.apis[0].routes
        if route.path.startswith(SERVER) and route.method != "GET" and "withdrawn" not in route.policy
    ]
    assert len(writes) > 12
    bodies = {
        "metadata": {"metadata": {}}, "{key}": {"meta": {"key": "v"}}, "tags": {"tags": []}, "action": {"os-stop": None},
        "os-interface": {"interfaceAttachment": {}}, "{server_id}": {"server": {}},
        "remote-consoles": {"remote_console": {"protocol": "vnc", "type": "novnc"}},
    }  # fmt: skip
    for route in writes:
        body = bodies.get(route.path.rsplit("/", 1)[-1]) if route.method != "DELETE" else None
        for server_id, status in ((own, 403), (foreign, 404), (ids.new_uuid(), 404)):
            path = route.path.replace("{server_id}", server_id).replace("{", "").replace("}", "")
            answer = rita.request(route.method, "/compute" + path, body, OpenStack_API_Version="compute 2.79")
            assert answer.status == status, (route.method, route.path, answer.content)


def test_an_action_of_a_server_that_is_not_there_is_not_found_for_whoever_asks(world):
    for name in ("rita", "alice", "root"):
        for action in ("os-stop", "lock", "os-getConsoleOutput", "createImage"):
            body = {action: {"name": "image"} if action == "createImage" else None}
            answer = world.as_(name).post(f"/compute/v2.1/servers/{ids.new_uuid()}/action", body)
            assert answer.status == 404, (name, action)


def test_a_server_group_that_is_not_there_is_not_found_before_its_rule_refuses(world, alice):
    groups = "/compute/v2.1/os-server-groups"
    made = alice.post(groups, {"server_group": {"name": "g", "policies": ["affinity"]}}).json()["server_group"]
    rita, bob = world.as_("rita"), world.as_("bob")
    assert rita.delete(f"{groups}/{made['id']}").status == 403
    assert rita.delete(f"{groups}/{ids.new_uuid()}").status == 404
    assert (bob.delete(f"{groups}/{made['id']}").status, bob.get(f"{groups}/{made['id']}").status) == (404, 404)
    assert rita.get(f"{groups}/{made['id']}").status == 200
    assert alice.delete(f"{groups}/{made['id']}").status == 204


def test_an_administrators_lock_is_not_its_owners_to_open(world, alice, root):
    own = f"/compute/v2.1/servers/{world.server()}"
    for lock, unlock, status in ((root, alice, 403), (root, root, 202), (alice, root, 202), (alice, alice, 202)):
        assert lock.post(f"{own}/action", {"lock": None}).status == 202
        assert unlock.post(f"{own}/action", {"unlock": None}).status == status
        assert root.post(f"{own}/action", {"unlock": None}).status == 202
