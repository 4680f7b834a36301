"""Debian packages for the guest: which, which versions, fetched through apt and unpacked into a folder.

Not here: what is taken from them (`root_tree.py`, `kernel.py`). Nothing is installed and nothing outside the given
folders is written; apt verifies what it downloads. Read next: `build.py`.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from gureum.lab.guest_image.failure import GuestImageError

BUILD_PACKAGES = ("syslinux", "syslinux-common", "mtools", "dosfstools", "e2fsprogs", "qemu-utils")
"""Debian packages that must be installed on the machine that builds."""

SHELL_PACKAGE = "busybox"
"""Holds the same path as busybox-static, so it is unpacked into a folder of its name."""

KERNEL_PACKAGE = "linux-image-cloud-amd64"

_PROGRAM_PACKAGES = (
    SHELL_PACKAGE, "busybox-static", "ca-certificates", "curl", "dosfstools", "dropbear-bin", "e2fsprogs",
    "iputils-ping", "netcat-openbsd", "openssh-client", "openssh-sftp-server", "socat", "sudo", "util-linux",
)  # fmt: skip

_LIBRARY_PACKAGES = (
    "libaudit1", "libblkid1", "libbrotli1", "libbsd0", "libc6", "libcap-ng0", "libcap2", "libcom-err2", "libcrypt1",
    "libcurl4", "libext2fs2", "libffi8", "libgmp10", "libgnutls30", "libgssapi-krb5-2", "libhogweed6",
    "libidn2-0", "libk5crypto3", "libkeyutils1", "libkrb5-3", "libkrb5support0", "libldap-2.5-0",
    "libmd0", "libmount1", "libnettle8", "libnghttp2-14", "libnsl2", "libp11-kit0", "libpam-modules",
    "libpam0g", "libpcre2-8-0", "libpsl5", "librtmp1", "libsasl2-2", "libselinux1", "libsmartcols1", "libssh2-1",
    "libssl3", "libtasn1-6", "libtinfo6", "libtirpc3", "libtomcrypt1", "libtommath1", "libudev1", "libunistring2",
    "libuuid1", "libwrap0", "libzstd1", "zlib1g",
)  # fmt: skip

GUEST_PACKAGES = _PROGRAM_PACKAGES + _LIBRARY_PACKAGES
"""Debian packages whose files go into the guest, besides its kernel."""


def run(command: Sequence[str | Path], cwd: Path | None = None) -> str:
    """Run a tool to its end and return its standard output.

    Raises GuestImageError with the tool's own words when it is missing or fails.
    """
    words = [str(word) for word in command]
    # mkfs and its kin live where a plain user's PATH may not look.
    environment = os.environ | {"LC_ALL": "C.UTF-8", "PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"}
    try:
        done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False, env=environment)
    except FileNotFoundError as missing:
        raise GuestImageError(
            f"{words[0]} is not installed; the guest image needs: apt-get install {' '.join(BUILD_PACKAGES)}"
        ) from missing
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()[-600:]
        raise GuestImageError(f"{' '.join(words[:3])} failed ({done.returncode}): {said}")
    return done.stdout


def known_versions() -> dict[str, str]:
    """Map each guest package and the kernel's real package to the version that apt would fetch now.

    Asks only apt's lists on disk. Raises GuestImageError when a package is in none of them.
    """
    names = (*GUEST_PACKAGES, KERNEL_PACKAGE)
    told = run(["apt-cache", "show", "--no-all-versions", *names])
    versions: dict[str, str] = {}
    kernel = None
    for stanza in told.split("\n\n"):
        fields = dict(re.findall(r"^(Package|Version|Depends): (.*)$", stanza, re.MULTILINE))
        if "Package" not in fields:
            continue
        versions[fields["Package"]] = fields["Version"]
        if fields["Package"] == KERNEL_PACKAGE:
            kernel = re.match(r"(linux-image-[\w.+-]+)", fields["Depends"])
    missing = sorted(set(names) - versions.keys())
    if missing or kernel is None:
        raise GuestImageError(f"apt knows no package {', '.join(missing or [KERNEL_PACKAGE])}; try: apt-get update")
    versions[kernel[1]] = versions.pop(KERNEL_PACKAGE)
    return versions


def fetch_packages(versions: Mapping[str, str], folder: Path) -> None:
    """Download the packages' files into folder, which must exist."""
    names = [f"{name}={version}" for name, version in sorted(versions.items())]
    # apt's download user cannot write into a private folder, hence the sandbox option.
    run(["apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", *names], cwd=folder)


def unpack_packages(folder: Path, tree: Path) -> None:
    """Unpack every package file in folder into tree, one over the other, without running their scripts."""
    (tree / SHELL_PACKAGE).mkdir(parents=True)
    for package in sorted(folder.glob("*.deb")):
        own = package.name.startswith(f"{SHELL_PACKAGE}_")
        run(["dpkg-deb", "-x", package, tree / SHELL_PACKAGE if own else tree])
