"""The metadata documents, by path. A change here is a change of what guests read."""

from __future__ import annotations

import base64
import json
import subprocess

import pytest

from gureum.agents.hypervisor.protocol import GuestData
from gureum.agents.metadata import config_drive
from gureum.agents.metadata.formats import EC2_VERSIONS, OPENSTACK_VERSIONS, find

GUEST = GuestData(
    meta_data=json.dumps({"uuid": "u-1", "name": "one", "public_keys": {"mykey": "ssh-ed25519 AAAA me"}}),
    network_data=json.dumps({"links": [], "networks": [], "services": []}),
    vendor_data=json.dumps({"vendor": 1}),
    user_data=base64.b64encode(b"#!/bin/sh\n\xff\x00").decode(),
    ec2={
        "instance-id": "i-00000001",
        "hostname": "one.novalocal",
        "local-ipv4": "10.0.0.5",
        "placement/availability-zone": "nova",
        "block-device-mapping/ami": "vda",
        "public-keys/0/openssh-key": "ssh-ed25519 AAAA me",
    },
    content={"0000": base64.b64encode(b"injected").decode()},
)


def text(path: str, guest: GuestData = GUEST, password: str = "") -> str | None:
    document = find(guest, path, password)
    return None if document is None else document.body.decode(errors="replace")


def test_roots_list_their_versions():
    assert text("/") == "\n".join([*EC2_VERSIONS, "latest"])
    assert text("/openstack") == text("/openstack/") == "\n".join([*OPENSTACK_VERSIONS, "latest"])


@pytest.mark.parametrize("version", [*OPENSTACK_VERSIONS, "latest"])
def test_every_openstack_version_lists_only_what_it_has(version):
    names = text(f"/openstack/{version}").split("\n")
    for name in (
        "meta_data.json",
        "user_data",
        "password",
        "vendor_data.json",
        "network_data.json",
        "vendor_data2.json",
    ):
        assert (text(f"/openstack/{version}/{name}") is not None) == (name in names)
    assert "meta_data.json" in names
    assert ("network_data.json" in names) == (version >= "2015-10-15")


def test_openstack_documents():
    assert json.loads(text("/openstack/latest/meta_data.json"))["uuid"] == "u-1"
    assert json.loads(text("/openstack/latest/vendor_data.json")) == {"vendor": 1}
    assert json.loads(text("/openstack/latest/vendor_data2.json")) == {"static": {"vendor": 1}}
    assert find(GUEST, "/openstack/latest/user_data").body == b"#!/bin/sh\n\xff\x00"
    assert find(GUEST, "/openstack/latest/meta_data.json").content_type == "application/json"
    assert text("/openstack/content/0000") == "injected"
    assert text("/openstack/latest/password", password="secret") == "secret"


def test_ec2_layout_lists_folders_with_a_slash_and_keys_by_name():
    assert text("/latest") == text("/2009-04-04/") == "meta-data/\nuser-data"
    listing = "block-device-mapping/\nhostname\ninstance-id\nlocal-ipv4\nplacement/\npublic-keys/"
    assert text("/latest/meta-data/") == text("/latest/meta-data") == text("/2009-04-04/meta-data/") == listing
    assert text("/latest/meta-data/public-keys/") == "0=mykey"
    assert text("/latest/meta-data/public-keys/0/") == "openssh-key"
    assert text("/latest/meta-data/public-keys/0/openssh-key") == "ssh-ed25519 AAAA me"
    assert text("/latest/meta-data/placement/") == "availability-zone"
    assert text("/latest/meta-data/placement/availability-zone") == "nova"
    assert find(GUEST, "/latest/user-data").body == b"#!/bin/sh\n\xff\x00"


def test_a_listing_of_the_control_plane_wins():
    guest = GuestData(ec2={"public-keys/": "0=other", "public-keys/0/openssh-key": "k"})
    assert text("/latest/meta-data/public-keys/", guest) == "0=other"
    assert text("/latest/meta-data/", guest) == "public-keys/"


@pytest.mark.parametrize(
    "path",
    [
        "/openstack/2099-01-01",
        "/openstack/latest/nothing",
        "/openstack/latest/meta_data.json/more",
        "/openstack/2012-08-10/network_data.json",
        "/openstack/content/../latest",
        "/openstack/content/0001",
        "/latest/meta-data/_name",
        "/latest/meta-data/public-keys/0/_name",
        "/latest/meta-data/instance-id/more",
        "/latest/dynamic/instance-identity/document",
        "/latest/api/token",
        "/9999/meta-data/",
        "/../../etc/passwd",
    ],
)
def test_everything_else_is_not_found(path):
    assert text(path) is None


def test_without_user_data_nothing_mentions_it():
    guest = GuestData()
    assert text("/latest", guest) == "meta-data/"
    assert text("/latest/user-data", guest) is None
    assert "user_data" not in text("/openstack/latest", guest).split("\n")


def test_config_drive_has_the_same_documents():
    files = dict(config_drive.tree(GUEST))
    assert json.loads(files["openstack/latest/meta_data.json"])["name"] == "one"
    assert files["openstack/latest/user_data"] == files["ec2/latest/user-data"] == b"#!/bin/sh\n\xff\x00"
    assert files["openstack/content/0000"] == b"injected"
    ec2 = json.loads(files["ec2/2009-04-04/meta-data.json"])
    assert ec2["public-keys"] == {"0": {"openssh-key": "ssh-ed25519 AAAA me"}}
    assert not any(name.endswith("password") for name in files)
    assert "openstack/2012-08-10/network_data.json" not in files


def test_config_drive_image_carries_its_label_and_long_names(tmp_path):
    target = tmp_path / "config.iso"
    config_drive.build(GUEST, target)
    seen = subprocess.run(["isoinfo", "-d", "-i", target], capture_output=True, text=True, check=True).stdout
    assert "Volume id: config-2" in seen
    listing = subprocess.run(["isoinfo", "-R", "-f", "-i", target], capture_output=True, text=True, check=True).stdout
    assert "/openstack/latest/network_data.json" in listing.split()
    shown = subprocess.run(
        ["isoinfo", "-R", "-i", target, "-x", "/openstack/latest/meta_data.json"], capture_output=True, check=True
    ).stdout
    assert json.loads(shown)["uuid"] == "u-1"
    assert [path.name for path in tmp_path.iterdir()] == ["config.iso"]
