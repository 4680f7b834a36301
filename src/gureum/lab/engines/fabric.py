"""The wires of a lab: a namespace with two bridges, underlay (tunnels) and external, and one link to the machine.

The machine's own network gets one veth, one address and one unreachable route; with an uplink also one nftables table
named after the lab. Nothing else of it is touched: forwarding is decided for the lab's link and the uplink alone.

Between the external bridge and the machine's link stands a gate: the namespace answers ARP on both sides and forwards,
which a bridge could not do with state. Invariant: guests get answers to what the machine began, and to pings of their
gateway's address, which is the machine's; they reach no service of the machine. With an uplink the gate lets through
what is not for the gateway itself, and the lab's table on the machine keeps the machine's other addresses. `inbound`
lets others begin too: machines beyond the uplink that route the external range through this one.
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
    inbound: bool = False

    @property
    def machine_link(self) -> str:
        return f"{self.lab}-ext"

    @property
    def gateway(self) -> str:
        """The machine's own address in the external range, where guests' packets leave it."""
        return machine_address(self.external_cidr).partition("/")[0]

    @property
    def gateway_mac(self) -> str:
        """The gateway's on the external bridge. OVN keeps what it once learnt, so it is the same after `down`."""
        number = self.lab[1:].zfill(6)
        return f"02:67:72:{number[:2]}:{number[2:4]}:{number[4:6]}"

    def no_offload(self, link: str) -> str:
        """Checksum offload breaks TCP through the user-space datapath: packets would carry half a checksum."""
        return "" if self.offload else f"ethtool -K {link} tx off >/dev/null"


def fabric_daemon(fabric: Fabric) -> Daemon:
    """The holder of the fabric's namespace; making it also makes the machine's link."""
    setup = f"""
{_NO_IPV6}
ip link set lo up
ip link add underlay mtu {UNDERLAY_MTU} type bridge forward_delay 0 mcast_snooping 0
ip link add external address {fabric.gateway_mac} type bridge forward_delay 0 mcast_snooping 0
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
        after=_gate(fabric) + fabric.no_offload("machine"),
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


def _gate(fabric: Fabric) -> str:
    """Forwarding with ARP answered for the other side at once, and only what the module's text allows.

    The namespace has no address of its own; its routes say which side an address is on. Strict reverse paths keep
    guests from speaking as the machine. Where the kernel shows bridged packets to the IP filters as well, that is
    switched off in here: what hosts send one another is not forwarded by us.
    """
    outwards = f"ip daddr != {fabric.gateway} accept" if fabric.uplink else ""
    default = f"ip route replace default via {fabric.gateway} dev machine onlink" if fabric.uplink else ""
    return f"""
ip link set machine up
nft -f - <<'END'
table ip gate
delete table ip gate
table ip gate {{
  chain across {{
    type filter hook forward priority filter;
    oifname != "machine" accept
    ct state established,related accept
    ip daddr {fabric.gateway} icmp type echo-request accept
    {outwards}
    drop
  }}
}}
END
for call in /proc/sys/net/bridge/bridge-nf-call-*; do if [ -e "$call" ]; then echo 0 > "$call"; fi; done
cd /proc/sys/net/ipv4
echo 0 > conf/all/send_redirects
for side in machine external; do
  echo 0 > conf/$side/send_redirects
  echo 1 > conf/$side/rp_filter
  echo 1 > conf/$side/proxy_arp
  echo 0 > neigh/$side/proxy_delay
  echo 1 > conf/$side/forwarding
done
ip route replace {fabric.gateway}/32 dev machine
ip route replace {fabric.external_cidr} dev external
{default}
"""


def _uplink(fabric: Fabric) -> str:
    if not fabric.uplink:
        return ""
    table, link, uplink = fabric.lab, fabric.machine_link, fabric.uplink
    inbound = f'iifname "{uplink}" oifname "{link}" accept' if fabric.inbound else ""
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
  chain into {{
    type filter hook input priority filter;
    iifname "{link}" ct state established,related accept
    iifname "{link}" ip daddr {fabric.gateway} icmp type echo-request accept
    iifname "{link}" drop
  }}
  chain across {{
    type filter hook forward priority filter;
    iifname "{link}" oifname != "{uplink}" drop
    oifname "{link}" ct state established,related accept
    {inbound}
    oifname "{link}" drop
  }}
}}
END
"""
