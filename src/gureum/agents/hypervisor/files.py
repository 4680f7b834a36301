"""Files that survive a kill and a power loss: written whole beside their place, synced, then renamed into it.

Invariant: a name that exists holds a complete file. What a kill leaves behind ends in `.part` and is never read.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

PART = ".part"

_SAFE_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,63}")


def is_safe_name(text: str) -> bool:
    """Whether an id may become one component of a path."""
    return _SAFE_NAME.fullmatch(text) is not None


def part_of(path: Path) -> Path:
    """The temporary name beside `path`."""
    return path.with_name(path.name + PART)


def write_whole(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace `path` by `content`, or leave it as it was. Raises OSError."""
    part = part_of(path)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def move_into_place(part: Path, path: Path) -> None:
    """Sync a finished file's content, then give it its name. Raises OSError."""
    descriptor = os.open(part, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    part.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the folder's names durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
