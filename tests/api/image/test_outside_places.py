"""Attacks on the import from URLs, with a web server that plays the attacker: nothing inside is ever asked."""

from __future__ import annotations

import ipaddress
import shutil

import pytest
from tests.api.image.conftest import IMAGES, cloud_on, register
from tests.api.image.test_imports import begin, show, tasks_of
from tests.api.image.web_place import Place, serving

from gureum.drivers.image.web.guard import Allowed
from gureum.foundation.db.engine import Database

ATTACKER = "attacker.example"


class Resolver:
    """Names lead to addresses in turn: the answer may differ from one question to the next."""

    def __init__(self):
        self.answers, self.asked = {}, []

    def __call__(self, host, _port):
        self.asked.append(host)
        answers = self.answers.get(host, [host])
        return [answers.pop(0) if len(answers) > 1 else answers[0]]


@pytest.fixture
def resolver():
    return Resolver()


@pytest.fixture
def cloud(empty_database, tmp_path, resolver):
    """One whose only allowed inside address is 127.0.0.1, where the attacker's server is."""
    shutil.copy(empty_database, tmp_path / "test.sqlite")
    database = Database(f"sqlite:///{tmp_path}/test.sqlite")
    allowed = Allowed(ports=frozenset(), networks=(ipaddress.ip_network("127.0.0.1/32"),))
    yield cloud_on(database, tmp_path, allowed, resolve=resolver, max_bytes=1 << 20)
    database.close()


def download(cloud, client, uri):
    image_id = register(client)["id"]
    assert begin(client, image_id, "web-download", uri=uri).status == 202
    cloud.engine.run_due()
    return show(client, image_id)["status"], tasks_of(client, image_id)[-1]


@pytest.fixture
def inside():
    """A server on an address that is not allowed."""
    server = Place(("127.0.0.2", 0))
    server.files["/secret"] = b"secret"
    with serving(server):
        yield server


def test_a_name_that_leads_inside_is_refused(cloud, alice, resolver, inside):
    resolver.answers[ATTACKER] = ["127.0.0.2"]
    status, task = download(cloud, alice, f"http://{ATTACKER}:{inside.server_address[1]}/secret")
    assert (status, task["status"], inside.asked) == ("queued", "failure", [])
    assert "127.0.0.2" not in task["message"]


def test_a_redirect_inside_is_refused(cloud, alice, place, inside):
    """CVE-2026-34881: every hop is checked, not only the first."""
    place.moved["/image"] = f"http://127.0.0.2:{inside.server_address[1]}/secret"
    status, task = download(cloud, alice, place.url + "/image")
    assert (status, task["status"], inside.asked) == ("queued", "failure", [])


@pytest.mark.parametrize("target", ["file:///etc/passwd", "gopher://x/", "http://user:pw@127.0.0.1/"])
def test_a_redirect_to_another_scheme_or_with_a_password_is_refused(cloud, alice, place, target):
    place.moved["/image"] = target
    status, task = download(cloud, alice, place.url + "/image")
    assert (status, task["status"]) == ("queued", "failure")


def test_a_name_that_changes_its_address_is_asked_once_for_each_connection(cloud, alice, resolver, place, inside):
    """DNS rebinding: what was checked is what is connected to, so the second answer is never used unchecked."""
    place.files["/image"] = b"data"
    resolver.answers[ATTACKER] = ["127.0.0.1", "127.0.0.2"]
    status, task = download(cloud, alice, f"http://{ATTACKER}:{place.server_address[1]}/image")
    assert (status, task["status"], resolver.asked) == ("active", "success", [ATTACKER])
    host = place.asked[0][2]["Host"]
    assert host.startswith(ATTACKER)
    status, task = download(cloud, alice, f"http://{ATTACKER}:{inside.server_address[1]}/secret")
    assert (status, inside.asked) == ("queued", [])


def test_redirects_in_a_circle_end(cloud, alice, place):
    place.moved["/a"], place.moved["/b"] = "/b", "/a"
    status, task = download(cloud, alice, place.url + "/a")
    assert (status, task["status"]) == ("queued", "failure")
    assert len(place.asked) <= 6


def test_data_beyond_the_limit_ends_the_download(cloud, alice, place):
    place.files["/image"] = bytes(2 << 20)
    status, task = download(cloud, alice, place.url + "/image")
    assert (status, task["status"]) == ("queued", "failure")
    assert "larger than" in task["message"]
    cloud.engine.run_due()
    assert list(cloud.store.locations()) == []


def test_nothing_of_the_callers_goes_along(cloud, alice, place):
    place.files["/image"] = b"data"
    assert download(cloud, alice, place.url + "/image")[0] == "active"
    assert "X-Auth-Token" not in place.asked[0][2]
    assert alice.get(f"{IMAGES}?limit=1").status == 200
