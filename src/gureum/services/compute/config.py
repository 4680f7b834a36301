"""What an operator may set of compute and its hosts. docs/operate/many-machines.md has every option."""

from __future__ import annotations

from typing import ClassVar

from gureum.foundation.config import Section


class HypervisorConfig(Section):
    SECTION: ClassVar[str] = "hypervisor"

    mode: str = "simulated"
    simulated_hosts: int = 1
    heartbeat_timeout_s: float = 8.0
    boot_timeout_s: float = 300.0
    cpu_ratio: float = 16.0
    ram_ratio: float = 1.0
    disk_ratio: float = 1.0


class WiringConfig(Section):
    """Of the section [network]: how long a server waits for its ports to come up, in seconds."""

    SECTION: ClassVar[str] = "network"

    port_up_timeout_s: float = 120.0
