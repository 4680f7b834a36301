"""The guest image `mini`, built here and booted in a bare QEMU: what a user and outside test suites rely on.

A failure here is the image's, not the cloud's: no agent, network service or hypervisor driver takes part.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest
from tests.system.guest_under_test import Guest, identity, make_config_drive, make_disk, make_key

from gureum.lab.guest_image import build_guest_image

pytestmark = pytest.mark.engines

FIRST = "11111111-2222-3333-4444-555555555555"
SECOND = "66666666-7777-8888-9999-000000000000"

USER_DATA = """#!/bin/sh
echo user data ran as $(id -u)
echo once >>/etc/user-data-runs
"""

# One request on standard input, its answer on standard output, from the files below the folder named.
# A path that the file `unanswered` lists is not answered the first time.
METADATA_SERVICE = """
import pathlib, sys
path = sys.stdin.buffer.readline().split()[1].decode()
while sys.stdin.buffer.readline().strip():
    pass
unanswered = pathlib.Path(sys.argv[1], "unanswered")
paths = unanswered.read_text().split() if unanswered.exists() else []
if path in paths:
    paths.remove(path)
    unanswered.write_text(" ".join(paths))
    sys.exit()
file = pathlib.Path(sys.argv[1] + path)
if path.endswith("/") and file.is_dir():
    file /= "index.html"
status, body = (b"200 OK", file.read_bytes()) if file.is_file() else (b"404 Not Found", b"")
sys.stdout.buffer.write(b"HTTP/1.0 %s\\r\\nContent-Length: %d\\r\\n\\r\\n" % (status, len(body)) + body)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("guest")


@pytest.fixture(scope="module")
def cache(folder):
    leftover = folder / "cache/.mini-build-interrupted"
    leftover.mkdir(parents=True)
    return folder / "cache"


@pytest.fixture(scope="module")
def image(cache):
    return build_guest_image(cache)


@pytest.fixture(scope="module")
def key(folder):
    return make_key(folder)


@pytest.fixture(scope="module")
def guest(folder, image, key):
    """A guest with a 1 GiB disk and a config drive; every test leaves it running."""
    drive = make_config_drive(folder, identity(key, FIRST, "one"), USER_DATA)
    with Guest(folder, make_disk(folder, image), key, drive=drive) as running:
        running.wait_for_console("login:")
        yield running


def metadata_network(folder: Path) -> str:
    """User-network options that put a metadata service serving folder's files at its well-known address."""
    service = folder / "metadata_service.py"
    service.write_text(METADATA_SERVICE)
    command = f"{sys.executable} {service} {folder}"
    return f",net=169.254.0.0/16,dhcpstart=169.254.0.15,guestfwd=tcp:169.254.169.254:80-cmd:{command}"


def test_a_second_build_finds_the_first_and_leftovers_are_gone(cache, image):
    started = time.monotonic()
    lines = []
    assert build_guest_image(cache, lines.append) == image
    assert time.monotonic() - started < 10
    assert lines == []
    assert [path.name for path in cache.iterdir() if path.name.startswith(".mini-build")] == []
    assert image.stat().st_size < 32 * 2**20


def test_boots_quickly_and_shows_itself_on_the_console(guest):
    print(f"power-on to SSH banner: {guest.banner_s:.2f} s")
    assert guest.banner_s < 30
    console = guest.console()
    assert "Linux version" in console
    assert "one login:" in console
    assert "user data ran as 0" in console
    assert len(console.splitlines()) > 10


def test_takes_name_and_root_size(guest):
    assert guest.run("hostname").strip() == "one"
    assert "gureum-mini" in guest.run("cat /etc/os-release")
    size_mib = guest.until("df -m / | awk 'NR == 2 { print \"size\", $2 }'; pidof resize2fs || echo grown", "grown")
    assert int(size_mib.split()[1]) > 900


def test_sudo_needs_no_password_and_keeps_a_sane_environment(guest):
    assert guest.run("sudo id -u").strip() == "0"
    assert guest.run("sudo -n id -u").strip() == "0"
    assert guest.run("sudo -u nobody id -un").strip() == "nobody"
    assert guest.run("sudo sh -c 'echo $HOME; id -u' | tr '\\n' ' '").strip() == "/root 0"
    assert "/usr/sbin" in guest.run("sudo env | grep ^PATH=")


def test_root_and_passwords_are_refused(guest):
    assert guest.ssh("true", user="root").returncode == 255
    refused = guest.ssh("true", options=("-o", "PubkeyAuthentication=no"))
    assert "Permission denied (publickey)" in refused.stderr


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("cat /proc/uptime", "."),
        ("/bin/ip address", "10.0.2.15/24"),
        ("ip -o link | awk '/52:54:00/ { print $2 }'", "eth0"),
        ("ip route", "default via 10.0.2.2 dev eth0"),
        ("lsblk -lb --nodeps", "vda"),
        ("lsblk -lb --nodeps | grep -c disk", "2"),
        ("blkid | grep -i config-2 | cut -d : -f 1", "/dev/vdb"),
        ("sudo blkid", 'LABEL="gureum-root"'),
        ("uptime", "load average"),
        ("nproc; grep -c ^processor /proc/cpuinfo", "1\n1\n"),
        ("date +%s", "1"),
        ("sudo kill -USR1 $(cat /var/run/udhcpc.eth0.pid); echo renewed", "renewed"),
        ("dmesg | grep Linux.version", "Linux version"),
        ("ping -c 1 -w 5 10.0.2.2; ping6 -c 1 -w 5 ::1", "1 received"),
        ("echo abc | sha256sum; echo abc | md5sum; ps; top -bn1 >/dev/null; sync", "init"),
        ("wget -T 1 -q http://10.0.2.77/ || echo wget ends with $?", "wget ends with 1"),
        ("for tool in vi wget tar dbclient scp udhcpc dd umount mkfs mkfs.vfat; do which $tool; done", "dbclient"),
        ("curl --version", "https"),
        ("test -x /usr/lib/sftp-server; echo sftp", "sftp"),
        ("grep -c once /etc/user-data-runs", "1"),
    ],
)  # fmt: skip
def test_command(guest, command, expected):
    assert expected in guest.run(command)


def test_config_drive_can_be_mounted_by_its_user(guest):
    mounted = guest.run("sudo mount /dev/vdb /mnt; cat /mnt/openstack/latest/meta_data.json; sudo umount /mnt")
    assert json.loads(mounted)["uuid"] == FIRST


def test_nc_serves_a_program_over_tcp_and_udp(guest):
    script = """
    printf 'HTTP/1.0 200 OK\\r\\nContent-Length: 3\\r\\n\\r\\nok\\n' >/tmp/answer
    nc -lk -p 80 -e cat /tmp/answer </dev/null >/dev/null 2>&1 & tcp=$!
    nc -u -lk -p 5000 -e echo "it's udp" </dev/null >/dev/null 2>&1 & udp=$!
    sleep 1
    for try in 1 2; do
        curl -s http://127.0.0.1/ -d key=value
        echo knock | nc -u -w 1 127.0.0.1 5000
    done
    kill $tcp $udp
    """
    assert guest.run(script).splitlines() == ["ok", "it's udp"] * 2


def test_a_lease_sets_mtu_and_classless_routes_and_spares_the_first_nic(guest):
    lease = "interface=lo ip=192.0.2.5 mask=24 router=192.0.2.1 mtu=1400 dns=192.0.2.3"
    lease += " staticroutes='0.0.0.0/0 192.0.2.1 198.51.100.0/24 192.0.2.9 203.0.113.7/32 0.0.0.0'"
    script = "/etc/udhcpc/default.script"
    try:
        guest.run(f"sudo env {lease} {script} bound")
        routes = guest.run("ip route")
        assert "default via 192.0.2.1 dev lo  metric 101" in routes
        assert "198.51.100.0/24 via 192.0.2.9 dev lo" in routes
        assert "203.0.113.7 dev lo" in routes
        assert "mtu 1400" in guest.run("ip link show lo")
        assert "nameserver 192.0.2.3" in guest.run("cat /etc/resolv.conf")
    finally:
        guest.run(
            f"sudo env interface=lo {script} deconfig; sudo ip link set lo mtu 65536; sudo ip address add 127.0.0.1/8 dev lo"
        )
    assert "192.0.2" not in guest.run("ip route; ip address")
    assert "default via 10.0.2.2 dev eth0" in guest.run("ip route")


def test_a_disk_plugged_in_is_seen_formatted_and_mounted(guest, folder):
    disk = folder / "volume.raw"
    with disk.open("wb") as file:
        file.truncate(32 * 2**20)
    guest.qmp("blockdev-add", driver="raw", **{"node-name": "volume"}, file={"driver": "file", "filename": str(disk)})
    guest.qmp("device_add", driver="virtio-blk-pci", drive="volume", id="volume", bus="slot1", serial="0f0f-serial")
    guest.until("lsblk -lb --nodeps", "vdc")
    guest.until("ls /dev/disk/by-id", "virtio-0f0f-serial")
    for kind in ("ext4", "vfat"):
        guest.run(f"sudo mkfs -t {kind} /dev/vdc >/dev/null 2>&1; sudo mount /dev/vdc /mnt")
        guest.run("echo kept | sudo tee /mnt/file >/dev/null; sudo umount /mnt; sudo mount /dev/vdc /mnt")
        assert guest.run("cat /mnt/file; sudo umount /mnt") == "kept\n"
    guest.qmp("device_del", id="volume")
    guest.until("ls /sys/block | grep -q vdc || echo gone", "gone")


def test_a_nic_plugged_in_gets_an_address_and_leaves_the_default_route(guest):
    guest.qmp("netdev_add", type="user", id="nic1", net="10.77.0.0/24")
    guest.qmp("device_add", driver="virtio-net-pci", netdev="nic1", id="nic1", bus="slot2")
    guest.until("ip -o -4 address show dev eth1", "10.77.0.15/24")
    guest.run("cat /var/run/udhcpc.eth1.pid")
    routes = guest.run("ip route").splitlines()
    assert routes[0].startswith("default via 10.0.2.2 dev eth0"), routes
    assert "dev eth0" in guest.run("ip route get 192.0.2.1")
    guest.qmp("device_del", id="nic1")
    guest.until("ls /sys/class/net | grep -q eth1 || echo gone", "gone")


def test_files_and_host_keys_survive_a_reboot(guest):
    before = guest.host_key()
    guest.run("echo mine >/home/gureum/file; sudo sh -c 'echo ours >/etc/file'; sync")
    boot = guest.run("cat /proc/sys/kernel/random/boot_id").strip()
    guest.ssh("sudo reboot")
    guest.wait_for_console(f"gureum: instance {FIRST} from config drive", timeout_s=120)
    guest.until(f"grep -q {boot} /proc/sys/kernel/random/boot_id || echo new boot", "new boot")
    assert guest.run("cat /home/gureum/file /etc/file") == "mine\nours\n"
    assert guest.host_key() == before
    assert guest.run("cat /etc/user-data-runs") == "once\n"


def test_metadata_service_power_button_and_a_new_instance_id(tmp_path, image, key):
    latest = tmp_path / "openstack/latest"
    latest.mkdir(parents=True)
    (latest / "user_data").write_text("#cloud-config\npassword: secret words\nruncmd: [ls]\n")
    disk = make_disk(tmp_path, image, "200M")
    network = metadata_network(tmp_path)
    host_keys = []
    for uuid, name in ((FIRST, "first"), (SECOND, "second")):
        (latest / "meta_data.json").write_text(json.dumps(identity(key, uuid, name)))
        with Guest(tmp_path, disk, key, network=network) as guest:
            assert guest.run("hostname").strip() == name
            assert uuid in guest.run("curl -s http://169.254.169.254/openstack/latest/meta_data.json")
            assert "cloud-config key ignored: runcmd" in guest.wait_for_console("login:")
            refused = guest.ssh("true", options=("-o", "PubkeyAuthentication=no"))
            assert "password" in refused.stderr, "the user data sets a password, so SSH offers it"
            host_keys.append(guest.host_key())
            pressed = time.monotonic()
            guest.qmp("system_powerdown")
            assert guest.process.wait(timeout=20) == 0
            print(f"power button to off: {time.monotonic() - pressed:.2f} s")
    assert host_keys[0] != host_keys[1]


def write_ec2_layout(folder: Path, key: Path) -> None:
    meta_data = folder / "latest/meta-data"
    (meta_data / "public-keys/0").mkdir(parents=True)
    (meta_data / "instance-id").write_text("i-00000001")
    (meta_data / "hostname").write_text("old.example.org")
    (meta_data / "public-keys/0/openssh-key").write_text(key.with_suffix(".pub").read_text())
    (meta_data / "public-keys/index.html").write_text("0=test")


def test_a_service_that_misses_a_question_is_asked_again_for_the_same_layout(tmp_path, image, key):
    """EC2's layout has another id: read in its stead, it would make the next boot a new instance with new host keys."""
    write_ec2_layout(tmp_path, key)
    latest = tmp_path / "openstack/latest"
    latest.mkdir(parents=True)
    (latest / "meta_data.json").write_text(json.dumps(identity(key, FIRST, "one")))
    (latest / "user_data").write_text(USER_DATA)
    missed = tmp_path / "unanswered"
    missed.write_text("/openstack/latest/meta_data.json /openstack/latest/user_data")
    with Guest(tmp_path, make_disk(tmp_path, image, "200M"), key, network=metadata_network(tmp_path)) as guest:
        assert f"gureum: new instance {FIRST} from metadata service" in guest.wait_for_console("user data ran as 0")
        assert missed.read_text() == ""


def test_ec2_layout_serves_as_well(tmp_path, image, key):
    write_ec2_layout(tmp_path, key)
    network = metadata_network(tmp_path)
    with Guest(tmp_path, make_disk(tmp_path, image, "200M"), key, network=network) as guest:
        assert guest.run("hostname").strip() == "old"
