"""The typed, versioned conversation between the control plane and a host's agent.

`ensure_server` is level-triggered: it carries the whole wanted server and may be repeated at any time.
A spec carries everything that the host needs, metadata included, so that the host serves its guests with
the control plane down. Implemented by `agent.py` (real) and `simulated.py`; both pass
`tests/contracts/test_hypervisor_agent.py`. Fields are only ever added, with defaults, so that version N
talks with N-1; `PROTOCOL_VERSION` rises with each addition.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

import msgspec

from gureum.foundation.fleet.calls import remote
from gureum.foundation.fleet.kind import AgentKind, AgentSource, Report, Stop

PROTOCOL_VERSION = 5

COPY_PIECE_BYTES = 4 << 20
CALL_TIMEOUT_S = 60.0
"""For calls that change something on the host."""

WantedPower = Literal["running", "paused", "stopped"]
ObservedPower = Literal["running", "paused", "stopped", "crashed", "absent"]


class ImageSource(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where the host takes an image from: a path that it may open, or a URL.

    The URL has a signed, expiring query, or is rbd://fsid/pool/image/snapshot of a Ceph cluster that the host has a
    key of its own for. An agent that does not know the scheme refuses the image.
    """

    image_id: str
    disk_format: str
    size_bytes: int
    sha512: str = ""
    path: str = ""
    url: str = ""


class NicSpec(msgspec.Struct, frozen=True, omit_defaults=True):
    """A port as the host needs it. `metadata` is the network_data.json view: addresses, routes, DNS."""

    port_id: str
    network_id: str
    mac: str
    mtu: int = 1500
    model: str = "virtio"
    fixed_ips: tuple[str, ...] = ()
    metadata_port_id: str = ""
    metadata_mac: str = ""
    metadata_addresses: tuple[str, ...] = ()  # of the network's metadata port, with prefix length


class GuestData(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the guest may ask about itself, in the documents' own formats, made by the control plane.

    `meta_data` and `network_data` are the JSON documents of the OpenStack layout; `ec2` maps EC2 paths
    (for example "instance-id") to texts; `user_data` is base64. `vendor_data` is a JSON document. An EC2 key
    that ends in "/" is that folder's listing where it differs from its entries' names ("public-keys/": "0=mykey");
    without one, public keys are named after `meta_data`'s `public_keys`. `content` holds the injected files,
    base64, by the names that `meta_data`'s `files` gives them (/openstack/content/0000). `admin_pass` goes onto the
    config drive that is made with the disk and nowhere else: the host keeps it in no spec and tells it to nobody.
    """

    meta_data: str = "{}"
    network_data: str = "{}"
    vendor_data: str = "{}"
    user_data: str = ""
    ec2: dict[str, str] = {}
    content: dict[str, str] = {}
    admin_pass: str = ""


class ServerSpec(msgspec.Struct, frozen=True, omit_defaults=True):
    """A server as it is wanted on this host.

    `boot` rises by one for each reboot, rebuild or start from outside: a host whose server runs with a lower
    number shuts it down (within `grace_s` seconds if the guest listens, by force otherwise) and starts it anew,
    its definition regenerated. `disk` rises when the root disk is to be made anew from the image (rebuild).
    """

    server_id: str
    name: str
    vcpus: int
    ram_mib: int
    root_gib: int
    power: WantedPower
    boot: int
    disk: int = 1
    grace_s: int = 0
    ephemeral_gib: int = 0
    swap_mib: int = 0
    image: ImageSource | None = None
    nics: tuple[NicSpec, ...] = ()
    config_drive: bool = False
    guest: GuestData = msgspec.field(default_factory=GuestData)
    hardware: dict[str, str] = {}  # image properties that shape it: hw_disk_bus, hw_vif_model, ...


class ServerObserved(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is true on the host. `problem` is for operators, `boot` and `disk` are those that took effect.

    `guest_password` is what the guest posted for its owner (encrypted with the owner's key; get-password reads it).
    """

    server_id: str
    power: ObservedPower
    boot: int = 0
    disk: int = 0
    nics: tuple[str, ...] = ()
    problem: str = ""
    guest_password: str = ""


class DiskCopy(msgspec.Struct, frozen=True, omit_defaults=True):
    """A copy of a server's root disk on its host. `size_bytes` is the file's size once it is `whole`."""

    whole: bool
    size_bytes: int = 0


class HostResources(msgspec.Struct, frozen=True, omit_defaults=True):
    """The inventory a host offers and the facts that the hypervisors API shows."""

    vcpus: int
    ram_mib: int
    disk_gib: int
    hypervisor_type: str = "QEMU"
    hypervisor_version: int = 0
    accelerator: str = "tcg"
    traits: tuple[str, ...] = ()
    cpu_info: str = "{}"
    host_ip: str = "127.0.0.1"


class HostObserved(Report, frozen=True, omit_defaults=True):
    """A heartbeat's content: what the host is, which servers it has, how long it is up (a line as of uptime(1)).

    `servers_age_s` is how long ago the servers were looked at, when a slow engine has no newer answer. Since version 4;
    `started_at` since 5.
    """

    resources: HostResources
    servers: tuple[ServerObserved, ...] = ()
    uptime: str = ""
    servers_age_s: float = 0.0

    @property
    def address(self) -> str:
        return self.resources.host_ip


class HypervisorAgent(Protocol):
    """The calls of the control plane, each idempotent, each one message and one answer on the bus.

    Both ends are derived from this class (`gureum.foundation.fleet.calls`). What fails raises AgentFailure.
    """

    @remote(timeout_s=CALL_TIMEOUT_S)
    def ensure_server(self, spec: ServerSpec) -> ServerObserved:
        """Make it so; answer with what is true now.

        The answer may come before the wanted state while a guest is given its `grace_s` to shut down: the caller
        compares `power`, `boot` and `disk` with the spec, then waits for `server_changed` or repeats the call.
        A call that repeats a lower `boot` or `disk` than the host knows is late and changes nothing.
        Raises AgentFailure; with retry when the work goes on (an image under way) or may succeed later.
        """
        ...

    @remote(timeout_s=CALL_TIMEOUT_S)
    def remove_server(self, server_id: str) -> None:
        """Nothing of the server is left on the host: machine, disks, config drive, metadata. Absent is fine."""
        ...

    def observe(self) -> HostObserved: ...

    def console_log(self, server_id: str, lines: int | None) -> str:
        """The last `lines` lines (all that is kept, when None) of the serial console; "" before the first boot."""
        ...

    @remote(since=2)
    def guest_password(self, server_id: str) -> str:
        """What the guest posted for its owner, "" when it did not."""
        ...

    @remote(since=2)
    def forget_guest_password(self, server_id: str) -> None:
        """The guest may post another one. Absent is fine."""
        ...

    @remote(timeout_s=CALL_TIMEOUT_S, since=3)
    def copy_disk(self, server_id: str, copy_id: str) -> DiskCopy:
        """Make a copy of the server's root disk, as it is at one moment: one qcow2 file that stands on no other.

        Answers before the copy is whole: repeat the call. Once whole it stays as it is until it is dropped, or goes
        with the server. Raises AgentFailure; with retry when the next call may begin it anew.
        """
        ...

    @remote(since=3, quiet=True)  # a disk is many pieces
    def read_copy(self, server_id: str, copy_id: str, offset: int) -> bytes:
        """The copy's bytes from `offset`, at most `COPY_PIECE_BYTES`; b"" at its end.

        Raises AgentFailure without retry when there is no such copy.
        """
        ...

    @remote(timeout_s=CALL_TIMEOUT_S, since=3)
    def drop_copy(self, server_id: str, copy_id: str) -> None:
        """Nothing of the copy is left, whole or under way. Absent is fine."""
        ...


class AgentEvents(Protocol):
    """What an agent tells the control plane unasked. Losing any of them costs latency only."""

    def heartbeat(self, observed: HostObserved) -> None: ...

    def server_changed(self, host: str, observed: ServerObserved) -> None: ...


HYPERVISOR = AgentKind("hypervisor", HypervisorAgent, HostObserved)


class AgentDirectory(AgentSource[HypervisorAgent, HostObserved], Protocol):
    """Where the control plane finds the agents of hypervisors."""

    def changes(self, changed: Callable[[str, ServerObserved], None]) -> Stop:
        """Hand each server that changed by itself, and its host, to `changed` until the returned function is called."""
        ...
