"""One host of the lab: a namespace set (network, mount, UTS) with its own Open vSwitch, OVN controller and libvirt.

Inside, everything lies where the programs expect it (/run/openvswitch, /run/libvirt, /etc/libvirt ...): bind mounts
put the host's own folders there, and /run is the host's own. The user-space datapath wants the tunnel endpoint on a
bridge of Open vSwitch; the kernel's takes the link itself. Settings of libvirt and QEMU are those of a machine without
systemd and without a security driver, because the namespace set is the boundary.
"""

from __future__ import annotations

import shlex
import uuid
from dataclasses import dataclass
from pathlib import Path

from gureum.drivers.hypervisor.libvirt.host_settings import settings_text
from gureum.lab.addressing import tunnel_address
from gureum.lab.daemon import Daemon, Ready
from gureum.lab.engines.central import southbound
from gureum.lab.engines.fabric import UNDERLAY_MTU, Fabric

LIBVIRT_FOLDERS = {"etc": "/etc/libvirt", "lib": "/var/lib/libvirt", "log": "/var/log/libvirt"}
CACHE_FOLDER = "/var/cache/libvirt"
"""What QEMU can do, learnt once in seconds, is the same for every host, so all share the folder."""
_OVS_LOGGING = ("-vconsole:info", "-vsyslog:off", "-vfile:off")
_OVSDB = "unix:/run/openvswitch/db.sock"
_KEEP_MOUNTS = """\
mount --make-rprivate / 2>/dev/null ||
  for point in $(cut -d' ' -f2 /proc/self/mounts); do mount --make-private "$point" 2>/dev/null || true; done"""
"""No mount made here may reach the machine. Where / is no mount point (a chroot), each mount is told by itself."""
_LIBVIRT_USER = {
    "passwd": "libvirt-qemu:x:64055:64055::/var/lib/libvirt:/usr/sbin/nologin\n",
    "group": "libvirt-qemu:x:64055:\n",
}
"""libvirt does not start where its default user is unknown, though qemu.conf names another: only hosts know it."""
_LIBVIRTD_CONF = """\
unix_sock_rw_perms = "0700"
unix_sock_ro_perms = "0700"
auth_unix_rw = "none"
auth_unix_ro = "none"
log_outputs = "3:stderr"
host_uuid = "{uuid}"
"""


@dataclass(frozen=True, slots=True)
class LabHost:
    """Host number `index` (from 1) of a lab."""

    index: int
    folder: Path
    ovn: Path
    fabric: Fabric
    cache: Path

    @property
    def name(self) -> str:
        return f"host{self.index}"

    @property
    def kernel_datapath(self) -> bool:
        return self.fabric.offload

    @property
    def address(self) -> str:
        return tunnel_address(self.index)


def host_daemons(host: LabHost) -> tuple[Daemon, ...]:
    """The namespace set's holder and the engines in it."""
    return _holder(host), _ovsdb(host), _vswitchd(host), _controller(host), _libvirtd(host)


def write_host_files(host: LabHost) -> None:
    """The folders that the host mounts and libvirt's own configuration."""
    host.cache.mkdir(parents=True, exist_ok=True)
    for part in LIBVIRT_FOLDERS:
        (host.folder / "libvirt" / part).mkdir(parents=True, exist_ok=True)
    identity = uuid.uuid5(uuid.NAMESPACE_DNS, f"{host.name}.{host.fabric.lab}.gureum.invalid")
    for name, line in _LIBVIRT_USER.items():
        known = Path("/etc", name).read_text()
        (host.folder / "libvirt" / name).write_text(known if "\nlibvirt-qemu:" in known else known + line)
    (host.folder / "libvirt/etc/qemu.conf").write_text(settings_text())
    (host.folder / "libvirt/etc/libvirtd.conf").write_text(_LIBVIRTD_CONF.format(uuid=identity))


def _holder(host: LabHost) -> Daemon:
    run = host.folder / "run"
    binds = [(f"{run}/{name}", f"/run/{name}") for name in ("libvirt", "openvswitch", "ovn")]
    binds += [(f"{host.folder}/libvirt/{part}", target) for part, target in LIBVIRT_FOLDERS.items()]
    binds.append((shlex.quote(str(host.cache)), CACHE_FOLDER))
    binds += [(f"{host.folder}/libvirt/{name}", f"/etc/{name}") for name in _LIBVIRT_USER]
    mounts = "\n".join(f"mount --bind {source} {target}" for source, target in binds)
    setup = f"""
{_KEEP_MOUNTS}
hostname {host.name}
rm -rf {run} {host.folder}/conf.db
mkdir -p {run}/libvirt {run}/openvswitch {run}/ovn
mount -t sysfs sysfs /sys
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/libvirt /run/openvswitch /run/ovn /run/lock /run/netns
{mounts}
ip link set lo up
exec sleep infinity
"""
    wire = f"""
wire() {{
  nsenter -t {{pid:fabric}} -n ip link show "$2" >/dev/null 2>&1 ||
    ip link add "$1" netns {{pid:{host.name}}} mtu "$3" type veth peer name "$2" mtu "$3" netns {{pid:fabric}}
  nsenter -t {{pid:fabric}} -n sh -ec "ip link set $2 master $1 up; {host.fabric.no_offload("$2")}"
}}
wire underlay u-{host.name} {UNDERLAY_MTU}
wire external x-{host.name} 1500
"""
    links = "\n".join(f"ip link set {link} up\n{host.fabric.no_offload(link)}" for link in ("underlay", "external"))
    tunnel = f"\nip address replace {host.address}/16 dev underlay" if host.kernel_datapath else ""
    return Daemon(
        name=host.name,
        title=f"{host.name} namespaces",
        argv=("unshare", "--net", "--mount", "--uts", "--propagation", "unchanged", "--", "sh", "-ec", setup),
        holds=True,
        outside=wire,
        after=links + tunnel,
        stop_signal="KILL",
        depends=("fabric",),
    )


def _ovsdb(host: LabHost) -> Daemon:
    file = host.folder / "conf.db"
    return Daemon(
        name=f"{host.name}.ovsdb",
        title=f"{host.name} Open vSwitch database",
        argv=(
            "ovsdb-server", str(file), "--remote=punix:/run/openvswitch/db.sock",
            "--pidfile=/run/openvswitch/ovsdb-server.pid", *_OVS_LOGGING,
        ),
        inside=host.name,
        before=f"[ -s {file} ] || ovsdb-tool create {file} /usr/share/openvswitch/vswitch.ovsschema",
        ready=Ready("socket", f"{host.folder}/run/openvswitch/db.sock"),
        after=_switch_settings(host),
        depends=(host.name,),
    )  # fmt: skip


def _switch_settings(host: LabHost) -> str:
    """Bridges and OVN's settings in one transaction, before the switch starts: it comes up complete."""
    datapath = "system" if host.kernel_datapath else "netdev"
    bridge = f"datapath_type={datapath}"
    outer = [
        "-- --may-exist add-br br-phy",
        f"-- set bridge br-phy {bridge}",
        "-- --may-exist add-port br-phy underlay",
        f"-- set interface br-phy mtu_request={UNDERLAY_MTU}",
    ]
    facts = {
        "system-id": host.name,
        "hostname": host.name,
        "ovn-remote": f'"{southbound(host.ovn)}"',
        "ovn-encap-type": "geneve",
        "ovn-encap-ip": host.address,
        "ovn-bridge": "br-int",
        "ovn-bridge-mappings": "external:br-ex",
        "ovn-bridge-datapath-type": datapath,
        "ovn-cms-options": "enable-chassis-as-gw",
    }
    words = [
        "ovs-vsctl --no-wait --timeout=20 init",
        "-- --may-exist add-br br-int",
        f"-- set bridge br-int {bridge} fail_mode=secure other-config:disable-in-band=true",
        "-- --may-exist add-br br-ex",
        f"-- set bridge br-ex {bridge}",
        "-- --may-exist add-port br-ex external",
        *([] if host.kernel_datapath else outer),
        "-- set Open_vSwitch .",
        *(f"external-ids:{key}={value}" for key, value in facts.items()),
    ]
    return " ".join(words)


def _vswitchd(host: LabHost) -> Daemon:
    if host.kernel_datapath:
        awake = "ovs-vsctl --timeout=20 get bridge br-int datapath_id >/dev/null"
    else:  # the bridge's own device lives and dies with the switch, and its address with it
        awake = f"""
tries=0
until ip link show br-phy >/dev/null 2>&1; do tries=$((tries + 1)); [ $tries -lt 400 ]; sleep 0.05; done
ip address replace {host.address}/16 dev br-phy
ip link set br-phy up
{host.fabric.no_offload("br-phy")}
"""
    return Daemon(
        name=f"{host.name}.vswitchd",
        title=f"{host.name} Open vSwitch",
        argv=(
            "ovs-vswitchd", _OVSDB, "--pidfile=/run/openvswitch/ovs-vswitchd.pid",
            *(() if host.kernel_datapath else ("--disable-system",)), *_OVS_LOGGING,
        ),
        inside=host.name,
        after=awake,
        depends=(f"{host.name}.ovsdb",),
    )  # fmt: skip


def _controller(host: LabHost) -> Daemon:
    return Daemon(
        name=f"{host.name}.ovn-controller",
        title=f"{host.name} OVN controller",
        argv=("ovn-controller", _OVSDB, "--pidfile=/run/ovn/ovn-controller.pid", *_OVS_LOGGING),
        inside=host.name,
        environment={"OVN_RUNDIR": "/run/ovn", "OVS_RUNDIR": "/run/openvswitch"},
        depends=(f"{host.name}.vswitchd", "ovn-sb"),
    )


def _libvirtd(host: LabHost) -> Daemon:
    return Daemon(
        name=f"{host.name}.libvirtd",
        title=f"{host.name} libvirt",
        argv=("libvirtd", "--pid-file", "/run/libvirt/libvirtd.pid"),
        inside=host.name,
        ready=Ready("command", "[ -S /run/libvirt/libvirt-sock ] && virsh -q -c qemu:///system uri"),
        depends=(host.name,),
    )
