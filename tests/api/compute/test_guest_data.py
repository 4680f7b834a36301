"""What a request gives its guest: user data and injected files, and what of them the guest's host is told."""

from __future__ import annotations

import base64
import json

import pytest
from tests.api.compute.setting import at

from gureum.agents.hypervisor.faults import Fault
from gureum.agents.metadata import config_drive
from gureum.services.compute.servers.model import Server

SERVERS = "/compute/v2.1/servers"
TEXT = b"#!/bin/sh\n" + b"echo a line that makes it longer than one line of MIME\n" * 4
MOTD = {"path": "/etc/motd", "contents": "aGVsbG8="}


def create(client, image, version="2.1", **more):
    body = {"name": "one", "flavorRef": "42", "imageRef": image, **more}
    return client.post(SERVERS, {"server": body}, **at(version))


def rebuild(client, server_id, image, version="2.1", **more):
    body = {"rebuild": {"imageRef": image, **more}}
    return client.post(f"{SERVERS}/{server_id}/action", body, **at(version))


def guest_of(cloud, server_id):
    cloud.settle()
    assert cloud.client().get(f"{SERVERS}/{server_id}").json()["server"]["status"] == "ACTIVE"
    return cloud.simulated["host1"]._servers[server_id].spec.guest


@pytest.mark.parametrize(
    "text",
    [
        base64.b64encode(TEXT).decode(),
        base64.b64encode(TEXT).decode() + "\n",
        base64.encodebytes(TEXT).decode(),
        base64.encodebytes(TEXT).decode().replace("\n", "\r\n"),
    ],
    ids=["one line", "newline at the end", "MIME", "MIME as in mail"],
)
def test_user_data_may_be_broken_into_lines(cloud, demo, image, text):
    server_id = create(demo, image, user_data=text).json()["server"]["id"]
    assert base64.b64decode(guest_of(cloud, server_id).user_data) == TEXT
    assert rebuild(demo, server_id, image, "2.57", user_data=text).status == 202
    shown = cloud.client().get(f"{SERVERS}/{server_id}", **at("2.3")).json()["server"]
    assert shown["OS-EXT-SRV-ATTR:user_data"] == text


@pytest.mark.parametrize(
    "text", ["a", "aGVsbG8", "aGV*bG8=", "aGVsbG8=\u00a0", "\u3042\u3042\u3042\u3042", "====", "aA==aA=="]
)
def test_user_data_that_is_not_base64_is_refused(cloud, demo, image, text):
    assert create(demo, image, user_data=text).status == 400
    assert create(demo, image, personality=[{"path": "/a", "contents": text}]).status == 400


def test_the_bound_of_user_data_counts_what_is_sent(demo, image):
    assert create(demo, image, user_data="A" * 65532 + "\n\n\n").status == 202
    assert create(demo, image, user_data="A" * 65532 + "\n\n\n\n").status == 400


def test_injected_files_reach_the_guests_metadata(cloud, demo, image):
    key = {"path": "/opt/key", "contents": base64.encodebytes(TEXT).decode()}
    server_id = create(demo, image, "2.56", networks="none", personality=[MOTD, key]).json()["server"]["id"]
    guest = guest_of(cloud, server_id)
    assert json.loads(guest.meta_data)["files"] == [
        {"content_path": "/content/0000", "path": "/etc/motd"},
        {"content_path": "/content/0001", "path": "/opt/key"},
    ]
    assert {name: base64.b64decode(text) for name, text in guest.content.items()} == {"0000": b"hello", "0001": TEXT}
    assert rebuild(demo, server_id, image, "2.57").status == 202
    assert len(guest_of(cloud, server_id).content) == 2
    assert rebuild(demo, server_id, image, "2.56", personality=[MOTD]).status == 202
    assert guest_of(cloud, server_id).content == {"0000": "aGVsbG8="}
    assert rebuild(demo, server_id, image, "2.56", personality=[]).status == 202
    assert "files" not in json.loads(guest_of(cloud, server_id).meta_data)
    assert rebuild(demo, server_id, image, "2.57", personality=[MOTD]).status == 400
    assert create(demo, image, "2.57", networks="none", personality=[MOTD]).status == 400


def test_quotas_bound_injected_files(cloud, demo, image):
    def put(count=1, path="/a", size=1):
        contents = base64.b64encode(bytes(size)).decode()
        answer = create(demo, image, personality=[{"path": path, "contents": contents}] * count)
        assert answer.status in {202, 403}, answer.content
        return answer

    assert put(5, "/" + "a" * 254, 10240).status == 202
    for refused, name in (
        (put(6), "injected_files"),
        (put(path="/" + "a" * 255), "path_bytes"),
        (put(size=10241), "cont"),
    ):
        assert refused.status == 403
        assert name in refused.json()["forbidden"]["message"]
    server_id = put().json()["server"]["id"]
    guest_of(cloud, server_id)
    assert rebuild(demo, server_id, image, personality=[MOTD] * 6).status == 403


PASSWORD = "Hunter-2-for-the-first-boot"


def stored(cloud):
    """Whatever the database's files hold, its log included."""
    return b"".join(file.read_bytes() for file in (cloud.control.config.path(".")).glob("cloud.sqlite*"))


def given_to_hosts(cloud, monkeypatch):
    """Every spec that the host is asked to make true."""
    kind, specs = type(cloud.simulated["host1"]), []
    ensure = kind.ensure_server
    monkeypatch.setattr(kind, "ensure_server", lambda host, spec: specs.append(spec) or ensure(host, spec))
    return specs


def kept_password(cloud, server_id):
    with cloud.control.database.read() as tx:
        return tx.get(Server, server_id).sealed_password


def test_the_password_reaches_the_config_drive_sealed_and_is_forgotten_then(cloud, demo, image, monkeypatch):
    specs = given_to_hosts(cloud, monkeypatch)
    made = create(demo, image, adminPass=PASSWORD, config_drive=True).json()["server"]
    assert made["adminPass"] == PASSWORD
    assert kept_password(cloud, made["id"])
    assert PASSWORD.encode() not in stored(cloud)
    guest = guest_of(cloud, made["id"])
    assert PASSWORD in [spec.guest.admin_pass for spec in specs]
    documents = dict(config_drive.tree(next(spec.guest for spec in specs if spec.guest.admin_pass)))
    assert json.loads(documents["openstack/latest/meta_data.json"])["admin_pass"] == PASSWORD
    assert "admin_pass" not in json.loads(guest.meta_data), "the metadata service would tell it"
    assert kept_password(cloud, made["id"]) is None
    specs.clear()
    assert demo.post(f"{SERVERS}/{made['id']}/action", {"reboot": {"type": "HARD"}}).status == 202
    cloud.settle()
    assert specs
    assert not [spec for spec in specs if spec.guest.admin_pass]


def test_a_password_without_a_config_drive_is_shown_once_and_never_kept(cloud, demo, image, monkeypatch):
    specs = given_to_hosts(cloud, monkeypatch)
    server_id = create(demo, image, adminPass=PASSWORD).json()["server"]["id"]
    assert kept_password(cloud, server_id) is None
    guest_of(cloud, server_id)
    assert not [spec for spec in specs if PASSWORD in repr(spec)]
    assert PASSWORD.encode() not in stored(cloud)


def test_a_rebuild_gives_its_password_once_too(cloud, demo, image, monkeypatch):
    server_id = create(demo, image, config_drive=True).json()["server"]["id"]
    cloud.settle()
    specs = given_to_hosts(cloud, monkeypatch)
    assert rebuild(demo, server_id, image, adminPass=PASSWORD).status == 202
    assert PASSWORD.encode() not in stored(cloud)
    guest_of(cloud, server_id)
    assert PASSWORD in [spec.guest.admin_pass for spec in specs]
    assert kept_password(cloud, server_id) is None


def test_a_build_that_fails_forgets_the_password(cloud, demo, image):
    fault = Fault("fail", "ensure_server", times=9, text="no", retry=False)
    cloud.simulated.world.faults.add("host1", fault)
    server_id = create(demo, image, adminPass=PASSWORD, config_drive=True).json()["server"]["id"]
    cloud.settle()
    assert demo.get(f"{SERVERS}/{server_id}").json()["server"]["status"] == "ERROR"
    assert kept_password(cloud, server_id) is None
