"""From options to a lab: pure, so it is proven without root."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
import subprocess
from pathlib import Path

import msgspec
import pytest

from gureum.foundation.config import ConfigError, load
from gureum.lab import addressing
from gureum.lab.credentials import clouds_text, config_text, openrc_text, public_url
from gureum.lab.daemon import Plan, in_order, read_plan, write_plan
from gureum.lab.plan import (
    Facts,
    Options,
    agent_bus,
    agent_settings,
    choose_options,
    lab_fabric,
    lab_hosts,
    make_plan,
    without,
)
from gureum.lab.refusal import Refusal
from gureum.lab.state import StateFolder, open_state
from gureum.lab.stopping import _layers
from gureum.roles.agent import AgentSettings
from gureum.roles.assembly import read_config
from gureum.services.compute.config import HypervisorConfig
from gureum.services.identity.config import FirstUsersConfig
from gureum.services.network.config import FirstNetworkConfig, NetworkConfig

FACTS = Facts(
    Path("/clone/src"), Path("/clone/.cache"), python="/clone/.venv/bin/python", external_cidr="198.18.7.0/24"
)
STATE = StateFolder(Path("/tmp/cloud"))


def daemon(plan: Plan, name: str):
    return next(one for one in plan.daemons if one.name == name)


def test_a_real_lab_has_a_centre_a_fabric_and_each_hosts_own_engines():
    plan = make_plan(STATE, Options(hosts=3), FACTS)
    parts = {"", ".ovsdb", ".vswitchd", ".ovn-controller", ".libvirtd", ".agent"}
    expected = {"ovn-nb", "ovn-sb", "ovn-northd", "fabric", "control"} | {
        f"host{n}{part}" for n in (1, 2, 3) for part in parts
    }
    assert {one.name for one in plan.daemons} == expected
    assert plan.namespaces == ("fabric", "host1", "host2", "host3")
    assert len(list(in_order(plan.daemons))) == len(expected)


def test_a_simulated_lab_is_one_process_whatever_its_size():
    plan = make_plan(STATE, Options(hosts=1000, simulate=True), FACTS)
    assert [one.name for one in plan.daemons] == ["control"]
    assert not plan.cleanup.links
    assert not plan.namespaces


def test_links_fit_the_kernels_fifteen_characters_and_carry_the_labs_name():
    plan = make_plan(STATE, Options(hosts=200), FACTS)
    assert all(len(link) <= 15 and link.startswith(STATE.lab) for link in plan.cleanup.links)
    assert len("u-host200") <= 15


def test_two_folders_are_two_labs():
    assert StateFolder(Path("/tmp/a")).lab != StateFolder(Path("/tmp/b")).lab


def test_tunnel_addresses_differ_and_stay_in_their_range():
    addresses = [addressing.tunnel_address(index) for index in range(1, 1001)]
    assert len(set(addresses)) == 1000
    assert all(ipaddress.ip_address(one) in ipaddress.ip_network("100.64.0.0/16") for one in addresses)
    assert not any(one.endswith((".0", ".255")) for one in addresses)


def test_a_taken_range_is_passed_over():
    first = addressing.external_range("g000007", [])
    assert first == "198.18.7.0/24"
    assert addressing.external_range("g000007", [ipaddress.IPv4Network("198.18.7.128/25")]) == "198.18.8.0/24"


def test_no_free_range_is_said_with_a_remedy():
    with pytest.raises(Refusal, match="down --purge"):
        addressing.external_range("g000007", [ipaddress.IPv4Network("198.18.0.0/15")])


def test_the_labs_own_route_and_link_do_not_count_as_taken():
    routes = [
        {"dst": "198.18.7.0/24", "dev": "g000007-ext"},
        {"type": "unreachable", "dst": "198.18.7.0/24", "metric": addressing.route_metric("g000007")},
        {"type": "unreachable", "dst": "198.18.9.0/24", "metric": addressing.route_metric("g000009")},
        {"dst": "default", "dev": "eth0"},
        {"dst": "10.0.0.5"},
    ]
    taken = addressing.taken_ranges(routes, "g000007", "g000007-ext")
    assert [str(one) for one in taken] == ["198.18.9.0/24", "10.0.0.5/32"]


def test_what_is_not_asked_is_remembered_and_what_is_asked_wins():
    chosen = choose_options({"hosts": None, "port": 9000}, {"hosts": 3, "port": 8000, "external_cidr": "x"})
    assert (chosen.hosts, chosen.port, chosen.simulate) == (3, 9000, False)


@pytest.mark.parametrize(
    ("asked", "remembered", "words"),
    [
        ({"simulate": True}, {"simulate": False}, "holds a real cloud"),
        ({"hosts": 0}, {}, "out of range"),
        ({"hosts": 201}, {}, "1 to 200"),
        ({"port": 70000}, {}, "not a port"),
        ({"simulate": True, "uplink": "eth0"}, {}, "sends no packets"),
        ({"database": "mysql://u:hush@h/n"}, {}, r"--database mysql: is no database"),
        ({"bus": "redis://u:hush@h"}, {}, r"--bus redis: is no bus"),
    ],
)
def test_options_that_cannot_be_are_refused_in_one_sentence(asked, remembered, words):
    with pytest.raises(Refusal, match=words):
        choose_options(asked, remembered)


def test_remembered_simulation_needs_no_flag():
    assert choose_options({"simulate": None}, {"simulate": True, "hosts": 8}) == Options(hosts=8, simulate=True)


def read(text, folder):
    """The configuration as a control plane reads it."""
    (folder / "gureum.toml").write_text(text)
    return read_config(folder / "gureum.toml")


def test_the_configuration_is_what_the_control_plane_reads(tmp_path):
    state = StateFolder(tmp_path)
    real = read(config_text(state, Options(hosts=2), FACTS), tmp_path)
    network = real.section(NetworkConfig)
    assert network.northbound == f"unix:{tmp_path}/ovn/nb.sock"
    assert (network.driver, real.section(HypervisorConfig).mode) == ("ovn", "remote")
    assert real.section(FirstNetworkConfig).external_cidr == "198.18.7.0/24"
    simulated = read(config_text(state, Options(hosts=9, simulate=True), FACTS), tmp_path)
    assert simulated.section(NetworkConfig).driver == "fake"
    assert (simulated.section(HypervisorConfig).simulated_hosts, simulated.bus.url) == (9, "inprocess:")
    assert simulated.section(FirstUsersConfig) == real.section(FirstUsersConfig), "passwords are made once"


def test_a_hosts_settings_are_what_its_agent_reads(tmp_path):
    host = lab_hosts(StateFolder(tmp_path), Options(), FACTS)[0]
    read = msgspec.convert(agent_settings(StateFolder(tmp_path), Options(), FACTS, host), AgentSettings)
    assert (read.datapath, read.host_ip) == ("netdev", "100.64.0.2")


@pytest.mark.parametrize(
    ("listen", "url"),
    [("127.0.0.1", "http://127.0.0.1:8774"), ("::1", "http://[::1]:8774"), ("192.0.2.7", "http://192.0.2.7:8774")],
)
def test_clients_are_told_an_address_that_they_can_use(listen, url):
    assert public_url(Options(listen=listen)) == url


def test_listening_everywhere_is_never_told_as_an_address():
    assert "0.0.0.0" not in public_url(Options(listen="0.0.0.0"))


def test_credentials_survive_the_shell_and_yaml():
    assert "export OS_PASSWORD='a-b_c'\n" in openrc_text("http://h/identity/v3", "admin", "admin", "a-b_c")
    chosen = "it's $HOME; `id`"  # an operator's own
    text = openrc_text("http://h/identity/v3", "admin", "admin", chosen) + 'printf %s "$OS_PASSWORD"'
    assert subprocess.run(["sh", "-c", text], check=True, capture_output=True, text=True).stdout == chosen
    text = clouds_text("http://h/identity/v3", {"admin": "one", "demo": "two"})
    assert "  gureum-admin:\n" in text
    assert 'password: "two"\n      project_name: demo' in text


def test_an_agent_reaches_a_broker_through_its_own_loopback():
    options = Options(bus="amqp://user:pa%40ss@broker.example:5673/vhost")
    assert agent_bus(STATE, options) == "amqp://user:pa%40ss@127.0.0.1:5672/vhost"
    forward = daemon(make_plan(STATE, options, FACTS), "bus-forward")
    assert "broker.example:5673" in forward.argv
    assert "{pid:host1}" in forward.argv
    assert "bus-forward" in daemon(make_plan(STATE, options, FACTS), "host1.agent").depends


def test_the_embedded_bus_needs_no_forwarder():
    assert agent_bus(STATE, Options()) == "unix:/tmp/cloud/run/bus.sock"
    assert "bus-forward" not in {one.name for one in make_plan(STATE, Options(), FACTS).daemons}


def test_checksums_are_made_early_for_the_user_space_datapath_only():
    user_space = daemon(make_plan(STATE, Options(), FACTS), "host1")
    kernel = daemon(make_plan(STATE, Options(), Facts(Path("/s"), kernel_datapath=True)), "host1")
    assert "tx off" in user_space.outside + user_space.after
    assert "tx off" not in kernel.outside + kernel.after
    assert "--disable-system" in daemon(make_plan(STATE, Options(), FACTS), "host1.vswitchd").argv


def test_the_external_network_has_a_way_out_only_when_asked():
    closed = daemon(make_plan(STATE, Options(), FACTS), "fabric").outside
    assert "echo 0 > /proc/sys/net/ipv4/conf/" in closed
    assert "nft" not in closed
    opened = make_plan(STATE, Options(uplink="eth9"), FACTS)
    assert 'oifname "eth9" masquerade' in daemon(opened, "fabric").outside
    assert opened.cleanup.nft_table == STATE.lab


def test_others_are_let_in_only_when_asked():
    entry = f'iifname "eth9" oifname "{STATE.lab}-ext" accept'
    assert entry not in daemon(make_plan(STATE, Options(uplink="eth9"), FACTS), "fabric").outside
    assert entry in daemon(make_plan(STATE, Options(uplink="eth9", inbound=True), FACTS), "fabric").outside
    with pytest.raises(Refusal, match="--uplink"):
        choose_options({"inbound": True}, {})


def test_guests_are_told_of_name_servers_elsewhere(tmp_path):
    text = "# a comment\nsearch example.org\nnameserver 127.0.0.53\nnameserver 10.1.2.3\nnameserver fe80::1%eth0\n"
    assert addressing.name_servers(text) == ["10.1.2.3"]
    facts = dataclasses.replace(FACTS, dns_servers=("10.1.2.3",))
    config = read(config_text(StateFolder(tmp_path), Options(uplink="eth0"), facts), tmp_path)
    assert config.section(NetworkConfig).dns_servers == ["10.1.2.3"]


def test_the_gateway_keeps_its_mac_over_down_and_up():
    """OVN's southbound database remembers the MAC that it learnt; a new one would never be learnt."""
    macs = {lab: lab_fabric(StateFolder(Path(lab)), Options(), FACTS).gateway_mac for lab in ("/tmp/a", "/tmp/b")}
    assert macs == {lab: lab_fabric(StateFolder(Path(lab)), Options(), FACTS).gateway_mac for lab in macs}
    assert len(set(macs.values())) == 2
    assert all(re.fullmatch("02(:[0-9a-f]{2}){5}", mac) for mac in macs.values())


def test_a_plan_crosses_to_the_supervisor_whole(tmp_path):
    plan = make_plan(STATE, Options(hosts=2, uplink="eth0"), FACTS)
    write_plan(plan, tmp_path / "plan.json")
    assert read_plan(tmp_path / "plan.json") == plan
    assert (tmp_path / "plan.json").stat().st_mode & 0o077 == 0


def test_engines_stop_before_what_they_need():
    engines = [
        one for one in make_plan(STATE, Options(hosts=1), FACTS).daemons if one.name not in {"control", "host1.agent"}
    ]
    layers = [{one.name for one in layer} for layer in _layers(engines)]
    place = {name: number for number, layer in enumerate(layers) for name in layer}
    assert place["host1.ovn-controller"] < place["host1.vswitchd"] < place["host1.ovsdb"] < place["host1"]
    assert place["ovn-northd"] < place["ovn-nb"]


def test_a_circle_of_dependencies_is_a_mistake_that_is_seen():
    one = daemon(make_plan(STATE, Options(simulate=True), FACTS), "control")
    with pytest.raises(ValueError, match="wait for each other"):
        list(in_order([type(one)(name="a", title="a", argv=(), depends=("a",))]))


@pytest.mark.parametrize("folder", ["/run/x", "/tmp/a b", "/tmp/" + "x" * 80, "/var/lib/libvirt/cloud", "/tmp/$x"])
def test_folders_where_sockets_or_mounts_could_not_work_are_refused(folder):
    with pytest.raises(Refusal, match="--state"):
        open_state(folder)


def test_no_command_line_of_a_lab_holds_a_password():
    secret = "not-for-every-user"
    options = Options(hosts=2, database=f"postgresql+psycopg://u:{secret}@db/cloud", bus=f"amqp://u:{secret}@broker")
    plan = make_plan(STATE, options, FACTS)
    assert {one.name for one in plan.daemons} > {"control", "bus-forward", "host1.agent"}
    told = [word for one in plan.daemons for word in (*one.argv, *one.environment.values(), one.before, one.outside)]
    assert not [word for word in told if secret in word]
    settings = agent_settings(STATE, options, FACTS, lab_hosts(STATE, options, FACTS)[0])
    assert settings["bus"] == agent_bus(STATE, options)


def test_an_option_that_is_reset_is_as_if_it_had_never_been_named():
    remembered = {"simulate": True, "hosts": 3, "bus": "amqp://b", "port": 9000, "external_cidr": "x"}
    assert choose_options({}, without(remembered, ["bus", "hosts"])) == Options(simulate=True, port=9000)
    assert choose_options({"bus": "amqp://c"}, without(remembered, ["bus"])).bus == "amqp://c"


def test_the_configuration_refuses_what_it_cannot_open_without_telling_passwords(tmp_path):
    for text in ('[database]\nurl = "mysql://u:hush@h/n"', '[bus]\nurl = "redis://u:hush@h"'):
        (tmp_path / "a.toml").write_text(text)
        with pytest.raises(ConfigError, match=r"url: (mysql|redis): cannot be used here; write ") as caught:
            load(tmp_path / "a.toml")
        assert "hush" not in str(caught.value)
