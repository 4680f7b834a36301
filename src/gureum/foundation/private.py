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

    A file that is there is never opened: closing it would give up every lock that this process holds on it (fcntl(2)),
    SQLite's among them, and another process would then remove the database's log under it.
    """
    try:
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        status = file.stat()
        if status.st_mode & OTHERS and status.st_uid == os.geteuid():
            file.chmod(stat.S_IMODE(status.st_mode) & ~OTHERS)
