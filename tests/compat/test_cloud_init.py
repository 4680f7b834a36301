"""cloud-init, as Debian packages it, reads what a guest is given: on the config drive and from the metadata service."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cloud import SimulatedCloud
from tests.compat.judged_cloud import clean_environment

from gureum.agents.metadata import config_drive
from gureum.agents.metadata.server import MetadataServer

READER = Path(__file__).with_name("cloud_init_reader.py")
USER_DATA = b"#cloud-config\nruncmd: [[touch, /done]]\n"
FILES = {"/etc/motd": b"Hello\n", "/opt/key": bytes(range(256))}


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """cloud-init's Python package, unpacked and not installed: installed it would act on this machine's next boot."""
    if shutil.which("apt-get") is None:
        pytest.skip("cloud-init comes from Debian's packages")
    folder = tmp_path_factory.mktemp("cloud-init")
    folder.chmod(0o755)
    done = subprocess.run(
        ["apt-get", "download", "cloud-init"], cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    (package,) = folder.glob("cloud-init_*.deb")
    subprocess.run(["dpkg", "-x", str(package), str(folder)], check=True, timeout=60)
    return folder / "usr/lib/python3/dist-packages"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    cloud = SimulatedCloud(tmp_path_factory.mktemp("cloud"), hosts=1)
    yield cloud
    cloud.close()


@pytest.fixture(scope="module")
def server(cloud):
    """A server with a key, user data, files, metadata, and a port with an address of each kind."""
    demo = cloud.client("demo")
    network = cloud.network(demo, cidr="10.0.0.0/24")
    automatic = {"ip_version": 6, "ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac", "cidr": "fd00::/64"}
    static = {"ip_version": 4, "cidr": "10.9.0.0/24", "enable_dhcp": False, "dns_nameservers": ["9.9.9.9"]}
    fixed = cloud.network(demo, "fixed", "10.8.0.0/24")
    for network_id, subnet in ((network, automatic), (fixed, static)):
        made = demo.post("/network/v2.0/subnets", {"subnet": {"network_id": network_id, **subnet}})
        assert made.status == 201, made.content
        last = made.json()["subnet"]["id"]
    port = {"network_id": fixed, "fixed_ips": [{"subnet_id": last}]}
    port_id = demo.post("/network/v2.0/ports", {"port": port}).json()["port"]["id"]
    key = demo.post("/compute/v2.1/os-keypairs", {"keypair": {"name": "mine"}}).json()["keypair"]
    body = {
        "name": "one",
        "flavorRef": "42",
        "imageRef": cloud.image(),
        "networks": [{"uuid": network}, {"port": port_id}],
        "key_name": "mine",
        "user_data": base64.encodebytes(USER_DATA).decode(),
        "metadata": {"tier": "web"},
        "personality": [
            {"path": path, "contents": base64.encodebytes(content).decode()} for path, content in FILES.items()
        ],
    }
    with_files = {"OpenStack_API_Version": "compute 2.56"}
    answer = demo.post("/compute/v2.1/servers", {"server": body}, **with_files)
    assert answer.status == 202, answer.content
    server_id = answer.json()["server"]["id"]
    cloud.settle()
    seen = demo.get(f"/compute/v2.1/servers/{server_id}").json()["server"]
    assert seen["status"] == "ACTIVE", seen
    return seen | {"public_key": key["public_key"]}


@pytest.fixture(scope="module")
def spec(cloud, server):
    """What the server's host was told of it."""
    (agent,) = [cloud.simulated[host] for host in cloud.simulated]
    return agent._servers[server["id"]].spec


def read(packages: Path, layout: str, place: object) -> dict:
    done = subprocess.run(
        [sys.executable, str(READER), str(packages), layout, str(place)],
        capture_output=True, text=True, check=False, timeout=60, env=clean_environment(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def check(found: dict, server: dict) -> None:
    meta = found["metadata"]
    assert meta["uuid"] == meta["instance-id"] == server["id"]
    assert meta["local-hostname"] == server["name"]
    assert meta["meta"] == {"tier": "web"}
    assert meta["public_keys"] == {"mine": server["public_key"]}
    assert len(base64.b64decode(meta["random_seed"])) == 512
    assert base64.b64decode(found["userdata"]) == USER_DATA
    assert {path: base64.b64decode(content) for path, content in found["files"].items()} == FILES
    devices = {one["name"]: one for one in found["network"]["config"] if one["type"] == "physical"}
    macs = [nic["OS-EXT-IPS-MAC:mac_addr"] for nics in server["addresses"].values() for nic in nics]
    assert {one["mac_address"] for one in devices.values()} == set(macs)
    assert sorted(one["type"] for one in devices["eth0"]["subnets"]) == ["dhcp4", "ipv6_slaac"]
    (static,) = devices["eth1"]["subnets"]
    address = server["addresses"]["fixed"][0]["addr"]
    assert (static["type"], static["address"], static["netmask"]) == ("static", address, "255.255.255.0")
    assert {"type": "nameserver", "address": "9.9.9.9"} in found["network"]["config"]


def test_the_config_drive_is_read(packages, server, spec, tmp_path):
    for name, content in config_drive.tree(spec.guest):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    found = read(packages, "drive", tmp_path)
    check(found, server)
    assert found["ec2-metadata"]["instance-id"].startswith("i-")


class NoPasswords:
    def password(self, _server_id):
        return ""

    def save_password(self, _server_id, _password):
        return False


def test_the_metadata_service_is_read(packages, server, spec):
    service = MetadataServer(lambda _network, _address: spec, NoPasswords())
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    service.listen("net", [listening])
    try:
        found = read(packages, "service", f"http://127.0.0.1:{port}")
    finally:
        service.stop()
    check(found, server)
    assert found["ec2"]["instance-id"].startswith("i-")
    assert found["ec2"]["local-ipv4"] == next(one["addr"] for one in server["addresses"]["net"] if one["version"] == 4)
    assert found["ec2"]["public-keys"] == {"mine": server["public_key"]}
    assert base64.b64decode(found["ec2_user_data"]) == USER_DATA
