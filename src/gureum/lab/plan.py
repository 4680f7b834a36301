"""From options to a whole lab, purely: names, addresses, daemons. Nothing is read from the machine but what comes in.

`Options` is what the user asked for, `Facts` what the machine answered. Options that are not given are taken from what
the state folder remembers, so that `up` after `down` brings back the same lab.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gureum.foundation.urls import BUSES, DATABASES, kind_of
from gureum.lab.addressing import tunnel_address
from gureum.lab.daemon import Daemon, Plan, Ready
from gureum.lab.engines.central import central, northbound, southbound
from gureum.lab.engines.fabric import Fabric, cleanup, fabric_daemon
from gureum.lab.engines.host import LabHost, host_daemons
from gureum.lab.refusal import Refusal
from gureum.lab.state import StateFolder
from gureum.roles.catalogue import PROFILES, SERVICES

DEFAULT_PORT = 8774
MEMORY = {"MALLOC_ARENA_MAX": "1"}
"""For glibc. With an arena for each thread it keeps half as much memory again, and of other arenas than the first it
gives nothing back. Threads that hold the interpreter do not wait for one another here."""
_FORWARDED_PORT = 5672  # where a host's agent finds the broker, forwarded out of the namespace


@dataclass(frozen=True, slots=True)
class Options:
    """What the lab is to be. `database` and `bus` are URLs; empty means the embedded ones in the state folder.

    `services` are names of profiles and services, separated by commas; empty means the profile core.
    """

    hosts: int = 1
    simulate: bool = False
    port: int = DEFAULT_PORT
    listen: str = "127.0.0.1"
    uplink: str = ""
    inbound: bool = False
    database: str = ""
    bus: str = ""
    services: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the machine answered: whether the kernel switches, the chosen range, forwarding before the uplink, the
    name servers that guests reach, the uplink's own address."""

    source: Path
    cache: Path = Path("/var/cache/gureum")
    python: str = sys.executable
    kernel_datapath: bool = False
    external_cidr: str = "198.18.0.0/24"
    guest_image: str = ""
    forwarding: dict[str, str] = field(default_factory=dict)
    dns_servers: tuple[str, ...] = ()
    uplink_address: str = ""


def choose_options(asked: dict[str, Any], remembered: dict[str, Any]) -> Options:
    """Merge what was asked now (None: not asked) over what the folder remembers; Refusal when they clash."""
    known = {name: value for name, value in remembered.items() if name in Options.__dataclass_fields__}
    given = {name: value for name, value in asked.items() if value is not None}
    if "simulate" in known and "simulate" in given and known["simulate"] != given["simulate"]:
        kind = "simulated" if known["simulate"] else "real"
        raise Refusal(
            f"This state folder holds a {kind} cloud.",
            "Name another with --state, or remove it with `gureum down --purge`.",
        )
    options = Options(**(known | given))
    _check_urls(options)
    services_section(options.services)
    if not 1 <= options.hosts <= (100_000 if options.simulate else 200):
        raise Refusal(
            f"--hosts {options.hosts} is out of range.",
            "A real lab takes 1 to 200 hosts, a simulated one up to 100,000.",
        )
    if not 1 <= options.port <= 65535:
        raise Refusal(f"--port {options.port} is not a port.", "Choose one from 1 to 65535.")
    if options.simulate and options.uplink:
        raise Refusal(
            "A simulated cloud sends no packets, so --uplink means nothing there.", "Leave one of the two out."
        )
    if options.inbound and not options.uplink:
        raise Refusal("--inbound lets others in through an uplink, and there is none.", "Name it with --uplink.")
    return options


def _check_urls(options: Options) -> None:
    """Refusal for a database or a bus that nothing here can open."""
    database, bus = kind_of(options.database), kind_of(options.bus)
    if options.database and database not in DATABASES:
        raise Refusal(
            f"--database {database}: is no database that Gureum uses.",
            "Name a PostgreSQL, postgresql+psycopg://USER:PASSWORD@HOST/NAME, or forget it with "
            "`gureum up --reset database`: then it is SQLite in the state folder.",
        )
    if options.bus and bus not in BUSES:
        raise Refusal(
            f"--bus {bus}: is no bus that Gureum uses.",
            "Name a RabbitMQ, amqp://USER:PASSWORD@HOST, or forget it with `gureum up --reset bus`: "
            "then it is a socket in the state folder.",
        )


def services_section(text: str) -> dict[str, object]:
    """The section [services] for what `--services` names. Refusal for a name that is none."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    profiles = [name for name in names if name in PROFILES]
    services = [package.rpartition(".")[2] for package in SERVICES]
    if unknown := [name for name in names if name not in PROFILES and name not in services]:
        raise Refusal(
            f"--services {unknown[0]}: is neither a profile nor a service.",
            f"Profiles are {', '.join(PROFILES)}; services are {', '.join(services)}.",
        )
    if len(profiles) > 1:
        raise Refusal(f"--services names {len(profiles)} profiles.", "Name one, and services beside it.")
    chosen = profiles[0] if profiles else "none" if names else "core"
    return {"profile": chosen, "enabled": [name for name in names if name not in PROFILES]}


def without(remembered: dict[str, Any], reset: Iterable[str]) -> dict[str, Any]:
    """What is remembered but for the options that are to be as if they had never been named."""
    forgotten = set(reset)
    return {name: value for name, value in remembered.items() if name not in forgotten}


def remembered_options(options: Options) -> dict[str, object]:
    return asdict(options)


def lab_hosts(state: StateFolder, options: Options, facts: Facts) -> tuple[LabHost, ...]:
    """The hosts with namespaces; none when simulated."""
    if options.simulate:
        return ()
    fabric = lab_fabric(state, options, facts)
    cache = facts.cache / "libvirt"
    return tuple(
        LabHost(index, state.host(f"host{index}"), state.ovn, fabric, cache) for index in range(1, options.hosts + 1)
    )


def lab_fabric(state: StateFolder, options: Options, facts: Facts) -> Fabric:
    return Fabric(
        state.lab, facts.external_cidr, options.uplink, offload=facts.kernel_datapath, inbound=options.inbound
    )


def make_plan(state: StateFolder, options: Options, facts: Facts) -> Plan:
    """Everything that runs, dependencies named."""
    if options.simulate:
        return Plan(state.lab, (control_daemon(state, facts, ()),))
    fabric = lab_fabric(state, options, facts)
    hosts = lab_hosts(state, options, facts)
    daemons = [*central(state.ovn), fabric_daemon(fabric)]
    for host in hosts:
        daemons += host_daemons(host)
    daemons.append(control_daemon(state, facts, ("ovn-nb", "ovn-sb")))
    if forwarded(options):
        daemons.append(_bus_forward(options, facts, tuple(host.name for host in hosts)))
    daemons += [agent_daemon(options, facts, host) for host in hosts]
    names = ("fabric", *(host.name for host in hosts))
    return Plan(state.lab, tuple(daemons), names, cleanup(fabric, facts.forwarding))


def _python(facts: Facts) -> dict[str, str]:
    """What our own processes run with."""
    return {"PYTHONPATH": str(facts.source), **MEMORY}


def control_daemon(state: StateFolder, facts: Facts, depends: tuple[str, ...]) -> Daemon:
    """The control plane: every service, the API and the workers in one process."""
    return Daemon(
        name="control",
        title="control plane",
        argv=(facts.python, "-m", "gureum.roles.all_in_one", "--config", str(state.config)),
        environment=_python(facts),
        before=f"rm -f {state.control_ready}",
        ready=Ready("file", str(state.control_ready), timeout_s=60.0),
        stop_timeout_s=10.0,
        depends=depends,
    )


def agent_daemon(options: Options, facts: Facts, host: LabHost) -> Daemon:
    """The agent of a host, inside the host's namespaces."""
    folder = host.folder
    forward = ("bus-forward",) if forwarded(options) else ()
    return Daemon(
        name=f"{host.name}.agent",
        title=f"{host.name} agent",
        argv=(
            facts.python, "-m", "gureum.roles.agent", "--host", host.name, "--state", str(folder),
            "--settings", f"{folder}/agent.json",
        ),
        inside=host.name,
        environment=_python(facts),
        before=f"rm -f {folder}/agent.ready",
        ready=Ready("file", f"{folder}/agent.ready", timeout_s=60.0),
        stop_timeout_s=10.0,
        depends=(f"{host.name}.libvirtd", f"{host.name}.vswitchd", *forward),
    )  # fmt: skip


def forwarded(options: Options) -> bool:
    """Whether the bus is a broker on the network, which a namespace reaches through a forwarder only."""
    return bool(options.bus) and not options.bus.startswith(("unix:", "inprocess:"))


def control_bus(state: StateFolder, options: Options) -> str:
    if options.bus:
        return options.bus
    return "inprocess:" if options.simulate else f"unix:{state.bus_socket}"


def agent_bus(state: StateFolder, options: Options) -> str:
    """The bus as an agent reaches it: its broker's address is the host's own loopback."""
    if not forwarded(options):
        return options.bus or f"unix:{state.bus_socket}"
    scheme, _, rest = options.bus.partition("://")
    authority, slash, path = rest.partition("/")
    credentials, at, _ = authority.rpartition("@")
    return f"{scheme}://{credentials}{at}127.0.0.1:{_FORWARDED_PORT}{slash}{path}"


def _bus_forward(options: Options, facts: Facts, hosts: tuple[str, ...]) -> Daemon:
    authority = options.bus.partition("://")[2].partition("/")[0].rpartition("@")[2]
    broker = authority if ":" in authority else f"{authority}:5672"
    holders = [f"{{pid:{host}}}" for host in hosts]
    return Daemon(
        name="bus-forward",
        title="bus forwarder",
        argv=(facts.python, "-S", "-m", "gureum.lab.bus_forward", broker, str(_FORWARDED_PORT), *holders),
        environment=_python(facts),
        depends=hosts,
    )


def agent_settings(state: StateFolder, options: Options, facts: Facts, host: LabHost) -> dict[str, object]:
    """What the agent of a lab's host is told about it; written to the host's agent.json. The bus too: its URL may hold
    a password, which no command line shows.
    """
    return {
        "bus": agent_bus(state, options),
        "host_ip": tunnel_address(host.index),
        "libvirt_uri": "qemu:///system",
        "integration_bridge": "br-int",
        "datapath": "system" if host.kernel_datapath else "netdev",
        "images": str(state.images),
        "acceleration_cache": str(facts.cache / "acceleration.json"),
    }


def network_databases(state: StateFolder) -> tuple[str, str]:
    """OVN's northbound and southbound databases as the control plane reaches them."""
    return northbound(state.ovn), southbound(state.ovn)
