"""What the control plane may rely on in a host's agent: one suite for the real, the simulated and the remote one.

The real agent runs over the fake hypervisor driver. `restart` stands for a kill: a new agent on the same folder and
engine, with nothing of the old one's memory.
"""

from __future__ import annotations

import re
import threading
import time

import msgspec
import pytest
from tests.contracts.agent_hosts import RealHost, SimulatedHost, eventually, make_image

from gureum.agents.hypervisor.faults import Fault, FaultPlan
from gureum.agents.hypervisor.protocol import GuestData, ImageSource, NicSpec, ServerSpec
from gureum.agents.hypervisor.remote import BusEvents, listen_to_agents, remote_agent, serve_agent
from gureum.agents.hypervisor.simulated import SimulatedHosts, World
from gureum.drivers.image.inspector import Inspector
from gureum.foundation.bus.in_process import InProcessBus
from gureum.foundation.fleet.failure import AgentFailure

HOSTS = {"real": RealHost, "simulated": SimulatedHost}


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    return make_image(tmp_path_factory.mktemp("store") / "image.qcow2")


@pytest.fixture(params=["real", "simulated", "real over the bus", "simulated over the bus"])
def host(request, tmp_path, image):
    kind, _, remote = request.param.partition(" ")
    host = HOSTS[kind](tmp_path / "state", image)
    if remote:
        host.put_behind(InProcessBus())
    yield host
    host.close()


@pytest.fixture(params=["real", "simulated"])
def local_host(request, tmp_path, image):
    host = HOSTS[request.param](tmp_path / "state", image)
    yield host
    host.close()


def spec_of(host, server_id="server-1", **changes):
    nic = NicSpec(
        port_id=f"port-{server_id}",
        network_id="net-1",
        mac="fa:16:3e:00:00:01",
        fixed_ips=("127.0.1.1",),
        metadata_port_id="metadata-port",
        metadata_mac="fa:16:3e:00:00:02",
        metadata_addresses=("10.0.0.2/24",),
    )
    spec = ServerSpec(
        server_id=server_id,
        name="one",
        vcpus=1,
        ram_mib=64,
        root_gib=1,
        power="running",
        boot=1,
        image=host.image,
        nics=(nic,),
        guest=GuestData(meta_data='{"uuid": "server-1"}', ec2={"instance-id": "i-1"}),
    )
    return msgspec.structs.replace(spec, **changes)


def but(spec, **changes):
    return msgspec.structs.replace(spec, **changes)


def observed(host, server_id="server-1"):
    for server in host.agent.observe().servers:
        if server.server_id == server_id:
            return server
    return None


def test_a_host_tells_what_it_is(host):
    seen = host.agent.observe()
    assert re.fullmatch(r" [\d:]{8} up .+,  \d+ users?,  load average: [\d.]+, [\d.]+, [\d.]+", seen.uptime)
    assert seen.host == host.name
    assert seen.version >= 1
    assert seen.resources.vcpus > 0
    assert seen.resources.ram_mib > 0
    assert seen.servers == ()


def test_create_held_then_released(host):
    held = spec_of(host, power="paused")
    for _ in range(2):
        answer = host.agent.ensure_server(held)
        assert (answer.power, answer.boot, answer.disk, answer.problem) == ("paused", 1, 1, "")
        assert answer.nics == ("port-server-1",)
        assert host.agent.console_log("server-1", None) == ""
        host.restart()
    for _ in range(2):
        answer = host.agent.ensure_server(but(held, power="running"))
        assert (answer.power, answer.boot) == ("running", 1)
        assert observed(host) == answer
        host.restart()
    assert host.starts("server-1") == 1


def test_an_image_that_is_not_what_it_says_is_never_booted(host, tmp_path):
    hostile = make_image(tmp_path / "hostile.qcow2", "-b", "/etc/passwd", "-F", "raw", "-u")
    mislabelled = but(host.image, image_id="image-2", disk_format="raw")
    for image in (hostile, mislabelled):
        for _ in range(2):
            with pytest.raises(AgentFailure) as refused:
                host.agent.ensure_server(spec_of(host, image=image))
            assert (refused.value.retry, refused.value.public) == (False, "The image is not what it says it is.")
        assert host.starts("server-1") == 0
        host.agent.remove_server("server-1")
        assert host.agent.observe().servers == ()


def test_every_step_of_a_life_may_be_repeated_and_interrupted(host):
    spec = spec_of(host)
    life = [
        (spec, "running", 1),
        (but(spec, power="paused"), "paused", 1),
        (spec, "running", 1),
        (but(spec, boot=2), "running", 2),
        (but(spec, boot=2, power="stopped"), "stopped", 2),
        (but(spec, boot=3), "running", 3),
        (but(spec, boot=4, disk=2), "running", 4),
        (but(spec, boot=5, grace_s=5), "running", 5),
        (but(spec, boot=5, disk=2, grace_s=5, power="stopped"), "stopped", 5),
    ]
    disk = 1
    for step, power, boot in life:
        disk = max(disk, step.disk)
        wanted = but(step, disk=disk)
        for _ in range(2):
            eventually(
                lambda wanted=wanted, power=power: host.agent.ensure_server(wanted).power == power,
                f"{power} at boot {boot}",
            )
            answer = host.agent.ensure_server(wanted)
            assert (answer.power, answer.boot, answer.disk, answer.problem) == (power, boot, disk, "")
            host.restart()
            assert observed(host) == answer
    assert host.starts("server-1") == 5
    for _ in range(2):
        host.agent.remove_server("server-1")
        assert host.agent.observe().servers == ()
        host.restart()
    assert host.leftovers() == []


def test_a_server_may_be_created_off(host):
    spec = spec_of(host, power="stopped")
    for _ in range(2):
        answer = host.agent.ensure_server(spec)
        assert (answer.power, answer.boot, answer.disk) == ("stopped", 1, 1)
        host.restart()
    assert host.starts("server-1") == 0
    assert host.agent.ensure_server(but(spec, power="running", boot=2)).power == "running"


def test_a_late_call_changes_nothing(host):
    spec = spec_of(host, boot=3, disk=2)
    host.agent.ensure_server(spec)
    for late in (but(spec, boot=2, power="stopped"), but(spec, disk=1, power="stopped")):
        answer = host.agent.ensure_server(late)
        assert (answer.power, answer.boot, answer.disk) == ("running", 3, 2)
    host.restart()
    assert host.agent.ensure_server(but(spec, boot=1, power="stopped")).power == "running"
    assert host.starts("server-1") == 1


def test_a_guest_that_powered_off_is_told_and_may_be_started(host):
    spec = spec_of(host)
    host.agent.ensure_server(spec)
    host.change_power("server-1", "stopped")
    assert observed(host).power == "stopped"
    assert host.agent.ensure_server(but(spec, boot=2)).power == "running"
    host.change_power("server-1", "crashed")
    assert observed(host).power == "crashed"
    assert host.agent.ensure_server(but(spec, boot=3)).power == "running"
    host.change_power("server-1", "crashed")
    assert host.agent.ensure_server(but(spec, boot=3, power="stopped")).power == "stopped"


def test_ports_come_and_go_while_it_runs(host):
    spec = spec_of(host)
    host.agent.ensure_server(spec)
    second = but(spec.nics[0], port_id="port-2", mac="fa:16:3e:00:00:03", fixed_ips=("127.0.1.2",))
    for _ in range(2):
        assert set(host.agent.ensure_server(but(spec, nics=(*spec.nics, second))).nics) == {"port-server-1", "port-2"}
        host.restart()
    for _ in range(2):
        assert host.agent.ensure_server(but(spec, nics=(second,))).nics == ("port-2",)
        host.restart()
    assert host.starts("server-1") == 1


def test_removing_what_is_not_there_is_fine(host):
    host.agent.remove_server("never-was")
    host.agent.remove_server("../../etc")
    assert host.agent.console_log("never-was", 5) == ""


def test_the_console_log_is_read_from_its_end(host):
    spec = spec_of(host)
    host.agent.ensure_server(spec)
    host.write_console("server-1", "first line", "second line", "third line")
    assert host.agent.console_log("server-1", 2) == "second line\nthird line\n"
    assert "first line" in host.agent.console_log("server-1", None)
    assert host.agent.console_log("server-1", 0) == ""
    host.restart()
    assert host.agent.console_log("server-1", 1) == "third line\n"


def test_a_guest_that_posted_no_password_has_none(host):
    """What a guest posts comes by the metadata service, which simulated hosts do not have."""
    host.agent.ensure_server(spec_of(host))
    for server_id in ("server-1", "never-was"):
        host.agent.forget_guest_password(server_id)
        assert host.agent.guest_password(server_id) == ""


def in_threads(*calls):
    failures = []

    def run(call):
        try:
            call()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []


def test_the_same_call_from_many_at_once_boots_once(host):
    spec = spec_of(host)
    in_threads(*[lambda: host.agent.ensure_server(spec)] * 8)
    assert observed(host).power == "running"
    assert host.starts("server-1") == 1
    in_threads(*[lambda: host.agent.ensure_server(but(spec, boot=2))] * 8)
    assert observed(host).boot == 2
    assert host.starts("server-1") == 2


def test_many_servers_at_once(host):
    specs = [spec_of(host, f"server-{number}") for number in range(12)]
    in_threads(*[lambda spec=spec: host.agent.ensure_server(spec) for spec in specs])
    assert {server.power for server in host.agent.observe().servers} == {"running"}
    assert len(host.agent.observe().servers) == 12
    in_threads(*[lambda spec=spec: host.agent.remove_server(spec.server_id) for spec in specs])
    assert host.agent.observe().servers == ()
    assert host.leftovers() == []


def test_removal_beats_creation_in_any_order(host):
    for number in range(6):
        spec = spec_of(host, f"server-{number}")
        in_threads(
            lambda spec=spec: host.agent.ensure_server(spec),
            lambda spec=spec: host.agent.remove_server(spec.server_id),
        )
        host.agent.remove_server(spec.server_id)
    assert host.agent.observe().servers == ()
    assert host.leftovers() == []


def test_an_id_that_is_none_is_refused_for_good(host):
    with pytest.raises(AgentFailure) as caught:
        host.agent.ensure_server(spec_of(host, ""))
    assert not caught.value.retry


class Listener:
    def __init__(self):
        self.beats = []
        self.changes = []

    def heartbeat(self, observed):
        self.beats.append(observed)

    def server_changed(self, host, observed):
        self.changes.append((host, observed))


def test_events_reach_the_control_plane(local_host):
    bus = InProcessBus()
    listener = Listener()
    stop = listen_to_agents(bus, listener)
    local_host.report(BusEvents(bus), heartbeat_s=0.2)
    eventually(lambda: len(listener.beats) >= 2, "two heartbeats")
    assert listener.beats[0].host == local_host.name
    local_host.agent.ensure_server(spec_of(local_host))
    eventually(lambda: listener.beats[-1].servers, "the server in a heartbeat")
    local_host.change_power("server-1", "stopped")
    eventually(lambda: "stopped" in [told.power for _, told in listener.changes], "the change")
    assert listener.changes[-1][0] == local_host.name
    stop()
    bus.close()


def test_a_failure_crosses_the_bus_with_its_texts():
    bus = InProcessBus()
    hosts = SimulatedHosts(1, prefix="h")
    hosts.world.faults.add("h1", Fault("fail", text="disk /dev/x is full", public="no room", retry=False))
    stop = serve_agent(bus, "h1", hosts["h1"])
    agent = remote_agent(bus, "h1")
    spec = ServerSpec("s", "s", 1, 64, 1, "running", 1)
    with pytest.raises(AgentFailure, match="disk /dev/x is full") as caught:
        agent.ensure_server(spec)
    assert (caught.value.public, caught.value.retry) == ("no room", False)
    assert agent.ensure_server(spec).power == "running"
    stop()
    bus.close()


def test_faults_on_demand():
    hosts = SimulatedHosts(3, World(faults=FaultPlan()), prefix="h")
    spec = ServerSpec("s", "s", 1, 64, 1, "running", 1)
    hosts.world.faults.add("h2", Fault("fail", times=2))
    assert hosts["h1"].ensure_server(spec).power == "running"
    for _ in range(2):
        with pytest.raises(AgentFailure):
            hosts["h2"].ensure_server(spec)
    assert hosts["h2"].ensure_server(spec).power == "running"
    hosts.world.faults.add("h3", Fault("hang"))
    thread = threading.Thread(target=hosts["h3"].ensure_server, args=(spec,))
    thread.start()
    thread.join(0.1)
    assert thread.is_alive()
    hosts.world.faults.release()
    thread.join(5)
    assert not thread.is_alive()
    hosts.world.faults.add("h1", Fault("fail", call="observe"))
    listener = Listener()
    hosts.beat(listener.heartbeat)
    assert [beat.host for beat in listener.beats] == ["h2", "h3"]


def test_a_thousand_simulated_hosts_are_cheap():
    import tracemalloc

    tracemalloc.start()
    began = time.monotonic()
    hosts = SimulatedHosts(1000)
    for host in hosts:
        hosts[host].ensure_server(ServerSpec("s", "s", 1, 64, 1, "running", 1, image=ImageSource("i", "raw", 1)))
    took_s = time.monotonic() - began
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size < 8 << 20
    assert took_s < 2


def test_simulated_ports_are_plugged_where_the_server_runs():
    from gureum.drivers.network.fake import FakeNetworkDriver
    from gureum.drivers.network.interface import Network, Port

    network = FakeNetworkDriver()
    network.apply([Network("n", 1, 1442), Port("p", 1, "n", "fa:16:3e:00:00:01", ())])
    hosts = SimulatedHosts(2, World(plugs=network), prefix="h")
    spec = ServerSpec("s", "s", 1, 64, 1, "paused", 1, nics=(NicSpec("p", "n", "fa:16:3e:00:00:01"),))
    hosts["h2"].ensure_server(spec)
    assert network.port_states()["p"] == (True, "h2")
    hosts["h2"].ensure_server(but(spec, power="stopped"))
    assert network.port_states()["p"] == (False, None)
    hosts["h2"].ensure_server(but(spec, boot=2))
    assert network.port_states()["p"] == (True, "h2")
    hosts["h2"].remove_server("s")
    assert network.port_states()["p"] == (False, None)


def copied(host, server_id="server-1", copy_id="copy-1"):
    """Until the copy is whole: its content, read in pieces."""
    seen = []

    def whole():
        seen.append(host.agent.copy_disk(server_id, copy_id))
        return seen[-1].whole

    eventually(whole, "the copy is whole")
    content = b""
    while piece := host.agent.read_copy(server_id, copy_id, len(content)):
        content += piece
    assert len(content) == seen[-1].size_bytes
    return content


@pytest.mark.parametrize("power", ["running", "paused", "stopped"])
def test_the_root_disk_is_copied_whole_in_every_power_state(host, power):
    host.agent.ensure_server(spec_of(host, power=power))
    content = copied(host)
    inspector = Inspector()
    inspector.feed(content)
    found = inspector.finish()
    assert (found.format, found.problems) == ("qcow2", ())
    assert host.agent.observe().servers[0].power == power
    # A whole copy stays what it is, whatever happens to the server, until it is dropped.
    host.restart()
    host.agent.ensure_server(spec_of(host, power="stopped", boot=2))
    assert copied(host) == content
    assert copied(host, copy_id="copy-2")
    for _ in range(2):
        host.agent.drop_copy("server-1", "copy-1")
    assert host.copies("server-1") == {"copy-2"}
    with pytest.raises(AgentFailure) as failure:
        host.agent.read_copy("server-1", "copy-1", 0)
    assert not failure.value.retry
    host.agent.remove_server("server-1")
    assert host.leftovers() == []


def test_there_is_no_copy_of_a_server_that_is_not_here(host):
    for _ in range(2):
        with pytest.raises(AgentFailure) as failure:
            host.agent.copy_disk("server-1", "copy-1")
        assert not failure.value.retry
        host.agent.drop_copy("server-1", "copy-1")
    assert host.leftovers() == []


@pytest.mark.parametrize("power", ["running", "stopped"])
def test_a_copy_is_interrupted_and_goes_on(host, power):
    host.agent.ensure_server(spec_of(host, power=power))
    host.agent.copy_disk("server-1", "copy-1")
    host.restart()
    assert copied(host)
    host.agent.drop_copy("server-1", "copy-1")
    assert host.copies("server-1") == set()


@pytest.mark.parametrize("power", ["running", "stopped"])
def test_a_server_is_started_stopped_and_removed_while_its_disk_is_copied(host, power):
    host.agent.ensure_server(spec_of(host, power=power))
    host.agent.copy_disk("server-1", "copy-1")
    other = "stopped" if power == "running" else "running"
    assert host.agent.ensure_server(spec_of(host, power=other, boot=2)).power == other
    eventually(lambda: attempted(host), "the copy is made in the end")
    host.agent.copy_disk("server-1", "copy-2")
    host.agent.remove_server("server-1")
    assert host.leftovers() == []


def attempted(host):
    try:
        return host.agent.copy_disk("server-1", "copy-1").whole
    except AgentFailure as failure:
        assert failure.retry
        return False
