from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from gureum.drivers.hypervisor.interface import Disk, HypervisorError, Machine, Nic
from gureum.drivers.hypervisor.libvirt import machine_xml
from gureum.drivers.hypervisor.libvirt.machine_xml import HOTPLUG_SLOTS, Platform, Uefi

EMULATED = Platform(accelerator="tcg", userspace_datapath=True)
NATIVE = Platform(accelerator="kvm", userspace_datapath=False, integration_bridge="br-wired")
PORT = "0b6ee5a2-1d9e-4f0c-8f5e-0d8a3c4c6a11"
NIC = Nic(port_id=PORT, mac="fa:16:3e:11:22:33", mtu=1442, tap="tap0b6ee5a2-1d")
ROOT = Disk(source="/srv/instances/one/root.qcow2", format="qcow2", serial="root-1", boot=True)
MACHINE = Machine(
    server_id="5a7b1fd4-2f64-4c52-8d1c-6b8e0f1a2c3d",
    name="instance-00000001",
    vcpus=2,
    ram_mib=512,
    disks=(ROOT,),
    nics=(NIC,),
    console_log="/srv/instances/one/console.log",
)


def domain(machine=MACHINE, platform=EMULATED):
    return ET.fromstring(machine_xml.machine_xml(machine, platform))


def attributes(element, *names):
    return tuple(element.get(name) for name in names)


def test_identity_and_size():
    made = domain()
    assert made.findtext("name") == "instance-00000001"
    assert made.findtext("uuid") == MACHINE.server_id
    assert (made.findtext("memory"), made.find("memory").get("unit")) == ("512", "MiB")
    assert machine_xml.vcpus(made) == 2
    assert machine_xml.is_ours(made)
    assert made.findtext("sysinfo/system/entry[@name='product']") == "OpenStack Compute"
    assert made.findtext("sysinfo/system/entry[@name='uuid']") == MACHINE.server_id


def test_a_domain_without_our_mark_is_not_ours():
    assert not machine_xml.is_ours(ET.fromstring("<domain><metadata><other xmlns='urn:other'/></metadata></domain>"))


def test_what_happens_at_the_end_of_a_guest():
    made = domain()
    ends = [made.findtext(event) for event in ("on_poweroff", "on_reboot", "on_crash")]
    assert ends == ["destroy", "restart", "destroy"]


def test_emulation_gets_the_whole_processor_and_no_vhost():
    made = domain()
    assert made.get("type") == "qemu"
    assert made.find("cpu").get("mode") == "maximum"
    assert made.find("devices/interface/driver").get("name") == "qemu"


def test_kvm_gets_the_hosts_processor():
    made = domain(platform=NATIVE)
    assert made.get("type") == "kvm"
    assert made.find("cpu").get("mode") == "host-model"
    assert made.find("features/tcg") is None


def test_a_nic_is_wired_by_the_switch():
    nic = domain(platform=NATIVE).find("devices/interface")
    assert nic.find("source").get("bridge") == "br-wired"
    assert nic.find("virtualport").get("type") == "openvswitch"
    assert nic.find("virtualport/parameters").get("interfaceid") == PORT
    assert nic.find("target").get("dev") == NIC.tap
    assert nic.find("mtu").get("size") == "1442"
    assert nic.find("driver") is None


def test_the_switch_in_user_space_gets_no_unfinished_checksums():
    driver = domain().find("devices/interface/driver")
    assert driver.find("host").attrib == dict.fromkeys(("csum", "gso", "tso4", "tso6", "ecn", "ufo"), "off")
    assert driver.find("guest").attrib == dict.fromkeys(("csum", "tso4", "tso6", "ecn", "ufo"), "off")


def test_a_nic_can_be_found_again():
    made = domain()
    assert machine_xml.port_ids(made) == (PORT,)
    assert PORT in machine_xml.interface_xml(made, PORT)
    assert machine_xml.interface_xml(made, "another") is None
    assert ET.fromstring(machine_xml.nic_xml(NIC, EMULATED)).tag == "interface"


def test_every_disk_names_its_format():
    """CVE-2026-24708: a guest writes a qcow2 header into its raw disk; nothing may look at the content to decide."""
    disks = (ROOT, Disk(source="/dev/vg/volume", format="raw"), Disk(source="/srv/config", format="raw", kind="cdrom"))
    made = domain(replace(MACHINE, disks=disks)).findall("devices/disk")
    assert [disk.find("driver").get("type") for disk in made] == ["qcow2", "raw", "raw"]
    assert [disk.get("type") for disk in made] == ["file", "block", "file"]
    assert [disk.find("target").get("dev") for disk in made] == ["vda", "vdb", "sda"]
    assert made[2].find("readonly") is not None
    assert made[0].findtext("serial") == "root-1"
    assert [disk.find("boot") is not None for disk in made] == [True, False, False]


def test_many_disks_are_named_like_linux_names_them():
    disks = tuple(Disk(source=f"/srv/{number}", format="raw") for number in range(54))
    names = [target.get("dev") for target in domain(replace(MACHINE, disks=disks)).iterfind("devices/disk/target")]
    assert (names[0], names[25], names[26], names[51], names[52]) == ("vda", "vdz", "vdaa", "vdaz", "vdba")


@pytest.mark.parametrize(
    "source",
    [
        "/srv/root.qcow2",
        "/dev/sdx",
        "rbd:volumes/volume-1",
        "rbd:volumes/v:conf=/etc/ceph/ceph.conf",
        "nbd://10.0.0.1:10809/one",
    ],
)
def test_a_disk_source_is_read_back_as_it_was_given(source):
    made = domain(replace(MACHINE, disks=(Disk(source=source, format="raw"),)))
    assert machine_xml.disk_sources(made) == (source,)


@pytest.mark.parametrize("source", ["relative.raw", "http://host/disk", "rbd:volumes/v:key=secret", "json:{}", ""])
def test_a_disk_source_of_another_kind_is_refused(source):
    with pytest.raises(HypervisorError):
        domain(replace(MACHINE, disks=(Disk(source=source, format="raw"),)))


def test_the_buses_bring_their_controllers():
    assert domain().find("devices/controller[@type='scsi']") is None
    scsi = domain(replace(MACHINE, disks=(replace(ROOT, bus="scsi"),)))
    assert scsi.find("devices/controller[@type='scsi']").get("model") == "virtio-scsi"
    assert scsi.find("os/type").get("machine") == "q35"
    ide = domain(replace(MACHINE, disks=(replace(ROOT, bus="ide"),)))
    assert ide.find("os/type").get("machine") == "pc"
    assert ide.find("devices/disk/target").get("dev") == "hda"


def test_slots_are_kept_for_what_is_plugged_later():
    ports = domain().findall("devices/controller[@model='pcie-root-port']")
    devices_now = 4  # disk, NIC, balloon, random numbers
    assert len(ports) - devices_now == HOTPLUG_SLOTS == 8


def test_the_console_goes_on_in_the_same_file():
    assert attributes(domain().find("devices/serial/source"), "path", "append") == (MACHINE.console_log, "on")


def test_no_screen_and_no_usb():
    made = domain()
    assert made.find("devices/graphics") is None
    assert made.find("devices/controller[@type='usb']").get("model") == "none"


def test_uefi_needs_firmware():
    machine = replace(MACHINE, firmware="uefi")
    with pytest.raises(HypervisorError, match="ovmf"):
        domain(machine)
    made = domain(machine, replace(EMULATED, uefi=Uefi(code="/fw/code.fd", variables="/fw/vars.fd")))
    assert made.findtext("os/loader") == "/fw/code.fd"
    assert made.find("os/nvram").get("template") == "/fw/vars.fd"


def test_names_cannot_break_out_of_the_text():
    made = domain(replace(MACHINE, name="</name><devices>&", console_log='/x"><evil/>'))
    assert made.findtext("name") == "</name><devices>&"
    assert made.find("devices/serial/source").get("path") == '/x"><evil/>'
    assert len(made.findall("devices")) == 1


def test_the_guest_agents_channel_is_there_when_asked_for_and_has_a_slot():
    plain, talking = domain(), domain(replace(MACHINE, guest_agent=True))
    assert plain.find("devices/channel") is None
    target = talking.find("devices/channel/target")
    assert attributes(target, "type", "name") == ("virtio", "org.qemu.guest_agent.0")
    ports = [len(made.findall("devices/controller[@model='pcie-root-port']")) for made in (plain, talking)]
    assert ports[1] == ports[0] + 1
    assert not machine_xml.has_guest_agent(talking)
    target.set("state", "connected")
    assert machine_xml.has_guest_agent(talking)
    assert machine_xml.disk_device(talking, ROOT.source) == "vda"
    assert machine_xml.disk_device(talking, "/elsewhere") is None
