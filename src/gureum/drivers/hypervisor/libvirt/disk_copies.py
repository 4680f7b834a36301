"""Copies of a running machine's disk by libvirt's backup job: the disk as it was when the job began, in one file.

QEMU saves each block that the guest is about to change before it is changed, so neither the guest nor its disk's chain
of files notices, and nothing has to be put back when the job is lost. A machine has at most one such job. libvirt
forgets how a job ended when it is restarted: then the copy is begun anew, so what was begun is kept in memory alone.
Sources: https://libvirt.org/formatbackup.html, libvirt-domain's virDomainBackupBegin and virDomainGetJobStats.
"""

from __future__ import annotations

import contextlib
import logging
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement

import libvirt

from gureum.drivers.hypervisor.interface import HypervisorError, MachineIsOff
from gureum.drivers.hypervisor.libvirt import machine_xml

_log = logging.getLogger(__name__)

_ABORT_S = 10.0
_IDLE_S = 3.0
_ENDED = libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED | libvirt.VIR_DOMAIN_JOB_STATS_KEEP_COMPLETED


class DiskCopies:
    """The copies that this driver began, by server id. Callers of one server take turns."""

    def __init__(self) -> None:
        self._begun: dict[str, str] = {}
        self._idle_since: dict[str, float] = {}

    def look_after(self, domain: Any, source: str, target: str) -> bool:
        """See `DiskCopier.copy_disk`."""
        server_id = domain.UUIDString()
        if not domain.isActive():
            self._begun.pop(server_id, None)
            raise MachineIsOff(f"machine {server_id} is off")
        under_way = _target_of(domain)
        if under_way and under_way != target:
            raise HypervisorError(f"another copy of a disk of {server_id} is under way: {under_way}")
        if under_way:
            self._begun[server_id] = target
            self._require_work(domain, source)
            return False
        self._idle_since.pop(server_id, None)
        if self._begun.pop(server_id, None) == target and _ended_well(domain):
            return True
        _begin(domain, source, target)
        self._begun[server_id] = target
        return False

    def _require_work(self, domain: Any, source: str) -> None:
        """A job that ended in QEMU while libvirt was away may stay under way in libvirt for ever: it is ended here."""
        server_id = domain.UUIDString()
        device = machine_xml.disk_device(_definition(domain), source)
        if device is None or domain.blockJobInfo(device):
            self._idle_since.pop(server_id, None)
        elif time.monotonic() - self._idle_since.setdefault(server_id, time.monotonic()) > _IDLE_S:
            self._idle_since.pop(server_id, None)
            domain.abortJob()

    def abort(self, domain: Any, target: str) -> None:
        """See `DiskCopier.abort_copy`."""
        self._begun.pop(domain.UUIDString(), None)
        if domain.isActive() and _target_of(domain) == target:
            try:
                domain.abortJob()
            except libvirt.libvirtError:
                # It may have ended between the look and the call.
                if domain.isActive() and _target_of(domain) == target:
                    raise
            deadline = time.monotonic() + _ABORT_S
            while domain.isActive() and _target_of(domain) == target and time.monotonic() < deadline:
                time.sleep(0.05)


def _target_of(domain: Any) -> str:
    """Where the backup job under way writes; "" without one."""
    try:
        text = domain.backupGetXMLDesc()
    except libvirt.libvirtError as error:
        if error.get_error_code() in (libvirt.VIR_ERR_NO_DOMAIN_BACKUP, libvirt.VIR_ERR_OPERATION_INVALID):
            return ""
        raise
    found = ET.fromstring(text).find("disks/disk/target")  # noqa: S314 - the text is libvirt's own, not a tenant's
    return "an unknown place" if found is None else found.get("file") or "an unknown place"


def _ended_well(domain: Any) -> bool:
    """False when libvirt does not know any more. Raises HypervisorError for a copy that failed."""
    stats = domain.jobStats(_ENDED)
    if stats.get("operation") != libvirt.VIR_DOMAIN_JOB_OPERATION_BACKUP:
        return False
    if not stats.get("success"):
        why = stats.get("errmsg") or "it was ended"
        raise HypervisorError(f"the copy of a disk of {domain.UUIDString()} failed: {why}")
    return True


def _definition(domain: Any) -> Element:
    return ET.fromstring(domain.XMLDesc(0))  # noqa: S314 - the text is libvirt's own, not a tenant's


def _begin(domain: Any, source: str, target: str) -> None:
    definition = _definition(domain)
    device = machine_xml.disk_device(definition, source)
    if device is None:
        raise HypervisorError(f"machine {domain.UUIDString()} has no disk {source}")
    Path(target).unlink(missing_ok=True)
    backup = Element("domainbackup", mode="push")
    disk = SubElement(SubElement(backup, "disks"), "disk", name=device, type="file", backup="yes")
    SubElement(disk, "driver", type="qcow2")
    SubElement(disk, "target", file=target)
    with _held_file_systems(domain, definition):
        domain.backupBegin(ET.tostring(backup, encoding="unicode"), None, 0)


@contextlib.contextmanager
def _held_file_systems(domain: Any, definition: Element) -> Iterator[None]:
    """While the block runs, the guest writes nothing, if its agent listens and can; else what is on the disk counts."""
    held = False
    if machine_xml.has_guest_agent(definition):
        try:
            held = domain.fsFreeze() > 0
        except libvirt.libvirtError as error:
            _log.info("the file systems of %s are not held: %s", domain.UUIDString(), error)
    try:
        yield
    finally:
        if held:
            domain.fsThaw()
