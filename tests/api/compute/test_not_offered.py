"""What the reference withdrew, and what this cloud does not offer yet, says so."""

from __future__ import annotations

import pytest
from tests.api.compute.setting import at

from gureum.services.compute.servers.not_offered import NOT_OFFERED
from gureum.services.compute.withdrawn.api import GONE

V21 = "/compute/v2.1"
METHODS = [(method, path) for path, methods in GONE.items() for method in methods.split()]


@pytest.mark.parametrize(("method", "path"), METHODS)
def test_what_the_reference_withdrew_is_gone_at_every_microversion(world, alice, method, path):
    path = f"{V21}/{path}".replace("{", "").replace("}", "")
    for version in ("2.1", "2.96"):
        answer = alice.request(method, path, **at(version))
        assert answer.status == 410
        assert "withdrawn" in answer.json()["computeFault"]["message"]
    assert world.as_("nobody").request(method, path).status == 401


@pytest.mark.parametrize(
    ("name", "version", "status"),
    [
        ("resize", "2.96", 400),
        ("confirmResize", "2.1", 409),
        ("restore", "2.1", 409),
        ("resume", "2.1", 409),
        ("shelve", "2.1", 400),
        ("suspend", "2.1", 400),
        ("rescue", "2.1", 501),
        ("changePassword", "2.1", 501),
        ("os-getVNCConsole", "2.5", 501),
        ("os-getVNCConsole", "2.6", 404),
        ("trigger_crash_dump", "2.16", 404),
        ("os-getRDPConsole", "2.1", 410),
        ("migrate", "2.1", 403),
        ("evacuate", "2.1", 403),
    ],
)
def test_actions_that_are_not_offered_say_so(world, alice, name, version, status):
    url = f"{V21}/servers/{world.server()}/action"
    answer = alice.post(url, {name: None}, **at(version))
    assert answer.status == status
    ((_, fault),) = answer.json().items()
    if status in {400, 409, 501}:
        assert f"does not offer the action {name} yet" in fault["message"]


def test_every_action_that_is_not_offered_is_refused_for_strangers_readers_and_administrators(world, root):
    own, nothing = world.server(), "0" * 8 + "-0000-0000-0000-" + "0" * 12
    for name, absent in NOT_OFFERED.items():
        version = at("2.1" if absent.until else "2.96")
        assert root.post(f"{V21}/servers/{nothing}/action", {name: None}, **version).status == 404, name
        assert world.as_("bob").post(f"{V21}/servers/{own}/action", {name: None}, **version).status == 404, name
        assert world.as_("rita").post(f"{V21}/servers/{own}/action", {name: None}, **version).status == 403, name
        answer = root.post(f"{V21}/servers/{own}/action", {name: None}, **version)
        assert answer.status == absent.error.status, name


def test_consoles_and_diagnostics_say_that_they_are_not_offered_yet(world, alice, root):
    server = f"{V21}/servers/{world.server()}"
    body = {"remote_console": {"protocol": "vnc", "type": "novnc"}}
    answer = alice.post(f"{server}/remote-consoles", body, **at("2.6"))
    assert (answer.status, "no remote consoles yet" in answer.json()["notImplemented"]["message"]) == (501, True)
    assert alice.post(f"{server}/remote-consoles", {"remote_console": {}}, **at("2.6")).status == 400
    assert alice.post(f"{server}/remote-consoles", body, **at("2.5")).status == 404
    assert world.as_("bob").post(f"{server}/remote-consoles", body, **at("2.6")).status == 404
    assert world.as_("rita").post(f"{server}/remote-consoles", body, **at("2.6")).status == 403
    assert alice.get(f"{server}/diagnostics").status == 403
    assert root.get(f"{server}/diagnostics").status == 501
