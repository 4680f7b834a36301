"""The real agent's own side: disks, images, metadata, guests that do not listen, and a host in disorder."""

from __future__ import annotations

import base64
import http.server
import json
import socket
import subprocess
import threading
import time
from pathlib import Path

import msgspec
import pytest
from tests.contracts.agent_hosts import RealHost, eventually, make_image

from gureum.agents.hypervisor.protocol import GuestData, ImageSource, NicSpec, ServerSpec
from gureum.drivers.hypervisor.interface import HypervisorError
from gureum.foundation.fleet.failure import AgentFailure

GIB = 1 << 30


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    return make_image(tmp_path_factory.mktemp("store") / "image.qcow2")


@pytest.fixture
def host(tmp_path, image):
    host = RealHost(tmp_path / "state", image)
    yield host
    host.close()


def spec_of(host, server_id="server-1", address="127.0.1.1", **changes):
    nic = NicSpec(
        port_id=f"port-{server_id}",
        network_id="net-1",
        mac="fa:16:3e:00:00:01",
        fixed_ips=(address,),
        metadata_port_id="metadata-port",
        metadata_mac="fa:16:3e:00:00:02",
        metadata_addresses=("10.0.0.2/24",),
    )
    guest = GuestData(meta_data=json.dumps({"uuid": server_id}), ec2={"instance-id": f"i-{server_id}"})
    spec = ServerSpec(server_id, "one", 1, 64, 1, "running", 1, image=host.image, nics=(nic,), guest=guest)
    return but(spec, **changes)


def but(spec, **changes):
    return msgspec.structs.replace(spec, **changes)


def info(path, image_format="qcow2"):
    done = subprocess.run(
        ["qemu-img", "info", "-U", "--output=json", "-f", image_format, path],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def observed(host, server_id="server-1"):
    return {server.server_id: server for server in host.agent.observe().servers}.get(server_id)


def folder_of(host, server_id="server-1"):
    return host.folder / "instances" / server_id


def ask(host, path="/latest/meta-data/instance-id", source="127.0.1.1", network="net-1"):
    with socket.create_connection(host.wiring.address(network), timeout=5, source_address=(source, 0)) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\n\r\n".encode())
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body.decode()


class Events:
    def __init__(self):
        self.changes = []

    def heartbeat(self, observed):
        pass

    def server_changed(self, host, observed):
        self.changes.append(observed)


def test_the_root_disk_is_an_overlay_with_named_formats(host):
    host.agent.ensure_server(spec_of(host, root_gib=2))
    root = info(folder_of(host) / "disk")
    assert root["format"] == "qcow2"
    assert root["virtual-size"] == 2 * GIB
    assert root["backing-filename"] == str(host.folder / "images" / "image-1.qcow2")
    assert root["backing-filename-format"] == "qcow2"


def test_without_a_size_the_root_disk_is_as_large_as_the_image(host):
    host.agent.ensure_server(spec_of(host, root_gib=0))
    assert info(folder_of(host) / "disk")["virtual-size"] == 3 << 20


def test_a_bigger_size_grows_the_root_disk_at_the_next_boot(host):
    host.agent.ensure_server(spec_of(host))
    before = (folder_of(host) / "disk").stat().st_ino
    host.agent.ensure_server(spec_of(host, root_gib=3, boot=2))
    assert info(folder_of(host) / "disk")["virtual-size"] == 3 * GIB
    assert (folder_of(host) / "disk").stat().st_ino == before


def test_ephemeral_disk_swap_and_config_drive(host):
    guest = GuestData(user_data=base64.b64encode(b"#!/bin/sh").decode())
    host.agent.ensure_server(spec_of(host, ephemeral_gib=1, swap_mib=8, config_drive=True, guest=guest))
    folder = folder_of(host)
    assert (folder / "disk.ephemeral0").stat().st_size == GIB
    assert (folder / "disk.ephemeral0").stat().st_blocks * 512 < GIB / 8, "it is sparse"
    label = subprocess.run(
        ["blkid", "-o", "value", "-s", "LABEL", folder / "disk.ephemeral0"], capture_output=True, text=True, check=True
    )
    assert label.stdout.strip() == "ephemeral0"
    assert b"SWAPSPACE2" in (folder / "disk.swap").read_bytes()[:4096]
    assert b"config-2" in (folder / "config.iso").read_bytes()[: 40 * 2048]
    assert {path.name for path in folder.iterdir()} <= {
        "disk", "disk.ephemeral0", "disk.swap", "config.iso", "console.log"
    }  # fmt: skip


def test_a_rebuild_makes_the_disk_anew_and_a_reboot_does_not(host):
    host.agent.ensure_server(spec_of(host))
    first = (folder_of(host) / "disk").stat().st_ino
    host.agent.ensure_server(spec_of(host, boot=2))
    assert (folder_of(host) / "disk").stat().st_ino == first
    host.agent.ensure_server(spec_of(host, boot=3, disk=2))
    assert (folder_of(host) / "disk").stat().st_ino != first


def test_a_flavor_too_small_for_the_image_is_final_and_public(host, tmp_path):
    path = tmp_path / "big.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "2G"], check=True)
    big = ImageSource("image-2", "qcow2", path.stat().st_size, path=str(path))
    with pytest.raises(AgentFailure) as caught:
        host.agent.ensure_server(spec_of(host, image=big))
    assert not caught.value.retry
    assert caught.value.public == "The flavor's disk is smaller than the image."
    assert observed(host).power == "absent"
    assert "2147483648" in observed(host).problem
    host.agent.remove_server("server-1")
    assert host.leftovers() == []


def test_a_lying_image_starts_nothing(host):
    lying = ImageSource("image-3", "raw", host.image.size_bytes, path=host.image.path)
    with pytest.raises(AgentFailure) as caught:
        host.agent.ensure_server(spec_of(host, image=lying))
    assert not caught.value.retry
    assert host.starts("server-1") == 0
    assert list((host.folder / "images").iterdir()) == []


def test_a_lost_disk_is_not_replaced_by_an_empty_one(host):
    with pytest.raises(AgentFailure, match="no root disk") as caught:
        host.agent.ensure_server(spec_of(host, image=None))
    assert not caught.value.retry
    host.agent.ensure_server(spec_of(host))
    assert host.agent.ensure_server(spec_of(host, image=None, boot=2)).boot == 2


def test_a_deaf_guest_is_forced_after_its_grace_and_nobody_else_waits(host):
    events = Events()
    host.agent.report(events)
    host.agent.ensure_server(spec_of(host))
    host.set_deaf("server-1")
    began = time.monotonic()
    answer = host.agent.ensure_server(spec_of(host, power="stopped", grace_s=2))
    assert (answer.power, answer.problem) == ("running", "")
    host.agent.ensure_server(spec_of(host, "server-2", "127.0.1.2"))
    host.agent.remove_server("server-2")
    assert time.monotonic() - began < 1.9, "one server's grace held another up"
    eventually(lambda: observed(host).power == "stopped", "the forced stop")
    assert time.monotonic() - began >= 2
    eventually(lambda: [told.power for told in events.changes] == ["stopped"], "the change is told")


def test_a_listening_guest_stops_within_the_call(host):
    host.agent.ensure_server(spec_of(host))
    assert host.agent.ensure_server(spec_of(host, power="stopped", grace_s=60)).power == "stopped"
    assert host.agent.ensure_server(spec_of(host, boot=2)).power == "running"
    assert host.agent.ensure_server(spec_of(host, boot=3, grace_s=60)).boot == 3


def test_a_hard_reboot_does_not_wait_for_a_soft_one(host):
    host.agent.ensure_server(spec_of(host))
    host.set_deaf("server-1")
    assert host.agent.ensure_server(spec_of(host, boot=2, grace_s=60)).boot == 1
    answer = host.agent.ensure_server(spec_of(host, boot=3))
    assert (answer.power, answer.boot) == ("running", 3)
    assert host.starts("server-1") == 2


def test_removal_does_not_wait_for_a_guest(host):
    host.agent.ensure_server(spec_of(host))
    host.set_deaf("server-1")
    host.agent.ensure_server(spec_of(host, power="stopped", grace_s=60))
    host.agent.remove_server("server-1")
    assert host.leftovers() == []


def test_a_killed_agent_forgets_no_grace_that_is_repeated(host):
    host.agent.ensure_server(spec_of(host))
    host.set_deaf("server-1")
    host.agent.ensure_server(spec_of(host, boot=2, grace_s=1))
    host.restart()
    eventually(lambda: host.agent.ensure_server(spec_of(host, boot=2, grace_s=1)).boot == 2, "the reboot")
    assert host.starts("server-1") == 2


def test_metadata_answers_after_a_restart_and_leaves_with_the_last_guest(host):
    host.agent.ensure_server(spec_of(host))
    host.agent.ensure_server(spec_of(host, "server-2", "127.0.1.2"))
    for _ in range(2):
        eventually(lambda: host.agent.metadata_networks() == {"net-1"}, "metadata is served")
        assert ask(host) == (200, "i-server-1")
        assert ask(host, source="127.0.1.2") == (200, "i-server-2")
        assert ask(host, source="127.0.1.3")[0] == 404
        host.restart()
    host.agent.remove_server("server-1")
    eventually(lambda: ask(host, source="127.0.1.2") == (200, "i-server-2"), "the other still asks")
    assert ask(host)[0] == 404
    host.agent.remove_server("server-2")
    assert host.wiring.existing() == set()


def test_a_network_that_cannot_be_wired_starts_no_guest(host):
    host.wiring.failing = "ovs-vsctl: no answer"
    with pytest.raises(AgentFailure, match="no answer") as caught:
        host.agent.ensure_server(spec_of(host))
    assert caught.value.retry
    assert host.starts("server-1") == 0
    host.wiring.failing = ""
    assert host.agent.ensure_server(spec_of(host)).problem == ""


def test_an_engine_that_fails_is_told_and_tried_again(host):
    def fail(name):
        if name == "start":
            raise HypervisorError("internal error: process exited")

    host.driver.before_call = fail
    with pytest.raises(AgentFailure, match="process exited") as caught:
        host.agent.ensure_server(spec_of(host))
    assert caught.value.retry
    assert caught.value.public == ""
    assert "process exited" in observed(host).problem
    host.driver.before_call = lambda name: None
    assert host.agent.ensure_server(spec_of(host)).problem == ""


def test_what_nobody_asked_for_is_told_and_can_be_removed(host):
    host.agent.ensure_server(spec_of(host))
    host.stop_agent()
    for path in sorted((host.folder / "servers" / "server-1").iterdir()):
        path.unlink()
    host.replace_agent()
    assert (observed(host).power, observed(host).problem) == ("running", "unknown")
    host.fake.remove("server-1")
    assert (observed(host).power, observed(host).problem) == ("absent", "unknown")
    host.agent.remove_server("server-1")
    assert host.agent.observe().servers == ()
    eventually(lambda: host.leftovers() == [], "its network is unwired")


def test_one_bad_server_never_stops_the_others(host):
    host.agent.ensure_server(spec_of(host))
    host.agent.ensure_server(spec_of(host, "server-2", "127.0.1.2"))
    (host.folder / "servers" / "server-1" / "spec.json").write_text("{")
    host.restart()
    assert observed(host).problem.startswith("unreadable state")
    assert observed(host).power == "running"
    assert host.agent.ensure_server(spec_of(host, "server-2", "127.0.1.2", boot=2)).boot == 2
    assert host.agent.ensure_server(spec_of(host)).problem == ""
    assert host.starts("server-1") == 1
    assert host.agent.ensure_server(spec_of(host)).boot == 1


def test_a_slow_image_keeps_no_caller_and_no_other_server_waiting(tmp_path, image):
    gate = threading.Event()
    content = Path(image.path).read_bytes()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(content[:1000])
            gate.wait(20)
            self.wfile.write(content[1000:])

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    host = RealHost(tmp_path / "state", image, answer_s=0.3)
    try:
        url = f"http://127.0.0.1:{server.server_port}/image?expires="
        slow = ImageSource("image-4", "qcow2", len(content), image.sha512, url=url + "1")
        with pytest.raises(AgentFailure, match="still at work") as caught:
            host.agent.ensure_server(spec_of(host, image=slow))
        assert caught.value.retry
        assert host.agent.ensure_server(spec_of(host, "server-2", "127.0.1.2")).power == "running"
        with pytest.raises(AgentFailure, match="still at work"):
            host.agent.ensure_server(spec_of(host, image=but(slow, url=url + "2")))
        gate.set()
        eventually(lambda: observed(host).power == "running", "the server")
        assert host.starts("server-1") == 1
    finally:
        gate.set()
        host.close()
        server.shutdown()
        thread.join()
        server.server_close()


def test_upkeep_bounds_console_logs_and_drops_unused_images(host):
    host.agent.ensure_server(spec_of(host))
    log = folder_of(host) / "console.log"
    log.write_bytes(b"x" * (5 << 20))
    host.agent.keep_up()
    assert log.stat().st_size == 1 << 20
    host.options["unused_image_hours"] = -1.0
    host.restart()
    host.agent.keep_up()
    assert (host.folder / "images" / "image-1.qcow2").exists(), "a disk stands on it"
    host.agent.remove_server("server-1")
    host.agent.keep_up()
    assert list((host.folder / "images").iterdir()) == []


def test_metadata_is_wired_again_as_soon_as_the_switch_is_back(host):
    host.agent.ensure_server(spec_of(host))
    host.wiring.remove("net-1")
    host.wiring.failing = "ovs-vsctl: database connection failed"
    host.restart()
    time.sleep(0.2)
    assert host.agent.metadata_networks() == set()
    host.wiring.failing = ""
    eventually(lambda: host.agent.metadata_networks() == {"net-1"}, "the next round of upkeep wires it", 3)
    assert ask(host) == (200, "i-server-1")
