"""glance-download from another region: two clouds with the same users, one importing from the other over HTTP."""

from __future__ import annotations

import hashlib
import json
import shutil
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from sqlalchemy import select
from tests.api.client import Client
from tests.api.image.conftest import IMAGES, active, patch, register
from tests.api.image.test_imports import begin, show, tasks_of
from tests.api.image.web_place import Place, serving
from tests.cloud import SimulatedCloud

from gureum.foundation.tasks.hooks import Hooks
from gureum.foundation.tasks.model import Task
from gureum.services.image.config import ImageConfig, ImageWebConfig

V3 = "/identity/v3"
DATA = bytes(range(256)) * 50
LOOPBACK = ImageWebConfig(ports=[], networks=["127.0.0.0/8"])


class Region(ThreadingHTTPServer):
    """A cloud behind a socket; `asked` are the paths and headers that came."""

    daemon_threads = True

    def __init__(self, cloud):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.cloud, self.asked = cloud, []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append((self.path, dict(self.headers)))
        answer = Client(self.server.cloud.control.app).get(self.path, **dict(self.headers))
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.content)

    def log_message(self, *_words):
        pass


def cloud_in(folder, **web):
    options = LOOPBACK if not web else ImageWebConfig(**web)
    return SimulatedCloud(
        folder, hosts=1, image=ImageConfig(folder=str(folder / "images"), web=options, max_properties=9)
    )


@pytest.fixture
def far(tmp_path):
    """The other region: what `near` was right after its first start, users and keys included."""
    first = SimulatedCloud(tmp_path / "first", hosts=1)
    first.close()
    shutil.copytree(tmp_path / "first", tmp_path / "far")
    cloud = cloud_in(tmp_path / "far")
    yield cloud
    cloud.close()


@pytest.fixture
def near(far, tmp_path):
    cloud = cloud_in(tmp_path / "first")
    yield cloud
    cloud.close()


@pytest.fixture
def region(near, far):
    with serving(Region(far)) as server:
        announce(near, server.url + "/image")
        yield server


def announce(cloud, url, region="RegionTwo"):
    """The cloud's catalog gets another region's image service."""
    admin = cloud.client()
    assert admin.post(f"{V3}/regions", {"region": {"id": region}}).status == 201
    service = admin.get(f"{V3}/services?type=image").json()["services"][0]["id"]
    endpoint = {"service_id": service, "interface": "public", "region_id": region, "url": url}
    assert admin.post(f"{V3}/endpoints", {"endpoint": endpoint}).status == 201


def both(near, far, user="demo"):
    """The same user with the same token in both regions."""
    client = near.client(user)
    return client, Client(far.control.app, client.headers)


def asked_for(image_id, region="RegionTwo", interface="public"):
    return {"glance_image_id": image_id, "glance_region": region, "glance_service_interface": interface}


def brought(near, client, image_id, **where):
    """Begin and run an import; the target's id and how its task ended."""
    target = register(client)["id"]
    assert begin(client, target, "glance-download", **asked_for(image_id, **where)).status == 202
    near.settle()
    [task] = tasks_of(client, target)
    return target, task


def waiting(cloud):
    """The data of the durable tasks that are there."""
    with cloud.control.database.read() as tx:
        return [row.data for row in tx.scalars(select(Task).where(Task.kind == "image-import"))]


def test_an_image_comes_over_with_its_data_and_some_properties(near, far, region):
    here, there = both(near, far)
    source = active(there, DATA, hw_cpu_cores="5", os_distro="debian", speed="88mph")
    patch(there, source, {"op": "add", "path": "/trait:STORAGE_DISK_SSD", "value": "required"})
    target, task = brought(near, here, source)
    assert task["status"] == "success", task["message"]
    view = show(here, target)
    assert (view["status"], view["disk_format"], view["size"]) == ("active", "raw", len(DATA))
    assert (view["hw_cpu_cores"], view["os_distro"], view["trait:STORAGE_DISK_SSD"]) == ("5", "debian", "required")
    assert "speed" not in view
    assert here.get(f"{IMAGES}/{target}/file").content == DATA
    assert [path for path, _ in region.asked] == [f"/image/v2/images/{source}", f"/image/v2/images/{source}/file"]
    assert {headers["X-Auth-Token"] for _, headers in region.asked} == {here.headers["X-Auth-Token"]}


def test_the_token_is_sealed_until_it_was_used_and_then_gone(near, far, region):
    here, there = both(near, far)
    source, token, seen = active(there, DATA), here.headers["X-Auth-Token"], []

    class Look(Hooks):
        def before_step(self, task):
            seen.append((task.step, [data["sealed_token"] for data in waiting(near)]))

    target = register(here)["id"]
    answer = begin(here, target, "glance-download", **asked_for(source))
    assert answer.status == 202
    [data] = waiting(near)
    assert data["sealed_token"]
    assert token not in json.dumps(data)
    assert token not in json.dumps(tasks_of(here, target))
    near.control.engine.hooks = Look()
    near.settle()
    assert show(here, target)["status"] == "active"
    assert [step for step, _ in seen] == ["fetch", "judge", "copy", "copy", "finish"]
    assert [held for step, held in seen if step != "fetch"] == [[""]] * 4
    assert waiting(near) == []


def test_a_bearer_token_is_as_good(near, far, region):
    here, there = both(near, far)
    source = active(there, DATA)
    bearer = Client(near.control.app, {"Authorization": f"Bearer {here.headers['X-Auth-Token']}"})
    assert brought(near, bearer, source)[1]["status"] == "success"


def test_the_token_opens_what_it_opens_there(near, far, region):
    _, private = both(near, far, "admin")
    secret = active(private, DATA)
    here, there = both(near, far)
    target, task = brought(near, here, secret)
    assert (task["status"], show(here, target)["status"]) == ("failure", "queued")
    assert "the server answers 404" in task["message"]
    source = active(there, DATA)
    assert there.request("DELETE", f"{V3}/auth/tokens", X_Subject_Token=here.headers["X-Auth-Token"]).status == 204
    target, task = brought(near, here, source)
    assert (task["status"], show(here, target)["status"]) == ("failure", "queued")
    assert "the server answers 401. The token may have ended." in task["message"]
    assert waiting(near) == []


def test_only_the_catalog_says_where_a_region_is(near, far, region):
    here, there = both(near, far)
    source = active(there, DATA)
    for where in ({"region": "RegionThree"}, {"interface": "internal"}, {"interface": "http://127.0.0.1/"}):
        target = register(here)["id"]
        assert begin(here, target, "glance-download", **asked_for(source, **where)).status == 202
        assert [data["sealed_token"] for data in waiting(near)] == [""]
        near.settle()
        [task] = tasks_of(here, target)
        assert task["message"] == "There is no image service in that region with that interface."
    assert region.asked == []


def test_a_place_that_the_operator_does_not_allow_is_not_asked(far, tmp_path):
    cloud = cloud_in(tmp_path / "first", networks=[])
    here, there = both(cloud, far)
    source = active(there, DATA)
    with serving(Region(far)) as server:
        announce(cloud, server.url + "/image")
        _, task = brought(cloud, here, source)
        assert task["status"] == "failure"
        assert "may not be asked from here" in task["message"]
        assert server.asked == []
    cloud.close()


def test_a_token_does_not_follow_a_redirect_to_elsewhere(near, far):
    """A region that is taken over, or an open redirect in it, does not learn to whom the token may be shown."""
    here, there = both(near, far)
    source = active(there, DATA)
    with serving(Place()) as thief, serving(Place()) as place:
        announce(near, place.url)
        path = f"/v2/images/{source}"
        place.moved[path] = thief.url + "/take"
        thief.files["/take"] = b"{}"
        _, task = brought(near, here, source)
        assert task["status"] == "failure"
        [(_, _, sent)] = place.asked
        assert sent["X-Auth-Token"] == here.headers["X-Auth-Token"]
        [(_, _, taken)] = thief.asked
        assert here.headers["X-Auth-Token"] not in str(taken)


GOOD = {
    "status": "active",
    "disk_format": "raw",
    "container_format": "bare",
    "os_hash_algo": "sha512",
    "os_hash_value": hashlib.sha512(DATA).hexdigest(),
}


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"status": "queued"}, "not active"),
        ({"disk_format": "exe"}, "no format that is known"),
        ({"container_format": ["bare"]}, "no format that is known"),
        ({"hw_x": 5}, "must be a string"),
        ({"hw_x": "y" * 70000}, "longer than"),
        ({"hw_" + "x" * 300: "y"}, "1 to 255 printable characters"),
        ({f"hw_{number}": "y" for number in range(10)}, "limit has been exceeded"),
        ({"os_hash_value": "0" * 128}, "hash is not that of the source"),
        ({"name": "x" * (1 << 20)}, "too long"),
        (None, "makes no sense"),
        (b"{", "makes no sense"),
    ],
)
def test_what_the_other_region_says_is_not_trusted(near, far, said, reason):
    here, _ = both(near, far)
    image_id = "11111111-2222-3333-4444-555555555555"
    with serving(Place()) as place:
        announce(near, place.url + "/v2/")
        body = said if isinstance(said, bytes) else json.dumps([] if said is None else GOOD | said).encode()
        place.files = {f"/v2/images/{image_id}": body, f"/v2/images/{image_id}/file": DATA}
        target, task = brought(near, here, image_id)
        assert (task["status"], show(here, target)["status"]) == ("failure", "queued")
        assert reason in task["message"]
        place.files[f"/v2/images/{image_id}"] = json.dumps(GOOD).encode()
        assert brought(near, here, image_id)[1]["status"] == "success"


def test_keys_that_went_meanwhile_end_the_import(near, far, region):
    here, there = both(near, far)
    source = active(there, DATA)
    target = register(here)["id"]
    assert begin(here, target, "glance-download", **asked_for(source)).status == 202
    secrets = near.deps("image").identity.secrets
    for _ in range(5):
        secrets.rotate()
    near.settle()
    [task] = tasks_of(here, target)
    assert "begin the import again" in task["message"]
    assert region.asked == []
