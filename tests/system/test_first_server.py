"""A newcomer's first servers on one real host: README's own commands, then everything a person does with a server.

One cloud for the module, because a boot costs seconds; the tests run in the order of the file and each leaves its
servers running. Packets come from the machine's own shell, through the external network, to floating IPs.
"""

from __future__ import annotations

import base64
import json
import re
import shlex
from types import SimpleNamespace

import pytest
from tests.system.real_cloud import RealCloud, eventually, ping, run

from gureum.cli.terminal import CLONE

pytestmark = [pytest.mark.engines, pytest.mark.filterwarnings("ignore")]

SCRIPT = """#!/bin/sh
echo "user-data-ran public=[$(curl -s http://169.254.169.254/latest/meta-data/public-ipv4)]" >/dev/console
"""


@pytest.fixture(scope="module")
def cloud():
    with RealCloud("first") as cloud:
        yield cloud


@pytest.fixture(scope="module")
def servers(cloud):
    """Three servers: `one` made by README's commands, `two` with a config drive, `three` with user data by metadata."""
    transcript = Transcript(cloud)
    transcript.run_until("openstack server create")
    sdk = cloud.sdk
    cloud.network = sdk.network.find_network("n")
    sdk.compute.create_keypair(name="t", public_key=cloud.key.with_suffix(".key.pub").read_text())
    user_data = base64.b64encode(SCRIPT.encode()).decode()
    two = cloud.boot("two", key_name="t", has_config_drive=True, user_data=user_data)
    three = cloud.boot("three", key_name="t", user_data=user_data)
    transcript.run_until("openstack server stop")
    one = sdk.compute.find_server("one")
    made = {"one": cloud.wait_for(one), "two": cloud.wait_for(two), "three": cloud.wait_for(three)}
    ips = {"one": transcript.ip, "two": cloud.floating_ip(two)}
    guests = {name: cloud.guest(ip).wait() for name, ip in ips.items()}
    guests["one"] = transcript.guest()
    return SimpleNamespace(**made, ips=ips, guests=guests, transcript=transcript)


class Transcript:
    """The commands under README's "A first server", run one by one as they stand there."""

    def __init__(self, cloud):
        self.cloud, self.ip, self.said = cloud, "", {}
        section = (CLONE / "README.md").read_text().partition("## A first server")[2].partition("\n## ")[0]
        lines = [line.partition("#")[0].strip() for line in section.splitlines() if line.startswith("    ")]
        self.left = [part.strip() for line in lines for part in line.split(";") if part.strip()]

    def run_until(self, start):
        while not self.left[0].startswith(start):
            self.run_next()

    def run_next(self):
        line = self.left.pop(0)
        folder = self.cloud.state.root
        words = line.replace(".gureum/", f"{folder}/").replace("k.pem", f"{folder}/k.pem")
        if words.startswith("ssh"):
            words = (
                words.replace("ssh ", "ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null ") + " whoami"
            )
            self.guest().wait()
        if words.startswith("."):
            return
        makes_ip = line.startswith("IP=")
        words = f"{words}; echo $IP" if makes_ip else f"IP={self.ip}; {words}"
        environment = f". {folder}/openrc-demo; export PATH={CLONE}/.venv/bin:$PATH; {words}"
        self.said[line] = said = run("bash", "-ec", environment, timeout_s=180)
        if makes_ip:
            self.ip = said.strip()

    def guest(self):
        guest = self.cloud.guest(self.ip)
        guest._words[guest._words.index("-i") + 1] = f"{self.cloud.state.root}/k.pem"
        return guest


def console(cloud, server):
    return cloud.sdk.compute.get_server_console_output(server.id)["output"]


def boot_id(guest):
    return guest.run("cat /proc/sys/kernel/random/boot_id")


def test_the_readme_ends_in_a_shell_of_the_server(servers):
    said = servers.transcript.said
    assert said["ssh -i k.pem gureum@$IP"].strip() == "gureum"
    assert "ACTIVE" in next(text for line, text in said.items() if "server create" in line)
    assert servers.guests["one"].run("hostname; sudo id -u").split() == ["one", "0"]


def test_the_console_log_ends_in_a_login_prompt(cloud, servers):
    eventually(lambda: re.search(r"one login: *$", console(cloud, servers.one)), 30)
    assert "login:" in cloud.openstack("console", "log", "show", "one", "--lines", "5")


def test_metadata_in_both_layouts(cloud, servers):
    guest = servers.guests["one"]
    fetch = "curl -sf http://169.254.169.254"
    meta = json.loads(guest.run(f"{fetch}/openstack/latest/meta_data.json"))
    assert (meta["uuid"], meta["name"], list(meta["public_keys"])) == (servers.one.id, "one", ["k"])
    network = json.loads(guest.run(f"{fetch}/openstack/latest/network_data.json"))
    port = next(iter(cloud.sdk.network.ports(device_id=servers.one.id)))
    assert [link["ethernet_mac_address"] for link in network["links"]] == [port.mac_address]
    fixed = port.fixed_ips[0]["ip_address"]
    ec2 = f"for key in instance-id local-ipv4 public-ipv4 local-hostname; do {fetch}/latest/meta-data/$key; echo; done"
    shown = guest.run(ec2).split()
    assert shown[1:] == [fixed, servers.ips["one"], "one"]
    assert shown[0].startswith("i-")
    assert "ssh-" in guest.run(f"{fetch}/latest/meta-data/public-keys/0/openssh-key")
    assert "404" in guest.run(f"curl -s -o /dev/null -w '%{{http_code}}' {fetch[9:]}/openstack/latest/no_such")


def test_user_data_is_run_once_from_the_metadata_service(cloud, servers):
    eventually(lambda: "user-data-ran" in console(cloud, servers.three), 30)
    assert "user-data-ran public=[]" in console(cloud, servers.three), "no floating IP at its boot, so none shown"


def test_the_metadata_follows_the_floating_ip(cloud, servers):
    """What the host holds is renewed when an address is tied to the server or taken away."""
    eventually(lambda: "user-data-ran" in console(cloud, servers.three), 30)
    ip = cloud.floating_ip(servers.three)
    guest = cloud.guest(ip).wait()
    ask = "curl -sf http://169.254.169.254/latest/meta-data/public-ipv4"
    guest.until(ask, ip)
    network = cloud.sdk.network
    floating = next(iter(network.ips(floating_ip_address=ip)))
    told = f"(sleep 2; echo shown=[$({ask})] >/dev/console) >/dev/null 2>&1 &"
    guest.run(f"sudo sh -c '{told}'")
    network.update_ip(floating, port_id=None)
    eventually(lambda: "shown=[" in console(cloud, servers.three), 15)
    assert "shown=[]" in console(cloud, servers.three)
    assert not ping(ip, deadline_s=1)
    network.update_ip(floating, port_id=next(iter(network.ports(device_id=servers.three.id))).id)
    guest.wait()
    guest.until(ask, ip)
    servers.ips["three"], servers.guests["three"] = ip, guest


def test_a_config_drive_carries_the_same_documents(cloud, servers):
    guest = servers.guests["two"]
    assert "from config drive" in console(cloud, servers.two)
    eventually(lambda: "user-data-ran" in console(cloud, servers.two), 30)
    guest.run("sudo mkdir -p /mnt/drive; sudo mount -o ro LABEL=config-2 /mnt/drive")
    meta = json.loads(guest.run("cat /mnt/drive/openstack/latest/meta_data.json"))
    assert (meta["uuid"], list(meta["public_keys"])) == (servers.two.id, ["t"])
    assert guest.run("cat /mnt/drive/openstack/latest/user_data") == SCRIPT
    assert json.loads(guest.run("cat /mnt/drive/ec2/latest/meta-data.json"))["local-hostname"] == "two"
    guest.run("sudo umount /mnt/drive")


def test_security_groups_block_real_packets(cloud, servers):
    guest, ip = servers.guests["three"], servers.ips["three"]
    network = cloud.sdk.network
    closed = network.create_security_group(name="closed")
    ssh = {"protocol": "tcp", "port_range_min": 22, "port_range_max": 22}
    network.create_security_group_rule(security_group_id=closed.id, direction="ingress", **ssh)
    port = next(iter(network.ports(device_id=servers.three.id)))
    network.update_port(port, security_groups=[closed.id])
    eventually(lambda: not ping(ip, count=1, deadline_s=1), 10)
    assert guest.answers()
    assert ping(servers.ips["one"]), "the other servers' group lets ping in"
    rule = network.create_security_group_rule(security_group_id=closed.id, direction="ingress", protocol="icmp")
    eventually(lambda: ping(ip, count=1, deadline_s=1), 10)
    network.delete_security_group_rule(rule)
    eventually(lambda: not ping(ip, count=1, deadline_s=1), 10)
    guest.run("ping -c 1 -W 3 10.0.0.1")  # stateful: what the guest begins is answered


def test_stop_is_a_shutdown_that_the_guest_hears_and_start_brings_it_back(cloud, servers):
    guest, compute = servers.guests["one"], cloud.sdk.compute
    guest.run("sudo sh -c 'echo kept >/root/kept'")  # not synced: only an orderly shutdown keeps it for certain
    compute.stop_server(servers.one.id)
    stopped = cloud.wait_for(servers.one, "SHUTOFF", 40)
    assert stopped.power_state == 4
    guest.wait_silent(5)
    compute.start_server(servers.one.id)
    cloud.wait_for(servers.one)
    guest.wait()
    assert guest.run("sudo cat /root/kept").strip() == "kept"


def test_reboots_soft_and_hard(cloud, servers):
    before = {name: boot_id(servers.guests[name]) for name in ("one", "two")}
    cloud.sdk.compute.reboot_server(servers.one.id, "SOFT")
    cloud.sdk.compute.reboot_server(servers.two.id, "HARD")
    for name in before:
        cloud.wait_for(getattr(servers, name), "ACTIVE", 60)
        assert boot_id(servers.guests[name].wait()) != before[name]


def test_pause_stops_time_for_the_guest(cloud, servers):
    guest, compute = servers.guests["two"], cloud.sdk.compute
    before = boot_id(guest)
    compute.pause_server(servers.two.id)
    assert cloud.wait_for(servers.two, "PAUSED").power_state == 3
    assert not ping(servers.ips["two"], count=3, deadline_s=1)
    compute.unpause_server(servers.two.id)
    cloud.wait_for(servers.two)
    assert boot_id(guest.wait()) == before


def test_a_guest_that_powers_itself_off_is_shown_stopped(cloud, servers):
    servers.guests["two"].run("(sleep 0.5; sudo poweroff) >/dev/null 2>&1 &")
    cloud.wait_for(servers.two, "SHUTOFF", 30)
    cloud.sdk.compute.start_server(servers.two.id)
    cloud.wait_for(servers.two)
    servers.guests["two"].wait()


def test_the_readme_s_last_commands(cloud, servers):
    """stop, start, reboot --hard and delete, each when the one before is done."""
    states = {"stop": "SHUTOFF", "start": "ACTIVE", "reboot": "ACTIVE"}
    verbs = []
    while servers.transcript.left:
        verb = shlex.split(servers.transcript.left[0])[2]
        servers.transcript.run_next()
        verbs.append(verb)
        if verb in states:
            cloud.wait_for(servers.one, states[verb], 60)
    assert verbs == ["stop", "start", "reboot", "delete"]
    cloud.wait_gone(servers.one)
    assert list(cloud.sdk.network.ports(device_id=servers.one.id)) == []
    eventually(lambda: cloud.domains("host1") == {servers.two.id, servers.three.id}, 5)
    folder = cloud.state.host("host1")
    assert not [file for file in folder.rglob(f"*{servers.one.id}*") if "/log" not in str(file)]
    floating = next(iter(cloud.sdk.network.ips(floating_ip_address=servers.ips["one"])))
    assert (floating.port_id, floating.status) == (None, "DOWN")


def test_down_and_up_again_brings_servers_back_by_itself(cloud, servers):
    guest = servers.guests["two"]
    guest.run("sudo sh -c 'echo kept >/root/kept; sync'")
    cloud.sdk.compute.stop_server(servers.three.id)
    cloud.wait_for(servers.three, "SHUTOFF", 60)
    cloud.down()
    log = cloud.state.host("host1") / "instances" / servers.two.id / "console.log"
    assert "Power down" in log.read_text(errors="replace"), "the guest was asked, its power was not cut"
    (left,) = cloud.traces()
    assert left.startswith("unreachable"), "down leaves the route that keeps the range's packets on the machine"
    cloud.up()
    guest.wait()
    assert guest.run("sudo cat /root/kept; cat /proc/uptime").split()[0] == "kept"
    assert cloud.wait_for(servers.two).addresses["n"][1]["addr"] == servers.ips["two"]
    assert cloud.status(servers.three) == "SHUTOFF", "what was stopped stays so"
    assert cloud.wait_for(servers.three, "SHUTOFF").power_state == 4


def test_purge_leaves_nothing(cloud, servers):
    assert cloud.traces()
    said = cloud.command("status") if cloud.running() else ""
    assert "running" in said
    cloud.purge()
    assert not cloud.state.root.exists()
    assert cloud.traces() == []
