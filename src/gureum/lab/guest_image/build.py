"""Builds the guest image `mini` into a cache, once for each version of its sources and packages.

Not a general image builder. What is in the cache is whole: an image gets its name in one rename, and an interrupted
build leaves only a folder that the next build removes. Read next: `packages.py`, `root_tree.py`, `kernel.py`,
`disk.py`, in the order in which they run.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from gureum.lab.guest_image.disk import BootFiles, make_disk
from gureum.lab.guest_image.failure import GuestImageError
from gureum.lab.guest_image.kernel import find_kernel, make_initramfs
from gureum.lab.guest_image.packages import fetch_packages, known_versions, run, unpack_packages
from gureum.lab.guest_image.root_tree import make_root_tree, write_os_release

_SOURCES = Path(__file__).parent
_WORK_PREFIX = ".mini-build-"


def _silent(_message: str) -> None:
    return None


def build_guest_image(cache_dir: Path, report: Callable[[str], None] = _silent) -> Path:
    """Return `cache_dir/mini-<version>.qcow2`, building it unless it is there.

    The version is a hash over this package's own files and the versions of the Debian packages that apt would fetch.
    report receives one line for each step. Needs root and BUILD_PACKAGES; raises GuestImageError with the reason.
    """
    cache_dir.mkdir(parents=True, exist_ok=True)
    versions = _versions_after_update_if_needed(report)
    version = image_version(versions)
    image = cache_dir / f"mini-{version}.qcow2"
    if image.exists():
        return image
    if os.geteuid() != 0:
        raise GuestImageError("building the guest image needs root, for the owners of its files")
    with _only_build(cache_dir):
        if not image.exists():
            _build(versions, image, report)
    return image


def image_version(versions: Mapping[str, str]) -> str:
    """Hash the builder's own files and the package versions into 12 hexadecimal digits."""
    digest = hashlib.sha256()
    for path in sorted(_SOURCES.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            content = path.read_bytes()
            digest.update(f"{path.relative_to(_SOURCES)} {len(content)}\n".encode() + content)
    for name, version in sorted(versions.items()):
        digest.update(f"{name}={version}\n".encode())
    return digest.hexdigest()[:12]


def _versions_after_update_if_needed(report: Callable[[str], None]) -> dict[str, str]:
    try:
        return known_versions()
    except GuestImageError:
        report("guest image: apt-get update, apt's lists lack a package")
        run(["apt-get", "update", "-q"])
        return known_versions()


def _build(versions: Mapping[str, str], image: Path, report: Callable[[str], None]) -> None:
    for leftover in image.parent.glob(f"{_WORK_PREFIX}*"):
        shutil.rmtree(leftover)
    work = Path(tempfile.mkdtemp(prefix=_WORK_PREFIX, dir=image.parent)).resolve()
    try:
        _make_image(versions, image, work, report)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _make_image(versions: Mapping[str, str], image: Path, work: Path, report: Callable[[str], None]) -> None:
    packages, unpacked, root = work / "packages", work / "unpacked", work / "root"
    packages.mkdir()
    report(f"guest image: fetching {len(versions)} Debian packages")
    fetch_packages(versions, packages)
    report("guest image: unpacking")
    unpack_packages(packages, unpacked)
    report("guest image: root file system")
    kernel = find_kernel(unpacked)
    make_root_tree(unpacked, kernel, _SOURCES / "rootfs", root)
    write_os_release(root, image.stem)
    initramfs = make_initramfs(kernel, unpacked / "bin/busybox", _SOURCES / "bootfs/init")
    report("guest image: disk")
    disk = make_disk(root, BootFiles(kernel.image, initramfs, _SOURCES / "bootfs/syslinux.cfg"), work)
    with disk.open("rb") as written:
        os.fsync(written.fileno())
    disk.rename(image)
    report(f"guest image: {image.name}, {image.stat().st_size // 2**20} MiB")


@contextmanager
def _only_build(cache_dir: Path) -> Iterator[None]:
    """Hold the cache's lock, so that a second build waits for the first and finds its image."""
    with (cache_dir / ".mini.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
