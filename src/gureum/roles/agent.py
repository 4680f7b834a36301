"""The process on a host: `python -m gureum.roles.agent --host NAME --state DIR [--bus URL] [--settings FILE]`.

It builds the driver, the metadata wiring and the agent, serves them on the bus, and tells how the host is. It knows
no service and no database. The file `agent.ready` in its state folder says that it serves. Ending it (SIGTERM) or
killing it leaves guests, their disks and their network running.
Invariant: only what this host needs is imported; the process stays small.
Read next: `gureum.agents.hypervisor.agent`.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import signal
import sys
import threading
from pathlib import Path
from typing import Literal

import msgspec

from gureum.agents.hypervisor.agent import Agent, AgentOptions
from gureum.agents.hypervisor.rbd_fetch import CephAccess
from gureum.agents.hypervisor.remote import BusEvents, serve_agent
from gureum.agents.metadata.wiring import LoopbackWiring, Wiring
from gureum.drivers.hypervisor.interface import HypervisorDriver
from gureum.foundation import log
from gureum.foundation.bus.open import open_bus
from gureum.foundation.connections import raise_open_files
from gureum.foundation.private import own_files_only

_log = logging.getLogger("gureum.roles.agent")


class AgentSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an operator may set for a host, as one JSON object; every key has a default for a plain host.

    `datapath` is Open vSwitch's: "system" in the kernel, "netdev" in user space. `images` is the only folder that
    images are taken from by path ("" for anywhere); `acceleration_cache` remembers whether KVM works. `prefix`
    begins the names of this agent's network namespaces, and must differ between agents that share them. `ceph_user`
    opens images in the Ceph cluster of `ceph_conf` ("": none are taken from there). `bus` is what `--bus` names: in a
    file that root alone reads, the broker's password is in no list of processes.
    """

    bus: str = ""
    driver: Literal["libvirt", "fake"] = "libvirt"
    metadata: Literal["ovs", "none"] = "ovs"
    host_ip: str = "127.0.0.1"
    libvirt_uri: str = "qemu:///system"
    acceleration_cache: str = ""
    integration_bridge: str = "br-int"
    datapath: Literal["system", "netdev"] = "system"
    switch_database: str = "unix:/run/openvswitch/db.sock"
    prefix: str = "gureum"
    images: str = ""
    ceph_user: str = ""
    ceph_conf: str = "/etc/ceph/ceph.conf"
    heartbeat_s: float = 2.0
    answer_s: float = 25.0
    patience_s: float = 3.0
    unused_image_hours: float = 24.0
    log_level: str = "INFO"


def read_settings(file: Path | None) -> AgentSettings:
    """The settings in a file, or all defaults. Raises SystemExit with a sentence for the operator."""
    if file is None:
        return AgentSettings()
    try:
        return msgspec.json.decode(file.read_bytes(), type=AgentSettings)
    except (OSError, msgspec.MsgspecError) as error:
        raise SystemExit(f"{file}: {error}") from error


def build_driver(state: Path, settings: AgentSettings) -> HypervisorDriver:
    """The hypervisor driver that the host has; whether KVM works is found out here, once for each boot."""
    if settings.driver == "fake":
        from gureum.drivers.hypervisor.fake import FakeHypervisor

        return FakeHypervisor()
    from gureum.drivers.hypervisor.libvirt.acceleration import probe_acceleration
    from gureum.drivers.hypervisor.libvirt.driver import LibvirtDriver, LibvirtOptions
    from gureum.drivers.hypervisor.libvirt.host_settings import problems

    for problem, remedy in problems():
        _log.warning("%s. %s", problem, remedy)
    return LibvirtDriver(
        LibvirtOptions(
            accelerator=probe_acceleration(Path(settings.acceleration_cache or state / "acceleration.json")),
            userspace_datapath=settings.datapath == "netdev",
            instances=state / "instances",
            uri=settings.libvirt_uri,
            integration_bridge=settings.integration_bridge,
        )
    )


def build_wiring(settings: AgentSettings) -> Wiring:
    """The metadata wiring that the host has."""
    if settings.metadata == "none":
        return LoopbackWiring()
    from gureum.agents.metadata.ovs_wiring import OvsSettings, OvsWiring

    return OvsWiring(
        OvsSettings(
            settings.prefix,
            bridge=settings.integration_bridge,
            database=settings.switch_database,
            userspace=settings.datapath == "netdev",
        )
    )


def agent_options(host: str, settings: AgentSettings) -> AgentOptions:
    """The agent's own part of the settings."""
    return AgentOptions(
        host=host,
        host_ip=settings.host_ip,
        answer_s=settings.answer_s,
        patience_s=settings.patience_s,
        heartbeat_s=settings.heartbeat_s,
        unused_image_hours=settings.unused_image_hours,
        image_store=Path(settings.images) if settings.images else None,
        ceph=CephAccess(Path(settings.ceph_conf), settings.ceph_user) if settings.ceph_user else None,
    )


def run(host: str, state: Path, bus_url: str, settings: AgentSettings) -> None:
    """Serve until SIGTERM or SIGINT."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    if settings.ceph_user and shutil.which("rbd") is None:
        raise SystemExit("ceph_user is set and the program rbd is missing. Run: apt-get install ceph-common")
    agent = Agent(build_driver(state, settings), state, build_wiring(settings), agent_options(host, settings))
    bus = open_bus(bus_url, role="agent")
    stop_serving = serve_agent(bus, host, agent)
    agent.report(BusEvents(bus))
    _log.info("host %s is served", host)
    ready = state / "agent.ready"
    ready.touch()
    stopping.wait()
    ready.unlink(missing_ok=True)
    stop_serving()
    agent.stop()
    bus.close()
    _log.info("host %s is not served any more; its guests run on", host)


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="gureum.roles.agent", description="Runs a host's servers.")
    parser.add_argument("--host", required=True, help="the host's name, unique in the cloud")
    parser.add_argument("--state", required=True, type=Path, help="the folder for specs, disks and images")
    parser.add_argument("--bus", default="", help="unix:/path; else the settings' `bus`, which may hold a password")
    parser.add_argument("--settings", type=Path, help="a JSON file")
    given = parser.parse_args(arguments)
    own_files_only()
    settings = read_settings(given.settings)
    if "@" in given.bus:
        raise SystemExit('every user of the machine reads a password in --bus: write "bus" into a file of --settings')
    bus_url = given.bus or settings.bus
    if not bus_url:
        raise SystemExit(f'no bus is named: write "bus": "amqp://..." into {given.settings or "a file of --settings"}')
    log.configure(f"agent@{given.host}", level=settings.log_level)
    raise_open_files()
    run(given.host, given.state.resolve(), bus_url, settings)
    return 0


if __name__ == "__main__":
    sys.exit(main())
