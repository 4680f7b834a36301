"""The control plane in the words of the reference, which knows programs for scheduling and for long work.

Here every process of the control plane does both; the one that answers a request names its own machine.
"""

from __future__ import annotations

import socket
import uuid
from dataclasses import dataclass

INTERNAL_ZONE = "internal"
BINARIES = ("nova-conductor", "nova-scheduler")
_NAMES = uuid.UUID("5f4b1c1e-6d0b-4c39-9b7a-0c3b1d2f6a11")
"""The namespace of these services' ids (RFC 9562, version 5)."""


@dataclass(frozen=True, slots=True)
class ControlService:
    id: str
    binary: str
    host: str


def control_services() -> list[ControlService]:
    """One for each program; their ids stay the same on a machine."""
    host = socket.gethostname()
    return [ControlService(str(uuid.uuid5(_NAMES, f"{binary}@{host}")), binary, host) for binary in BINARIES]
