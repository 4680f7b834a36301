"""The guest's root file system as a folder: programs and libraries picked from unpacked packages, and our own files.

Not here: how it becomes a disk (`disk.py`). /bin, /sbin and /usr/sbin are all /usr/bin, so a program has one place
whatever package it comes from. Every shared library that a picked program names is there, found by the packages' own
dynamic loader, so the build fails rather than the guest. Read next: `rootfs/usr/lib/gureum/boot`.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from gureum.lab.guest_image.failure import GuestImageError
from gureum.lab.guest_image.kernel import Kernel, install_modules
from gureum.lab.guest_image.packages import SHELL_PACKAGE, run

_USER_ID = 1000

_PROGRAMS = (
    "usr/bin/curl", "usr/bin/dbclient", "usr/bin/dropbearkey", "usr/bin/scp",
    "usr/bin/socat", "usr/bin/sudo", "usr/sbin/dropbear", "bin/lsblk", "bin/nc.openbsd", "bin/findmnt", "bin/ping",
    "sbin/blkid", "sbin/e2fsck", "sbin/fsck.ext4", "sbin/mke2fs", "sbin/mkfs", "sbin/mkfs.ext2", "sbin/mkfs.ext3",
    "sbin/mkfs.ext4", "sbin/mkfs.fat", "sbin/mkfs.vfat", "sbin/resize2fs", "sbin/tune2fs", "sbin/wipefs",
)  # fmt: skip

# Files kept at their own path; what is loaded by name at run time is listed here.
_FILES = (
    "usr/libexec/sudo/sudoers.so", "lib/x86_64-linux-gnu/security/pam_permit.so", "etc/mke2fs.conf",
    "usr/lib/sftp-server",
)  # fmt: skip

_LIBRARY_FOLDERS = ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu", "usr/libexec/sudo")
_LOADER = "lib64/ld-linux-x86-64.so.2"

_MERGED = {"bin": "usr/bin", "sbin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64"}
_FOLDERS = (
    "dev", "proc", "sys", "run", "tmp", "mnt", "media", "opt", "srv", "root", "home/gureum", "usr/local/bin",
    "home/gureum/.ssh", "etc/dropbear", "var/lib/gureum", "var/log", "var/tmp", "var/cache",
)  # fmt: skip

_SETUID = ("usr/bin/sudo",)
_MODES = {
    "etc/shadow": 0o600, "etc/sudoers": 0o440, "root": 0o700, "tmp": 0o1777, "var/tmp": 0o1777,
    "home/gureum": 0o700, "home/gureum/.ssh": 0o700, "home/gureum/.ssh/authorized_keys": 0o600,
}  # fmt: skip


def make_root_tree(unpacked: Path, kernel: Kernel, own_files: Path, root: Path) -> None:
    """Fill the new folder root with the guest's whole root file system.

    unpacked: the packages' files; own_files: the folder that is laid over them. Needs root rights for the owners.
    """
    _make_folders(root)
    for name in _PROGRAMS + _FILES:
        _install(unpacked, name, root)
    _install_busybox(unpacked, root)
    _install_certificates(unpacked, root)
    install_modules(kernel, root)
    _lay_over(own_files, root)
    run([unpacked / "bin/busybox", "depmod", "-b", root, kernel.release])
    _set_owners_and_modes(root)


def write_os_release(root: Path, version: str) -> None:
    """Write /etc/os-release (os-release(5)); version is the image's."""
    lines = {"ID": "gureum-mini", "NAME": "Gureum mini", "PRETTY_NAME": "Gureum mini", "ID_LIKE": "debian"}
    lines["BUILD_ID"] = version
    text = "".join(f'{key}="{value}"\n' for key, value in lines.items())
    (root / "etc/os-release").write_text(text)


def _make_folders(root: Path) -> None:
    for folder in ("usr/bin", "usr/lib", "usr/lib64", *_FOLDERS):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for link, target in _MERGED.items():
        (root / link).symlink_to(target)
    (root / "usr/sbin").symlink_to("bin")
    (root / "var/run").symlink_to("/run")
    (root / "etc/mtab").symlink_to("/proc/self/mounts")


def _place(name: str) -> str:
    top, _, rest = name.partition("/")
    if name.startswith("usr/sbin/"):
        return "usr/bin/" + name.removeprefix("usr/sbin/")
    return f"{_MERGED[top]}/{rest}" if top in _MERGED else name


def _install(unpacked: Path, name: str, root: Path) -> None:
    """Copy a file, following links, with the libraries that it needs, unless it is there."""
    target = root / _place(name)
    if target.exists():
        return
    source = unpacked / name
    if not source.exists():
        raise GuestImageError(f"the fetched packages hold no {name}")
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_symlink() and len((link := source.readlink()).parts) == 1:
        target.symlink_to(link)
        _install(unpacked, str(Path(name).parent / link), root)
        return
    shutil.copyfile(source, target)
    target.chmod(0o755 if os.access(source, os.X_OK) else 0o644)
    if source.read_bytes()[:4] == b"\x7fELF":
        for library in _libraries(unpacked, name):
            _install_library(unpacked, library, root)


def _install_library(unpacked: Path, name: str, root: Path) -> None:
    target = root / _place(name)
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(unpacked / name, target)
    target.chmod(0o755)


def _loader(unpacked: Path) -> list[str | Path]:
    folders = ":".join(str(unpacked / folder) for folder in _LIBRARY_FOLDERS)
    return [unpacked / _LOADER, "--library-path", folders]


def _applets(unpacked: Path, busybox: Path) -> list[str]:
    """Names of a busybox's applets. A dynamic one runs with its own packages' libraries, not with the machine's."""
    dynamic = b"ld-linux-x86-64.so.2" in busybox.read_bytes()
    return run([*(_loader(unpacked) if dynamic else []), busybox, "--list"]).split()


def _libraries(unpacked: Path, program: str) -> list[str]:
    """Paths below unpacked of all shared libraries of a program, its loader included."""
    listed = run([*_loader(unpacked), "--list", unpacked / program])
    if "statically linked" in listed:
        return []
    missing = re.findall(r"^\s*(\S+) => not found", listed, re.MULTILINE)
    if missing:
        raise GuestImageError(f"{program} needs {', '.join(missing)}, which no fetched package holds")
    found = re.findall(r"=> (/\S+) \(", listed)
    inside = [os.path.relpath(path, unpacked) for path in found if path.startswith(f"{unpacked}/")]
    return sorted({*inside, _LOADER})


def _install_busybox(unpacked: Path, root: Path) -> None:
    """Two busyboxes: Debian's dynamic one, with the user's shell, and the static one for the system's scripts.

    The static one starts twice as fast and knows more applets, but its shell runs its own applets whatever PATH holds,
    and it cannot resolve names. A link for an applet is made only where no other program has that name.
    """
    users, system = root / "usr/bin/busybox", root / "usr/lib/gureum/busybox"
    system.parent.mkdir(parents=True)
    shutil.copyfile(unpacked / SHELL_PACKAGE / "bin/busybox", users)
    shutil.copyfile(unpacked / "bin/busybox", system)
    for library in _libraries(unpacked, f"{SHELL_PACKAGE}/bin/busybox"):
        _install_library(unpacked, library, root)
    (root / "usr/bin/init").symlink_to("../lib/gureum/busybox")
    (root / "usr/bin/ping6").symlink_to("ping")
    for program, link in ((users, "busybox"), (system, "../lib/gureum/busybox")):
        program.chmod(0o755)
        for applet in _applets(unpacked, program):
            place = root / "usr/bin" / applet
            if not place.exists() and not place.is_symlink():
                place.symlink_to(link)


def _install_certificates(unpacked: Path, root: Path) -> None:
    certificates = sorted((unpacked / "usr/share/ca-certificates/mozilla").glob("*.crt"))
    bundle = root / "etc/ssl/certs/ca-certificates.crt"
    bundle.parent.mkdir(parents=True, exist_ok=True)
    bundle.write_bytes(b"".join(certificate.read_bytes() for certificate in certificates))


def _lay_over(own_files: Path, root: Path) -> None:
    for source in sorted(own_files.rglob("*")):
        if not source.is_file():
            continue
        target = root / source.relative_to(own_files)
        target.parent.mkdir(parents=True, exist_ok=True)
        # An applet's link must go first, or the copy would write into busybox itself.
        target.unlink(missing_ok=True)
        content = source.read_bytes()
        target.write_bytes(content)
        target.chmod(0o755 if content.startswith(b"#!") else 0o644)


def _set_owners_and_modes(root: Path) -> None:
    for path in (root, *root.rglob("*")):
        os.chown(path, 0, 0, follow_symlinks=False)
    root.chmod(0o755)
    (root / "home/gureum/.ssh/authorized_keys").touch()
    for name in ("home/gureum", "home/gureum/.ssh", "home/gureum/.ssh/authorized_keys"):
        os.chown(root / name, _USER_ID, _USER_ID)
    for name, mode in _MODES.items():
        (root / name).chmod(mode)
    for name in _SETUID:
        (root / name).chmod(0o4755)
