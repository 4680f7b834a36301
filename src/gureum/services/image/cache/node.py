"""What a node's image cache is: a name, a store for the copies, and who of the node's processes tends it.

A node is a machine with API processes, or several that an operator gave one name. Each has a cache of its own: what is
queued or cached on one does not show on another. Read next: `keeper.py`.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from gureum.drivers.image.interface import ImageStore


@dataclass(frozen=True)
class NodeCache:
    """`lock` is a file that the process which tends the cache holds; `changed` is set after a commit that queues."""

    node: str
    store: ImageStore
    lock: Path
    changed: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """True inside while no other process of the node tends the cache. The kernel frees a dead one's lock."""
        descriptor = os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(descriptor)
