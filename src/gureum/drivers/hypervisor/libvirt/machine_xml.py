"""The text of a libvirt domain for a Machine, and what can be read back from such a text. Pure functions.

It starts nothing and looks at no file: what the host can do comes in as a `Platform`. Invariants: every disk names
its format, so nothing a guest wrote is ever probed (CVE-2026-24708); the domain's UUID is the server id; our
metadata element marks the domains that are ours. Format: https://libvirt.org/formatdomain.html.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element, SubElement

from gureum.drivers.hypervisor.interface import Disk, HypervisorError, Machine, Nic
from gureum.drivers.hypervisor.libvirt.acceleration import Accelerator

METADATA_URI = "urn:gureum:hypervisor:1"
METADATA_ELEMENT = f"{{{METADATA_URI}}}server"

GUEST_AGENT = "org.qemu.guest_agent.0"

# Free PCI Express slots beyond what the machine starts with: q35 cannot add a root port to a running guest.
HOTPLUG_SLOTS = 8

# Emulation keeps translated code, up to 1 GiB for each guest unless told; this much holds a kernel and its daemons.
_TRANSLATION_CACHE_MIB = 128

# Balloon and random number generator each take a root port.
_FIXED_PCI_DEVICES = 2

_OFFLOADS = ("tso4", "tso6", "ecn", "ufo")


@dataclass(frozen=True, slots=True)
class Uefi:
    """The firmware's code, shared and read only, and the template of its variables, copied for each machine."""

    code: str
    variables: str


@dataclass(frozen=True, slots=True)
class Platform:
    """What the host gives to every machine."""

    accelerator: Accelerator
    userspace_datapath: bool
    integration_bridge: str = "br-int"
    uefi: Uefi | None = None


def machine_xml(machine: Machine, platform: Platform) -> str:
    """The whole domain. Raises HypervisorError when the platform cannot give what the machine asks."""
    ET.register_namespace("gureum", METADATA_URI)
    domain = Element("domain", type="kvm" if platform.accelerator == "kvm" else "qemu")
    _text(domain, "name", machine.name)
    _text(domain, "uuid", machine.server_id)
    SubElement(SubElement(domain, "metadata"), METADATA_ELEMENT)
    _text(domain, "memory", str(machine.ram_mib), unit="MiB")
    _text(domain, "vcpu", str(machine.vcpus), placement="static")
    _add_identity(domain, machine)
    _add_firmware(domain, machine, platform)
    _add_processor(domain, machine, platform)
    for event, action in (("on_poweroff", "destroy"), ("on_reboot", "restart"), ("on_crash", "destroy")):
        _text(domain, event, action)
    domain.append(_devices(machine, platform))
    return ET.tostring(domain, encoding="unicode")


def nic_xml(nic: Nic, platform: Platform) -> str:
    """One interface element, as it stands in a domain or is plugged into one."""
    return ET.tostring(_nic(nic, platform), encoding="unicode")


def is_ours(domain: Element) -> bool:
    """Whether the domain carries our mark."""
    return domain.find(f"metadata/{METADATA_ELEMENT}") is not None


def port_ids(domain: Element) -> tuple[str, ...]:
    """The port ids of a domain's interfaces, in its order."""
    return tuple(_port_id(each) for each in domain.iterfind("devices/interface") if _port_id(each))


def interface_xml(domain: Element, port_id: str) -> str | None:
    """The interface element of a port as the domain has it, or None."""
    for each in domain.iterfind("devices/interface"):
        if _port_id(each) == port_id:
            return ET.tostring(each, encoding="unicode")
    return None


def disk_sources(domain: Element) -> tuple[str, ...]:
    """The sources of a domain's disks, spelled as `Disk.source` spells them."""
    sources = (each.find("source") for each in domain.iterfind("devices/disk"))
    return tuple(_source_of(each) for each in sources if each is not None)


def disk_device(domain: Element, source: str) -> str | None:
    """What the domain calls the disk of this source ("vda"), or None."""
    for each in domain.iterfind("devices/disk"):
        known, target = each.find("source"), each.find("target")
        if known is not None and target is not None and _source_of(known) == source:
            return target.get("dev")
    return None


def has_guest_agent(domain: Element) -> bool:
    """Whether something in the guest listens on the guest agent's channel now."""
    targets = domain.iterfind("devices/channel/target")
    return any(each.get("name") == GUEST_AGENT and each.get("state") == "connected" for each in targets)


def vcpus(domain: Element) -> int:
    """Virtual processors of a domain."""
    return int(domain.findtext("vcpu") or 0)


def ram_mib(domain: Element) -> int:
    """Memory of a domain in MiB; libvirt answers in KiB whatever it was told."""
    return int(domain.findtext("memory") or 0) // 1024


def _text(parent: Element, tag: str, text: str, **attributes: str) -> Element:
    element = SubElement(parent, tag, attributes)
    element.text = text
    return element


def _chipset(machine: Machine) -> str:
    """q35, but for a guest that wants IDE disks: only the older chipset has that bus."""
    return "pc" if any(disk.bus == "ide" for disk in machine.disks) else "q35"


def _add_identity(domain: Element, machine: Machine) -> None:
    """SMBIOS strings: cloud-init looks for its OpenStack sources only when the product is named so."""
    system = SubElement(SubElement(domain, "sysinfo", type="smbios"), "system")
    for name, value in (
        ("manufacturer", "Gureum"),
        ("product", "OpenStack Compute"),
        ("serial", machine.server_id),
        ("uuid", machine.server_id),
        ("family", "Virtual Machine"),
    ):
        _text(system, "entry", value, name=name)


def _add_firmware(domain: Element, machine: Machine, platform: Platform) -> None:
    boot = SubElement(domain, "os")
    _text(boot, "type", "hvm", arch="x86_64", machine=_chipset(machine))
    if machine.firmware == "uefi":
        if platform.uefi is None:
            raise HypervisorError("UEFI firmware is not installed on this host: apt-get install ovmf")
        _text(boot, "loader", platform.uefi.code, readonly="yes", type="pflash")
        SubElement(boot, "nvram", template=platform.uefi.variables)
    SubElement(boot, "bootmenu", enable="no")
    SubElement(boot, "smbios", mode="sysinfo")


def _add_processor(domain: Element, machine: Machine, platform: Platform) -> None:
    features = SubElement(domain, "features")
    SubElement(features, "acpi")
    SubElement(features, "apic")
    kvm = platform.accelerator == "kvm"
    if not kvm:
        _text(SubElement(features, "tcg"), "tb-cache", str(_TRANSLATION_CACHE_MIB), unit="MiB")
    # Emulation gives every feature it knows: guests built for newer processors crash on QEMU's default model.
    cpu = SubElement(domain, "cpu", mode="host-model" if kvm else "maximum")
    SubElement(cpu, "topology", sockets=str(machine.vcpus), dies="1", cores="1", threads="1")
    clock = SubElement(domain, "clock", offset="utc")
    SubElement(clock, "timer", name="hpet", present="no")
    if kvm:
        SubElement(clock, "timer", name="pit", tickpolicy="delay")
        SubElement(clock, "timer", name="rtc", tickpolicy="catchup")


def _devices(machine: Machine, platform: Platform) -> Element:
    devices = Element("devices")
    SubElement(devices, "controller", type="usb", model="none")
    if any(disk.bus == "scsi" for disk in machine.disks):
        SubElement(devices, "controller", type="scsi", model="virtio-scsi")
    if _chipset(machine) == "q35":
        SubElement(devices, "controller", type="pci", index="0", model="pcie-root")
        for _ in range(_pci_devices(machine) + HOTPLUG_SLOTS):
            SubElement(devices, "controller", type="pci", model="pcie-root-port")
    for disk in _disks(machine.disks):
        devices.append(disk)
    for nic in machine.nics:
        devices.append(_nic(nic, platform))
    serial = SubElement(devices, "serial", type="file")
    # Appending keeps what earlier boots said, and lets the agent cut the file short while the guest writes.
    SubElement(serial, "source", path=machine.console_log, append="on")
    SubElement(serial, "target", type="isa-serial", port="0")
    if machine.guest_agent:
        channel = SubElement(devices, "channel", type="unix")
        SubElement(channel, "target", type="virtio", name=GUEST_AGENT)
    # Free page reporting returns to the host the memory that the guest no longer uses.
    SubElement(devices, "memballoon", model="virtio", freePageReporting="on")
    rng = SubElement(devices, "rng", model="virtio")
    _text(rng, "backend", "/dev/urandom", model="random")
    return devices


def _pci_devices(machine: Machine) -> int:
    virtio_disks = sum(disk.bus == "virtio" and disk.kind == "disk" for disk in machine.disks)
    scsi = any(disk.bus == "scsi" for disk in machine.disks)
    return virtio_disks + scsi + machine.guest_agent + len(machine.nics) + _FIXED_PCI_DEVICES


def _disks(disks: Iterable[Disk]) -> Iterable[Element]:
    used: dict[str, int] = {}
    boot_order = 0
    for disk in disks:
        # No virtio CD-ROM exists; SATA is there on every chipset without another driver.
        bus = "sata" if disk.kind == "cdrom" and disk.bus == "virtio" else disk.bus
        prefix = {"virtio": "vd", "ide": "hd"}.get(bus, "sd")
        index = used.setdefault(prefix, 0)
        used[prefix] += 1
        element = _disk_source(disk)
        SubElement(element, "target", dev=prefix + _letters(index), bus=bus)
        if disk.serial:
            _text(element, "serial", disk.serial)
        if disk.kind == "cdrom":
            SubElement(element, "readonly")
        if disk.boot:
            boot_order += 1
            SubElement(element, "boot", order=str(boot_order))
        yield element


def _disk_source(disk: Disk) -> Element:
    if disk.source.startswith("/"):
        block = disk.source.startswith("/dev/")
        element = Element("disk", type="block" if block else "file", device=disk.kind)
        source = Element("source", {"dev" if block else "file": disk.source})
    else:
        element = Element("disk", type="network", device=disk.kind)
        source = _network_source(disk.source)
    driver = SubElement(element, "driver", name="qemu", type=disk.format)
    if disk.kind == "disk":
        driver.set("cache", "writeback")
        driver.set("discard", "unmap")
    element.append(source)
    return element


def _network_source(url: str) -> Element:
    """`rbd:POOL/IMAGE[:conf=PATH]` and `nbd://HOST[:PORT][/EXPORT]`, in the spelling of QEMU's manual page."""
    if url.startswith("rbd:"):
        name, *options = url.removeprefix("rbd:").split(":")
        source = Element("source", protocol="rbd", name=name)
        for option in options:
            key, _, value = option.partition("=")
            if key != "conf":
                raise HypervisorError(f"cannot give the option {key!r} of the disk source {url!r} to the engine")
            SubElement(source, "config", file=value)
        return source
    parts = urlsplit(url)
    if parts.scheme != "nbd" or not parts.hostname:
        raise HypervisorError(f"cannot open a disk source like {url!r}")
    source = Element("source", protocol="nbd")
    if parts.path.strip("/"):
        source.set("name", parts.path.lstrip("/"))
    SubElement(source, "host", name=parts.hostname, port=str(parts.port or 10809))
    return source


def _source_of(source: Element) -> str:
    if source.get("protocol") == "rbd":
        config = source.find("config")
        return f"rbd:{source.get('name')}" + (f":conf={config.get('file')}" if config is not None else "")
    if source.get("protocol") == "nbd":
        host, name = source.find("host"), source.get("name")
        where = f"{host.get('name')}:{host.get('port')}" if host is not None else ""
        return f"nbd://{where}" + (f"/{name}" if name else "")
    return source.get("file") or source.get("dev") or ""


def _nic(nic: Nic, platform: Platform) -> Element:
    interface = Element("interface", type="bridge")
    SubElement(interface, "mac", address=nic.mac)
    SubElement(interface, "source", bridge=platform.integration_bridge)
    switch = SubElement(interface, "virtualport", type="openvswitch")
    SubElement(switch, "parameters", interfaceid=nic.port_id)
    SubElement(interface, "target", dev=nic.tap)
    SubElement(interface, "model", type=nic.model)
    if nic.model == "virtio":
        _add_virtio_driver(interface, platform)
    SubElement(interface, "mtu", size=str(nic.mtu))
    # Nothing boots from the network: without the option ROM the firmware reaches the disk sooner.
    SubElement(interface, "rom", enabled="no")
    return interface


def _add_virtio_driver(interface: Element, platform: Platform) -> None:
    if platform.accelerator == "tcg" or platform.userspace_datapath:
        # The kernel's vhost moves packets past QEMU, which emulation and a switch in user space cannot follow.
        driver = SubElement(interface, "driver", name="qemu")
    else:
        return
    if platform.userspace_datapath:
        # The switch in user space does not finish checksums that a guest leaves to its NIC: TCP would break silently.
        off = dict.fromkeys(_OFFLOADS, "off")
        SubElement(driver, "host", {"csum": "off", "gso": "off", **off})
        SubElement(driver, "guest", {"csum": "off", **off})


def _port_id(interface: Element) -> str:
    parameters = interface.find("virtualport/parameters")
    return (parameters.get("interfaceid") or "") if parameters is not None else ""


def _letters(index: int) -> str:
    """a to z, then aa, ab and so on, as block devices are named."""
    name = ""
    index += 1
    while index:
        index, digit = divmod(index - 1, 26)
        name = chr(ord("a") + digit) + name
    return name
