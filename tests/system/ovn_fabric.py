"""Two OVN hosts, an outside and guests, all as network namespaces of one test run.

Each host has its own ovsdb-server, ovs-vswitchd (user-space datapath) and ovn-controller; a namespace called the wire
holds the two Ethernet segments between them: `phy` carries Geneve, `ext` is the external network, where the wire itself is
the outside world's router. Not the product's lab (`gureum.lab`): nothing but switches. Every name begins with the run's
tag. Read next: `test_ovn_packets.py`.
"""

from __future__ import annotations

import secrets
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.contracts.ovn_central import OvnCentral, daemon, eventually, stop

OUTSIDE_ADDRESS = "203.0.113.1"
FAR_ADDRESS = "198.51.100.9"
VSWITCH_SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"


class Namespace:
    """A network namespace; the links in it go when it goes."""

    def __init__(self, name: str) -> None:
        self.name = name
        run("ip", "netns", "add", name)
        self.run("ip", "link", "set", "lo", "up")

    def run(self, *command: str, check: bool = True, within_s: float = 20) -> subprocess.CompletedProcess:
        return run("ip", "netns", "exec", self.name, *command, check=check, within_s=within_s)

    def pings(self, address: str, *options: str) -> bool:
        return self.run("ping", "-c", "1", "-W", "1", *options, address, check=False).returncode == 0

    def close(self) -> None:
        run("ip", "netns", "del", self.name, check=False)


@dataclass
class Guest:
    """A namespace that stands for a server, plugged into a host as its hypervisor would plug it."""

    inside: Namespace
    host: Host
    mac: str
    tap: str

    def take(self, address: str, gateway: str | None = None) -> None:
        self.inside.run("ip", "address", "add", address, "dev", "eth0")
        if gateway is not None:
            self.inside.run("ip", "route", "add", "default", "via", gateway)


class Host:
    """What runs on one host: the three daemons, `br-int`, `br-phy` with the tunnel's address, `br-ex`."""

    def __init__(self, fabric: Fabric, number: int) -> None:
        self.name = f"h{number}"
        self.namespace = Namespace(f"{fabric.tag}-{self.name}")
        fabric.closing.append(self.namespace.close)
        self.folder = fabric.central.folder / self.name
        self.folder.mkdir()
        self._environment = {"OVS_RUNDIR": str(self.folder), "OVN_RUNDIR": str(self.folder)}
        self._database = f"unix:{self.folder}/db.sock"
        self.daemons: list[subprocess.Popen] = []
        fabric.closing.append(lambda: stop(self.daemons))
        connect(fabric.wire, f"phy-{self.name}", self.namespace, "phy", "phy")
        connect(fabric.wire, f"ext-{self.name}", self.namespace, "ext", "ext")
        self._start_switch()
        address = f"192.0.2.{number}"
        self._configure(fabric, address)
        self._start("ovn-controller", self._database, "-vconsole:warn")

    def _start(self, *command: str) -> None:
        inside = ["ip", "netns", "exec", self.namespace.name, *command]
        self.daemons.append(daemon(inside, self._environment, self.folder / f"{command[0]}.log"))

    def _start_switch(self) -> None:
        run("ovsdb-tool", "create", f"{self.folder}/conf.db", VSWITCH_SCHEMA)
        sockets = [f"--remote=p{self._database}", f"--unixctl={self.folder}/ovsdb.ctl"]
        self._start("ovsdb-server", f"{self.folder}/conf.db", *sockets)
        eventually((self.folder / "db.sock").exists, "the host's switch database listens")
        self._start(
            "ovs-vswitchd", self._database, "--disable-system", f"--unixctl={self.folder}/vs.ctl", "-vconsole:warn"
        )

    def _configure(self, fabric: Fabric, address: str) -> None:
        settings = {
            "system-id": self.name,
            "hostname": self.name,
            "ovn-remote": fabric.central.south,
            "ovn-encap-type": "geneve",
            "ovn-encap-ip": address,
            "ovn-bridge-datapath-type": "netdev",
            "ovn-bridge-mappings": "outside:br-ex",
        }
        texts = [f'external-ids:{key}="{value}"' for key, value in settings.items()]
        self.vsctl("set", "open_vswitch", ".", *texts)
        for bridge, nic in (("br-phy", "phy"), ("br-ex", "ext")):
            self.vsctl("add-br", bridge, "--", "set", "bridge", bridge, "datapath_type=netdev", "fail-mode=standalone")
            self.vsctl("add-port", bridge, nic)
        self.namespace.run("ip", "address", "add", f"{address}/24", "dev", "br-phy")
        self.namespace.run("ip", "link", "set", "br-phy", "up")
        no_offload(self.namespace, "br-phy")

    def vsctl(self, *arguments: str) -> str:
        return run("ovs-vsctl", f"--db={self._database}", "--timeout=10", *arguments).stdout.strip()


class Fabric:
    """Central databases, the wire and the hosts. `close` removes all that has the tag."""

    def __init__(self, hosts: int = 2) -> None:
        self.tag = f"gp{secrets.token_hex(2)}"
        self.closing: list = []
        self.hosts: dict[str, Host] = {}
        self._guests = 0
        try:
            self.central = OvnCentral()
            self.closing.append(self.central.close)
            self.wire = Namespace(f"{self.tag}-wire")
            self.closing.append(self.wire.close)
            for bridge in ("phy", "ext"):
                self.wire.run("ip", "link", "add", bridge, "type", "bridge")
                self.wire.run("ip", "link", "set", bridge, "up")
                no_offload(self.wire, bridge)
            self.wire.run("ip", "address", "add", f"{OUTSIDE_ADDRESS}/24", "dev", "ext")
            self.wire.run("ip", "address", "add", f"{FAR_ADDRESS}/32", "dev", "lo")
            for number in range(1, hosts + 1):
                host = Host(self, number)
                self.hosts[host.name] = host
        except BaseException:
            self.close()
            raise

    def plug(self, port_id: str, mac: str, host: str) -> Guest:
        """A new guest whose `eth0` is the port `port_id` on `host`."""
        self._guests += 1
        inside = Namespace(f"{self.tag}-g{self._guests}")
        self.closing.append(inside.close)
        tap = f"tap{self._guests}"
        at = self.hosts[host]
        connect(at.namespace, tap, inside, "eth0")
        # Down and up again, for the IPv6 address that the kernel makes of the MAC address.
        inside.run("ip", "link", "set", "eth0", "down", "address", mac, "mtu", "1400")
        inside.run("ip", "link", "set", "eth0", "up")
        at.vsctl("add-port", "br-int", tap, "--", "set", "interface", tap, f"external-ids:iface-id={port_id}")
        return Guest(inside, at, mac, tap)

    def close(self) -> None:
        while self.closing:
            self.closing.pop()()


def connect(outer: Namespace, outer_name: str, inner: Namespace, inner_name: str, bridge: str | None = None) -> None:
    """A veth pair between two namespaces, its outer end in `bridge` if one is named."""
    link = ("ip", "link", "add", outer_name, "netns", outer.name, "type", "veth")
    run(*link, "peer", "name", inner_name, "netns", inner.name)
    if bridge is not None:
        outer.run("ip", "link", "set", outer_name, "master", bridge)
    for namespace, name in ((outer, outer_name), (inner, inner_name)):
        namespace.run("ip", "link", "set", name, "up")
        no_offload(namespace, name)


def no_offload(namespace: Namespace, name: str) -> None:
    """The user-space datapath hands on packets as they are: their checksums must be there."""
    namespace.run("ethtool", "-K", name, "tx", "off", check=False)


def run(*command: str, check: bool = True, within_s: float = 20) -> subprocess.CompletedProcess:
    done = subprocess.run(command, capture_output=True, text=True, timeout=within_s, check=False)
    assert not check or done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done


def write_script(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path
