"""A writer for initramfs archives: cpio in the "newc" form, gzip around it.

Not a general cpio tool: no hard links, and owners are always root, so that no root rights are needed to write
device nodes. Format: kernel.org Documentation/driver-api/early-userspace/buffer-format.rst, cpio(5).
Read next: `kernel.py`, which decides what goes in.
"""

from __future__ import annotations

import gzip
import stat

_HEADER_FIELDS = 13
_TRAILER = "TRAILER!!!"


class Initramfs:
    """Collects entries in order; `archive` returns the file's bytes."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._inode = 0

    def folder(self, path: str) -> None:
        """Add a folder; its parents must have been added."""
        self._entry(path, stat.S_IFDIR | 0o755, b"")

    def file(self, path: str, content: bytes, mode: int = 0o644) -> None:
        """Add a regular file."""
        self._entry(path, stat.S_IFREG | mode, content)

    def link(self, path: str, target: str) -> None:
        """Add a symbolic link."""
        self._entry(path, stat.S_IFLNK | 0o777, target.encode())

    def character_device(self, path: str, major: int, minor: int) -> None:
        """Add a character device node, readable and writable by root."""
        self._entry(path, stat.S_IFCHR | 0o600, b"", device=(major, minor))

    def archive(self) -> bytes:
        """Return the compressed archive with its trailer; the same entries give the same bytes."""
        trailer = _header(_TRAILER, (0, 0, 0), 0, (0, 0)) + _padded_name(_TRAILER)
        return gzip.compress(b"".join(self._parts) + trailer, compresslevel=6, mtime=0)

    def _entry(self, path: str, mode: int, content: bytes, device: tuple[int, int] = (0, 0)) -> None:
        self._inode += 1
        links = 2 if stat.S_ISDIR(mode) else 1
        header = _header(path, (self._inode, mode, links), len(content), device)
        self._parts.append(header + _padded_name(path) + content + b"\0" * (-len(content) % 4))


def _header(path: str, node: tuple[int, int, int], size: int, device: tuple[int, int]) -> bytes:
    inode, mode, links = node
    fields = (inode, mode, 0, 0, links, 0, size, 0, 0, *device, len(path.encode()) + 1, 0)
    assert len(fields) == _HEADER_FIELDS
    return b"070701" + b"".join(b"%08x" % field for field in fields)


def _padded_name(path: str) -> bytes:
    name = path.encode() + b"\0"
    # The 110 bytes of the header and the name together end on a multiple of four.
    return name + b"\0" * (-(110 + len(name)) % 4)
