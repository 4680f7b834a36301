"""The serial console's log: bounded on disk, read from its end. QEMU appends to it; nobody else writes.

The engine opens the file for appending, so emptying it in place is seen at once and leaves no hole.
"""

from __future__ import annotations

import os
from pathlib import Path

KEPT_BYTES = 1 << 20
LIMIT_BYTES = 4 << 20


def trim(path: Path, limit_bytes: int = LIMIT_BYTES, kept_bytes: int = KEPT_BYTES) -> bool:
    """Cut the log to its last `kept_bytes` once it is longer than `limit_bytes`; whether it was cut."""
    try:
        if path.stat().st_size <= limit_bytes:
            return False
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        tail = os.pread(descriptor, kept_bytes, max(os.fstat(descriptor).st_size - kept_bytes, 0))
        os.truncate(descriptor, 0)
        os.write(descriptor, tail)
    finally:
        os.close(descriptor)
    return True


def read_last(path: Path, lines: int | None, kept_bytes: int = KEPT_BYTES) -> str:
    """The last `lines` lines, or the last `kept_bytes` bytes when None; "" when there is no log yet."""
    try:
        with path.open("rb") as stream:
            stream.seek(max(stream.seek(0, os.SEEK_END) - kept_bytes, 0))
            text = stream.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    if lines is None:
        return text
    return "".join(text.splitlines(keepends=True)[-lines:]) if lines > 0 else ""
