"""The metadata port on a real host: a network namespace joined to Open vSwitch's integration bridge by a veth.

The bridge's end carries `iface-id`, so that OVN binds the network's metadata port (a localport) to this host. All
names begin with the agent's own prefix, and the namespace's holds the network id, so leftovers are found by name.
Invariant: nothing outside the prefix is ever touched.
Read next: `namespaces.py`.
"""

from __future__ import annotations

import ipaddress
import json
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gureum.agents.hypervisor.tools import ToolFailed, run_tool
from gureum.agents.metadata import namespaces
from gureum.agents.metadata.wiring import (
    METADATA_ADDRESS,
    METADATA_ADDRESS_6,
    METADATA_PORT,
    MetadataPort,
    WiringFailed,
)

_INNER = "eth0"
_BACKLOG = 64


@dataclass(frozen=True, slots=True)
class OvsSettings:
    """`prefix` is this agent's alone; `userspace` says that the bridge has the netdev datapath."""

    prefix: str
    bridge: str = "br-int"
    database: str = "unix:/run/openvswitch/db.sock"
    userspace: bool = False


class OvsWiring:
    """Implements `Wiring` with `ip` and `ovs-vsctl`. Needs root in the host's network and mount namespaces."""

    def __init__(self, settings: OvsSettings) -> None:
        self._settings = settings
        self._marker = f"{settings.prefix}-md-"

    def ensure(self, port: MetadataPort) -> None:
        namespace = self._namespace(port.network_id)
        outer = _outer(port.network_id)
        try:
            self._make_links(namespace, outer)
            _ip(
                [
                    f"link set {_INNER} address {port.mac} mtu {port.mtu} up",
                    "link set lo up",
                    *_address_changes(namespace, {*port.addresses, *_served()}),
                ],
                namespace,
            )
            _ip([f"link set {outer} mtu {port.mtu} up"])
            if self._settings.userspace:
                # The user-space datapath forwards packets whose checksum the kernel left for a device to fill.
                namespaces.switch_off_checksum_offload(outer)
                namespaces.inside(namespace, lambda: namespaces.switch_off_checksum_offload(_INNER))
            self._plug(outer, port)
        except (ToolFailed, OSError) as error:
            raise WiringFailed(str(error)) from error

    def open_sockets(self, network_id: str) -> list[socket.socket]:
        def listen() -> list[socket.socket]:
            listening = [_listening(socket.AF_INET, (METADATA_ADDRESS, METADATA_PORT))]
            if _has_ipv6():
                scope = socket.if_nametoindex(_INNER)
                listening.append(_listening(socket.AF_INET6, (METADATA_ADDRESS_6, METADATA_PORT, 0, scope)))
            return listening

        try:
            return namespaces.inside(self._namespace(network_id), listen)
        except OSError as error:
            raise WiringFailed(str(error)) from error

    def remove(self, network_id: str) -> None:
        outer = _outer(network_id)
        path = namespaces.FOLDER / self._namespace(network_id)
        try:
            self._vsctl(["--if-exists", "del-port", self._settings.bridge, outer])
            if _link_exists(outer):
                _ip([f"link delete {outer}"])
            if namespaces.is_namespace(path):
                _ip([f"netns delete {path.name}"])
            path.unlink(missing_ok=True)
        except (ToolFailed, OSError) as error:
            raise WiringFailed(str(error)) from error

    def existing(self) -> set[str]:
        """Networks with a port on the bridge or a namespace of our prefix."""
        found = {path.name.removeprefix(self._marker) for path in namespaces.FOLDER.glob(f"{self._marker}*")}
        try:
            text = self._vsctl(
                [
                    "--format=json",
                    "--columns=external_ids",
                    "find",
                    "Interface",
                    f"external_ids:gureum-metadata={self._settings.prefix}",
                ]
            )
        except ToolFailed as error:
            raise WiringFailed(str(error)) from error
        rows: dict[str, Any] = json.loads(text)
        for row in rows["data"]:
            found.add(dict(row[0][1]).get("gureum-network", ""))
        return found - {""}

    def _make_links(self, namespace: str, outer: str) -> None:
        path = namespaces.FOLDER / namespace
        if not namespaces.is_namespace(path):
            path.unlink(missing_ok=True)
            # A veth whose other end died with its namespace is gone too; one that is left has no use.
            stale = [f"link delete {outer}"] if _link_exists(outer) else []
            _ip([*stale, f"netns add {namespace}"])
        if not _link_exists(outer):
            _ip([f"link add {outer} type veth peer name {_INNER} netns {namespace}"])

    def _plug(self, outer: str, port: MetadataPort) -> None:
        add = ["--may-exist", "add-port", self._settings.bridge, outer]
        ids = {
            "iface-id": port.port_id,
            "gureum-metadata": self._settings.prefix,
            "gureum-network": port.network_id,
        }
        self._vsctl([*add, "--", "set", "Interface", outer, *(f"external_ids:{key}={ids[key]}" for key in ids)])

    def _vsctl(self, arguments: list[str]) -> str:
        return run_tool(["ovs-vsctl", f"--db={self._settings.database}", "--timeout=10", *arguments])

    def _namespace(self, network_id: str) -> str:
        return f"{self._marker}{network_id}"


def _has_ipv6() -> bool:
    """Whether the host's kernel speaks IPv6."""
    return Path("/proc/net/if_inet6").exists()


def _served() -> set[str]:
    """The addresses that guests ask for metadata, with the length that they have on the port."""
    return {f"{METADATA_ADDRESS}/32", *([f"{METADATA_ADDRESS_6}/64"] if _has_ipv6() else [])}


def _listening(family: socket.AddressFamily, address: tuple[str, int] | tuple[str, int, int, int]) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(address)
    listening.listen(_BACKLOG)
    return listening


def _outer(network_id: str) -> str:
    return f"md{network_id[:11]}"


def _link_exists(name: str) -> bool:
    # The folder may show another namespace's links when /sys was mounted elsewhere; this asks the kernel.
    try:
        socket.if_nametoindex(name)
    except OSError:
        return False
    return True


def _ip(lines: list[str], namespace: str = "") -> None:
    run_tool([*_inside(namespace), "ip", "-batch", "-"], stdin="\n".join(lines) + "\n")


def _inside(namespace: str) -> list[str]:
    """How to run a program there. `ip -n` mounts /sys anew, which fails where / is no mount point, as in a chroot."""
    return ["nsenter", f"--net={namespaces.FOLDER / namespace}", "--"] if namespace else []


def _address_changes(namespace: str, wanted: set[str]) -> list[str]:
    """`ip` commands from the addresses that the port has to those that it should have."""
    shown = json.loads(run_tool([*_inside(namespace), "ip", "-json", "address", "show", "dev", _INNER]) or "[]")
    present = {
        f"{entry['local']}/{entry['prefixlen']}"
        for link in shown
        for entry in link.get("addr_info", ())
        if entry.get("scope") == "global" or entry["local"] == METADATA_ADDRESS_6
    }
    normal = {str(ipaddress.ip_interface(text)) for text in wanted}
    return [f"address delete {text} dev {_INNER}" for text in sorted(present - normal)] + [
        f"address add {text} dev {_INNER}{' nodad' if ':' in text else ''}" for text in sorted(normal - present)
    ]
