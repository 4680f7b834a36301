"""With every Gureum process killed, packets and guests go on; `up` adopts what runs and changes none of it."""

from __future__ import annotations

import re
import subprocess
import time
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from tests.system.real_cloud import RealCloud, eventually, ping

from gureum.lab.process import Process, identify, living

pytestmark = [pytest.mark.engines, pytest.mark.filterwarnings("ignore")]

METADATA = "curl -sf -m 2 http://169.254.169.254/latest/meta-data/instance-id"


@pytest.fixture(scope="module")
def cloud():
    with RealCloud("outlives") as cloud:
        yield cloud


@pytest.fixture(scope="module")
def one(cloud):
    cloud.prepare()
    server = cloud.wait_for(cloud.boot("one"))
    ip = cloud.floating_ip(server)
    return SimpleNamespace(server=server, ip=ip, guest=cloud.guest(ip).wait())


@contextmanager
def no_packet_lost(ip, count):
    """Ping ten times a second while the block runs, and demand every answer."""
    words = ["ping", "-q", "-i", "0.1", "-c", str(count), ip]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as pings:
        yield
        said = pings.communicate(timeout=60)[0]
    assert re.search(rf"{count} packets transmitted, {count} received", said), said


def engines(cloud) -> dict[str, Process]:
    """The daemons that are not Gureum's own, and the guests."""
    names = {file.stem for file in cloud.state.run.glob("*.pid")} - set(cloud.own_daemons())
    found = {name: cloud.process(name) for name in names}
    space = cloud.process("host1").namespace("net")
    for pid in living():
        process = identify(pid)
        if process and process.namespace("net") == space:
            found.setdefault(f"in host1: {pid}", process)
    agent = cloud.state.pid_file("host1.agent").read_text().split()[0]
    return {name: process for name, process in found.items() if str(process.pid) != agent}


def test_no_packet_is_lost_while_everything_of_ours_is_dead(cloud, one):
    assert "i-" in one.guest.run(METADATA)
    before = engines(cloud)
    with no_packet_lost(one.ip, 110):
        time.sleep(0.5)
        for daemon in ("supervisor", "control"):
            cloud.kill(daemon)
        assert "i-" in one.guest.run(METADATA), "the agent serves metadata with the control plane dead"
        cloud.kill("host1.agent")
    assert one.guest.run("echo alive").strip() == "alive"
    assert one.guest.run(f"{METADATA} || echo silent").strip() == "silent"
    assert engines(cloud) == before
    cloud.up()
    assert engines(cloud) == before, "`up` adopts what runs"
    one.guest.until(METADATA, "i-", 5)
    eventually(lambda: cloud.status(one.server) == "ACTIVE", 10)


def test_the_adopted_cloud_is_whole(cloud, one):
    another = cloud.wait_for(cloud.boot("two"))
    one.guest.until(f"ping -c 1 -W 2 {next(iter(another.addresses['n']))['addr']}", "1 received", 60)
    cloud.sdk.compute.delete_server(another.id)
    cloud.wait_gone(another)
    assert cloud.domains("host1") == {one.server.id}


def test_the_supervisor_starts_what_is_killed_and_no_packet_is_lost(cloud, one):
    with no_packet_lost(one.ip, 60):
        for daemon in ("control", "host1.agent"):
            cloud.kill(daemon)
        eventually(cloud.running, 30)
    one.guest.until(METADATA, "i-", 5)
    assert "it ended by signal 9" in cloud.state.status.read_text()
    assert cloud.status(one.server) == "ACTIVE"


def test_engines_that_die_are_taken_up_again(cloud, one):
    """libvirt and OVN's daemons may die without a lost packet; with the switch itself packets pause, then flow again."""
    with no_packet_lost(one.ip, 50):
        for daemon in ("host1.libvirtd", "ovn-northd", "ovn-nb", "ovn-sb"):
            cloud.kill(daemon)
        eventually(cloud.running, 30)
    for daemon in ("host1.ovn-controller", "host1.vswitchd", "host1.ovsdb"):
        cloud.kill(daemon)
    eventually(cloud.running, 30)
    eventually(lambda: ping(one.ip, count=1, deadline_s=1), 30)
    one.guest.until(METADATA, "i-", 20)
    cloud.sdk.compute.reboot_server(one.server.id, "HARD")
    cloud.wait_for(one.server)
    one.guest.wait()
    another = cloud.wait_for(cloud.boot("three"))
    one.guest.until(f"ping -c 1 -W 2 {next(iter(another.addresses['n']))['addr']}", "1 received", 60)
