"""The guest's kernel: its image, the modules that the guest carries, and the initramfs that finds the root disk.

Not here: the root file system (`root_tree.py`). A module is taken together with everything that it depends on, so
what is listed here loads. Read next: `bootfs/init`.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gureum.lab.guest_image.failure import GuestImageError
from gureum.lab.guest_image.initramfs import Initramfs

# Loaded in this order, each after what it depends on.
_FIRST_MODULES = ("virtio_pci", "virtio_blk")
# Loaded only when the first ones show no root disk.
_REST_MODULES = ("sd_mod", "virtio_scsi", "ata_piix", "ata_generic")
_GUEST_MODULES = (
    *_FIRST_MODULES, *_REST_MODULES, "virtio_net", "virtio_balloon", "virtio_console", "virtio_rng", "virtio_input",
    "sr_mod", "isofs", "vfat", "nls_cp437", "nls_ascii", "nls_utf8", "nls_iso8859_1", "button", "evdev",
    "8021q", "dummy", "veth", "tun", "virtiofs",
)  # fmt: skip

_INITRAMFS_APPLETS = (
    "blockdev", "cat", "dd", "insmod", "mount", "printf", "sh", "sleep", "switch_root", "sync", "usleep",
)  # fmt: skip


@dataclass(frozen=True)
class Kernel:
    """An unpacked kernel package.

    release: its `uname -r`; image: the bzImage; modules: every module file by name, with `_` for `-`.
    """

    release: str
    image: Path
    modules: dict[str, Path]


def find_kernel(unpacked: Path) -> Kernel:
    """Find the one kernel in a folder of unpacked packages."""
    images = sorted((unpacked / "boot").glob("vmlinuz-*"))
    if len(images) != 1:
        raise GuestImageError(f"expected one kernel in the fetched packages, found {len(images)}")
    release = images[0].name.removeprefix("vmlinuz-")
    folder = unpacked / "lib/modules" / release
    modules = {path.stem.replace("-", "_"): path for path in folder.rglob("*.ko")}
    return Kernel(release, images[0], modules)


def module_closure(kernel: Kernel, names: Iterable[str]) -> list[Path]:
    """Return the module files for names and all that they need, each after what it depends on."""
    ordered: dict[str, Path] = {}

    def add(name: str) -> None:
        if name in ordered:
            return
        path = kernel.modules.get(name)
        if path is None:
            raise GuestImageError(f"kernel {kernel.release} has no module {name}")
        for needed in _dependencies(path):
            add(needed)
        ordered[name] = path

    for name in names:
        add(name)
    return list(ordered.values())


def _dependencies(module: Path) -> list[str]:
    found = re.search(rb"\0depends=([^\0]*)\0", module.read_bytes())
    if found is None:
        return []
    return [name.replace("-", "_") for name in found[1].decode().split(",") if name]


def install_modules(kernel: Kernel, root: Path) -> None:
    """Copy the guest's modules into a root tree, where depmod can index them."""
    source = kernel.image.parent.parent / "lib/modules" / kernel.release
    target = root / "usr/lib/modules" / kernel.release
    for module in module_closure(kernel, _GUEST_MODULES):
        copy = target / module.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(module, copy)
    for name in ("modules.builtin", "modules.order"):
        shutil.copyfile(source / name, target / name)


def make_initramfs(kernel: Kernel, busybox: Path, init: Path) -> bytes:
    """Return the initramfs: busybox, the disk drivers, and init."""
    archive = Initramfs()
    for folder in ("bin", "dev", "proc", "sys", "root", "modules"):
        archive.folder(folder)
    archive.character_device("dev/console", 5, 1)
    archive.file("bin/busybox", busybox.read_bytes(), 0o755)
    for applet in _INITRAMFS_APPLETS:
        archive.link(f"bin/{applet}", "busybox")
    archive.file("init", init.read_bytes(), 0o755)
    first = module_closure(kernel, _FIRST_MODULES)
    rest = [module for module in module_closure(kernel, _REST_MODULES) if module not in first]
    for name, modules in (("modules.first", first), ("modules.rest", rest)):
        archive.file(name, "".join(f"/modules/{module.name}\n" for module in modules).encode())
        for module in modules:
            archive.file(f"modules/{module.name}", module.read_bytes())
    return archive.archive()
