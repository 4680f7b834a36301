"""What a host can give to machines: capacity, versions, and traits in the words of os-traits.

Reads libvirt's documents about the host (https://libvirt.org/formatdomaincaps.html) and the state of the instances
folder; changes nothing. Invariant: a trait is reported only when every machine of this driver can have it.
"""

from __future__ import annotations

import json
import os
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import libvirt
import os_traits

from gureum.drivers.hypervisor.interface import Capabilities, HypervisorError
from gureum.drivers.hypervisor.libvirt.machine_xml import Platform, Uefi

# Where distributions put the firmware: Debian and Ubuntu, Fedora and its kin.
_UEFI_FILES = (
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
    ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
)

_COMPUTE_TRAITS = (
    "COMPUTE_NODE",
    "COMPUTE_ARCH_X86_64",
    "COMPUTE_FIRMWARE_BIOS",
    "COMPUTE_GRAPHICS_MODEL_NONE",
    "COMPUTE_IMAGE_TYPE_QCOW2",
    "COMPUTE_IMAGE_TYPE_RAW",
    "COMPUTE_NET_ATTACH_INTERFACE",
    "COMPUTE_NET_VIF_MODEL_E1000",
    "COMPUTE_NET_VIF_MODEL_RTL8139",
    "COMPUTE_NET_VIF_MODEL_VIRTIO",
    "COMPUTE_STORAGE_BUS_IDE",
    "COMPUTE_STORAGE_BUS_SATA",
    "COMPUTE_STORAGE_BUS_SCSI",
    "COMPUTE_STORAGE_BUS_VIRTIO",
    "HW_ARCH_X86_64",
)

# Processor features whose trait is not simply the feature's name.
_FEATURE_TRAITS = {
    "3dnow": "HW_CPU_X86_3DNOW",
    "aes": "HW_CPU_X86_AESNI",
    "bmi1": "HW_CPU_X86_BMI",
    "fma": "HW_CPU_X86_FMA3",
    "pclmuldq": "HW_CPU_X86_CLMUL",
    "pni": "HW_CPU_X86_SSE3",
    "rtm": "HW_CPU_X86_TSX",
    "sha-ni": "HW_CPU_X86_SHA",
    "svm": "HW_CPU_X86_AMD_SVM",
    "vmx": "HW_CPU_X86_INTEL_VMX",
}


def find_uefi() -> Uefi | None:
    """The UEFI firmware installed on this host, or None."""
    for code, variables in _UEFI_FILES:
        if Path(code).exists() and Path(variables).exists():
            return Uefi(code=code, variables=variables)
    return None


def capabilities(connection: Any, platform: Platform, instances: Path) -> Capabilities:
    """Read everything from the host; `instances` is the folder whose file system holds the guests' disks."""
    model, features = _processor(connection, platform)
    _, _, vcpus, *_ = connection.getInfo()
    try:
        files = os.statvfs(instances)
    except OSError as error:
        raise HypervisorError(f"the instances folder {instances} cannot be read: {error.strerror}") from error
    return Capabilities(
        vcpus=vcpus,
        # libvirt adds up the NUMA nodes, which miss memory that was plugged in later.
        ram_mib=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20,
        disk_gib=files.f_blocks * files.f_frsize >> 30,
        hypervisor_type=connection.getType(),
        hypervisor_version=connection.getVersion(),
        accelerator=platform.accelerator,
        traits=traits(features, uefi=platform.uefi is not None),
        cpu_info=json.dumps(_cpu_info(connection, model, features)),
    )


def traits(features: Iterable[str], *, uefi: bool) -> tuple[str, ...]:
    """Standard traits for libvirt's names of processor features; features that have no trait are left out."""
    known = set(os_traits.get_traits("HW_CPU_X86_"))
    named = (_FEATURE_TRAITS.get(each, f"HW_CPU_X86_{_trait_word(each)}") for each in features)
    found = {trait for trait in named if trait in known}
    return tuple(sorted(found | set(_COMPUTE_TRAITS) | ({"COMPUTE_FIRMWARE_UEFI"} if uefi else set())))


def _trait_word(feature: str) -> str:
    return feature.replace(".", "").replace("-", "_").upper()


def _processor(connection: Any, platform: Platform) -> tuple[str, list[str]]:
    """Model and features of the processor that guests see, the model's own features spelled out."""
    kind = "kvm" if platform.accelerator == "kvm" else "qemu"
    offered = ET.fromstring(connection.getDomainCapabilities(None, "x86_64", "q35", kind))  # noqa: S314 - libvirt's own
    mode = offered.find("cpu/mode[@name='host-model']")
    if mode is None or mode.get("supported") != "yes":
        return "", []
    cpu = ET.Element("cpu")
    cpu.extend(mode)
    whole = connection.baselineHypervisorCPU(
        *(None, "x86_64", None, kind, [ET.tostring(cpu, encoding="unicode")]),
        libvirt.VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES,
    )
    features = ET.fromstring(whole).iterfind("feature")  # noqa: S314 - libvirt's own
    return mode.findtext("model") or "", [each.get("name", "") for each in features if each.get("policy") == "require"]


def _cpu_info(connection: Any, model: str, features: list[str]) -> dict[str, object]:
    """The document that the hypervisors API shows: arch, model, vendor, topology, features (compute API reference)."""
    host = ET.fromstring(connection.getCapabilities()).find("host/cpu")  # noqa: S314 - libvirt's own
    topology: dict[str, int] = {}
    vendor = ""
    if host is not None:
        vendor = host.findtext("vendor") or ""
        counts = host.find("topology")
        if counts is not None:
            topology = {key: int(counts.get(key, "1")) for key in ("sockets", "cores", "threads")}
    return {"arch": "x86_64", "model": model, "vendor": vendor, "topology": topology, "features": features}
