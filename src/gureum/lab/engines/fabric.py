"""The wires of a lab: a namespace with two bridges, underlay (tunnels) and external, and one link to the machine.

The machine's own network gets one veth, one address and one unreachable route; with an uplink also one nftables table
named after the lab. Nothing else of it is touched: forwarding is decided for the lab's link and the uplink alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from gureum.lab.addressing import machine_address, route_metric
from gureum.lab.daemon import Cleanup, Daemon

UNDERLAY_MTU = 9000  # room for a tunnel's header round a 1500-byte packet, and round a jumbo one
_NO_IPV6 = "for i in all default; do echo 1 > /proc/sys/net/ipv6/conf/$i/disable_ipv6 2>/dev/null || true; done"


@dataclass(frozen=True, slots=True)
class Fabric:
    """What the wires of one lab are called. `offload` is false where checksums must be made before Open vSwitch."""

    lab: str
    external_cidr: str
    uplink: str = ""
    offload: bool = False

    @property
    def machine_link(self) -> str:
        return f"{self.lab}-ext"

    def no_offload(self, link: str) -> str:
        """Checksum offload breaks TCP through the user-space datapath: packets would carry half a checksum."""
        return "" if self.offload else f"ethtool -K {link} tx off >/dev/null"


def fabric_daemon(fabric: Fabric) -> Daemon:
    """The holder of the fabric's namespace; making it also makes the machine's link."""
    setup = f"""
{_NO_IPV6}
ip link set lo up
ip link add underlay mtu {UNDERLAY_MTU} type bridge forward_delay 0 mcast_snooping 0
ip link add external type bridge forward_delay 0 mcast_snooping 0
ip link set underlay up
ip link set external up
exec sleep infinity
"""
    return Daemon(
        name="fabric",
        title="fabric",
        argv=("unshare", "--net", "--", "sh", "-ec", setup),
        holds=True,
        outside=_machine_link(fabric) + _uplink(fabric),
        after="ip link set machine master external up\n" + fabric.no_offload("machine"),
        stop_signal="KILL",
    )


def cleanup(fabric: Fabric, forwarding: dict[str, str]) -> Cleanup:
    """What `down` removes from the machine. `forwarding` holds the sysctl values from before the uplink was used."""
    return Cleanup((fabric.machine_link,), fabric.lab if fabric.uplink else "", forwarding)


def unreachable_route(fabric: Fabric) -> list[str]:
    """Arguments of `ip route` that name the route which keeps the range's packets on the machine."""
    return ["unreachable", fabric.external_cidr, "metric", str(route_metric(fabric.lab))]


def _machine_link(fabric: Fabric) -> str:
    link, forwarding = fabric.machine_link, "1" if fabric.uplink else "0"
    return f"""
ip route replace {" ".join(unreachable_route(fabric))}
ip link show {link} >/dev/null 2>&1 || ip link add {link} type veth peer name machine netns {{pid:fabric}}
echo 1 > /proc/sys/net/ipv6/conf/{link}/disable_ipv6 2>/dev/null || true
echo {forwarding} > /proc/sys/net/ipv4/conf/{link}/forwarding
ip address replace {machine_address(fabric.external_cidr)} dev {link}
ip link set {link} up
{fabric.no_offload(link)}
"""


def _uplink(fabric: Fabric) -> str:
    if not fabric.uplink:
        return ""
    table, link, uplink = fabric.lab, fabric.machine_link, fabric.uplink
    return f"""
echo 1 > /proc/sys/net/ipv4/conf/{uplink}/forwarding
nft -f - <<'END'
table ip {table}
delete table ip {table}
table ip {table} {{
  chain out {{
    type nat hook postrouting priority srcnat;
    ip saddr {fabric.external_cidr} oifname "{uplink}" masquerade
  }}
  chain across {{
    type filter hook forward priority filter;
    iifname "{link}" oifname != "{uplink}" drop
    oifname "{link}" ct state established,related accept
    oifname "{link}" drop
  }}
}}
END
"""
