"""Files for their owner alone: databases, logs, sockets, keys, disks.

A process says so once, before it makes a file (`own_files_only`). Files that hold secrets are made private where they
are made, too, whoever imports that code.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

OTHERS = stat.S_IRWXG | stat.S_IRWXO


def own_files_only() -> None:
    """From now on, what this process and its children make is for the owner alone."""
    os.umask(OTHERS)


def make_private(file: Path) -> None:
    """Have the file there, empty if it was not, with no bit for anybody but the owner. A file of another owner stays as
    it is. Raises OSError when it cannot be made.
    """
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        status = os.fstat(descriptor)
        if status.st_mode & OTHERS and status.st_uid == os.geteuid():
            os.fchmod(descriptor, status.st_mode & ~OTHERS & 0o7777)
    finally:
        os.close(descriptor)
