"""A server's files on its host: root disk, ephemeral disk, swap, config drive, console log, copies of the root disk.

The root disk is a qcow2 overlay over the cached image; ephemeral and swap are sparse raw files. Every qemu-img call
names its formats, and a guest's disk is never probed (CVE-2026-24708).
Invariant: a disk under its own name is complete. A half-made one ends in `.part` and is made anew.
Read next: `image_cache.py` for where the overlay's base comes from.
"""

from __future__ import annotations

import errno
import os
import shutil
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gureum.agents.hypervisor.files import PART, is_safe_name, move_into_place, part_of
from gureum.agents.hypervisor.image_cache import BaseImage, ImageCache
from gureum.agents.hypervisor.protocol import ServerSpec
from gureum.agents.hypervisor.tools import ToolFailed, run_tool
from gureum.agents.metadata import config_drive
from gureum.foundation.fleet.failure import AgentFailure

GIB = 1 << 30
MIB = 1 << 20

COPY_PREFIX = "copy-"
_QCOW2_MAGIC = b"QFI\xfb"
_FULL = "the host has no room left for the server's disks"


@dataclass(frozen=True, slots=True)
class ServerDisks:
    """Where a server's files are; any of them may be absent."""

    folder: Path

    @property
    def root(self) -> Path:
        return self.folder / "disk"

    @property
    def ephemeral(self) -> Path:
        return self.folder / "disk.ephemeral0"

    @property
    def swap(self) -> Path:
        return self.folder / "disk.swap"

    @property
    def config_drive(self) -> Path:
        return self.folder / "config.iso"

    def copy(self, copy_id: str) -> Path:
        """A copy of the root disk by its id."""
        return self.folder / f"{COPY_PREFIX}{copy_id}"

    @property
    def console_log(self) -> Path:
        return self.folder / "console.log"


class DiskFolder:
    """All servers' files on this host, one folder for each server."""

    def __init__(self, folder: Path, images: ImageCache) -> None:
        self._folder = folder
        self._images = images
        folder.mkdir(parents=True, exist_ok=True, mode=0o711)

    def of(self, server_id: str) -> ServerDisks:
        return ServerDisks(self._folder / server_id)

    def ids(self) -> list[str]:
        """Servers that have files here, known or not."""
        return [entry.name for entry in self._folder.iterdir() if entry.is_dir() and is_safe_name(entry.name)]

    def make(self, spec: ServerSpec, cancelled: Callable[[], None]) -> None:
        """Make every disk anew from the spec; the machine is off. `cancelled` raises to stop a long fetch.

        Raises AgentFailure.
        """
        disks = self.of(spec.server_id)
        try:
            disks.folder.mkdir(mode=0o711, exist_ok=True)
            for leftover in disks.folder.glob("*" + PART):
                if leftover.is_dir():
                    shutil.rmtree(leftover)
                else:
                    leftover.unlink()
            self._make_root(spec, disks, cancelled)
            _make_blank(disks.ephemeral, spec.ephemeral_gib * GIB, ["mkfs.ext4", "-q", "-F", "-L", "ephemeral0"])
            _make_blank(disks.swap, spec.swap_mib * MIB, ["mkswap", "-L", "swap"])
            disks.config_drive.unlink(missing_ok=True)
            self.make_config_drive(spec)
        except (OSError, ToolFailed) as error:
            raise failure_of(error) from error

    def make_config_drive(self, spec: ServerSpec) -> None:
        """Make the config drive if it is wanted and not there. Raises AgentFailure."""
        disks = self.of(spec.server_id)
        if not spec.config_drive or disks.config_drive.exists():
            return
        part = part_of(disks.config_drive)
        try:
            config_drive.build(spec.guest, part)
            move_into_place(part, disks.config_drive)
        except (OSError, ToolFailed) as error:
            raise failure_of(error) from error

    def grow_root(self, spec: ServerSpec) -> None:
        """Enlarge the root disk to the spec's size; the machine is off. Raises AgentFailure."""
        disks = self.of(spec.server_id)
        try:
            run_tool(["qemu-img", "resize", "-q", "-f", "qcow2", str(disks.root), str(spec.root_gib * GIB)])
        except ToolFailed as error:
            raise failure_of(error) from error

    def remove(self, server_id: str) -> None:
        """Delete every file of the server. Raises AgentFailure when one resists."""
        folder = self._folder / server_id
        if not folder.exists():
            return
        try:
            shutil.rmtree(folder)
        except OSError as error:
            raise AgentFailure(f"disks of {server_id}: {error}") from error

    def bases_in_use(self) -> set[str]:
        """File names of the images that some server's root disk stands on, read from the overlays themselves."""
        names = set()
        for server_id in self.ids():
            for path in (self.of(server_id).root, part_of(self.of(server_id).root)):
                base = backing_file(path)
                if base:
                    names.add(Path(base).name)
        return names

    def _make_root(self, spec: ServerSpec, disks: ServerDisks, cancelled: Callable[[], None]) -> None:
        size = spec.root_gib * GIB
        if spec.image is None:
            # An empty disk in the place of a lost one would hide the loss.
            raise AgentFailure(f"server {spec.server_id} has no root disk here and names no image", retry=False)
        with self._images.base(spec.image, cancelled) as base:
            if 0 < size < base.virtual_size_bytes:
                raise AgentFailure(
                    f"image {spec.image.image_id} needs {base.virtual_size_bytes} bytes, the disk has {size}",
                    public="The flavor's disk is smaller than the image.",
                    retry=False,
                )
            self._create(disks.root, size, base)

    def _create(self, path: Path, size_bytes: int, base: BaseImage) -> None:
        part = part_of(path)
        command = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", base.format, "-b", str(base.path), str(part)]
        run_tool([*command, *([str(size_bytes)] if size_bytes else [])])
        move_into_place(part, path)


def backing_file(path: Path) -> str:
    """The base that a qcow2 overlay of ours names in its header; "" for anything else.

    Layout: QEMU docs/interop/qcow2.txt, bytes 8 to 19. Only the host writes this header: a guest sees the content.
    """
    try:
        with path.open("rb") as stream:
            header = stream.read(20)
            if len(header) < 20 or header[:4] != _QCOW2_MAGIC:
                return ""
            offset, length = struct.unpack(">QI", header[8:20])
            if not offset or length > 1023:
                return ""
            stream.seek(offset)
            return stream.read(length).decode(errors="replace")
    except OSError:
        return ""


def _make_blank(path: Path, size_bytes: int, format_command: list[str]) -> None:
    """A sparse raw disk with a file system (or swap signature), or no file when the size is 0."""
    if not size_bytes:
        path.unlink(missing_ok=True)
        return
    part = part_of(path)
    with part.open("wb") as stream:
        os.truncate(stream.fileno(), size_bytes)
    part.chmod(0o600)
    run_tool([*format_command, str(part)])
    move_into_place(part, path)


def failure_of(error: Exception) -> AgentFailure:
    """What went wrong with files, in the protocol's words; a full disk is told to tenants too."""
    full = isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}
    if full or "No space left" in str(error):
        return AgentFailure(str(error), public=_FULL)
    return AgentFailure(f"disks: {error}")
