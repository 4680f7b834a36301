"""The servers table, its states, and which verb is legal in which state.

`vm_state` is where the server is, `task_state` what is being done to it (null at rest), both in the words of
the compute API; `status` is derived. `wanted_power`, `boot`, `disk` and `spec` are what the host is to make true
(`spec` counts changes of anything else that the host holds: metadata, interfaces), `done_*` what it reported:
the server is at rest when they agree. `ServerRecord` is what is read of a row to be shown, `WantedServer` what the
server's task reads.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Literal, TypedDict

from msgspec import Struct
from sqlalchemy import ColumnElement, ForeignKey, Index, String, Text, and_, or_
from sqlalchemy.orm import Mapped, mapped_column

from gureum.foundation import clock
from gureum.foundation.db.types import Id, Json, Name, Row

TASK_KIND = "server"
"""The kind of a server's durable task (`lifecycle.py`), for whoever signals it."""

NO_STATE, RUNNING, PAUSED, SHUTDOWN, CRASHED, SUSPENDED = 0, 1, 3, 4, 6, 7
"""power_state values of the compute API."""

POWER_STATES = {"running": RUNNING, "paused": PAUSED, "stopped": SHUTDOWN, "crashed": CRASHED, "absent": NO_STATE}

_REBUILD = dict.fromkeys(("rebuilding", "rebuild_block_device_mapping", "rebuild_spawning"), "REBUILD")
_RESIZE = dict.fromkeys(("resize_prep", "resize_migrating", "resize_migrated", "resize_finish"), "RESIZE")
_REBOOT = dict.fromkeys(("rebooting", "reboot_pending", "reboot_started"), "REBOOT")
_HARD_REBOOT = dict.fromkeys(("rebooting_hard", "reboot_pending_hard", "reboot_started_hard"), "HARD_REBOOT")
_MIGRATE = {"migrating": "MIGRATING"}
_TASKS = {
    "active": {**_REBOOT, **_HARD_REBOOT, **_REBUILD, **_RESIZE, **_MIGRATE, "updating_password": "PASSWORD"},
    "stopped": {**_HARD_REBOOT, **_REBUILD, **_RESIZE},
    "error": {**_HARD_REBOOT, **_REBUILD},
    "resized": {"resize_reverting": "REVERT_RESIZE"},
    "paused": _MIGRATE,
}
"""vm_state -> the task_states that have a status of their own. Source: compute API guide, "Server concepts"."""
_STATUS_OF_STATE = {
    "building": "BUILD",
    "active": "ACTIVE",
    "stopped": "SHUTOFF",
    "paused": "PAUSED",
    "suspended": "SUSPENDED",
    "rescued": "RESCUE",
    "resized": "VERIFY_RESIZE",
    "shelved": "SHELVED",
    "shelved_offloaded": "SHELVED_OFFLOADED",
    "error": "ERROR",
    "soft-delete": "SOFT_DELETED",
    "deleted": "DELETED",
}
"""Every state of the reference, whether or not a server gets there in this cloud."""
UNKNOWN = "UNKNOWN"
STATUSES = frozenset({*_STATUS_OF_STATE.values(), *(name for tasks in _TASKS.values() for name in tasks.values())})


def status_of(vm_state: str, task_state: str | None) -> str:
    """The status word of the compute API."""
    return _TASKS.get(vm_state, {}).get(task_state or "") or _STATUS_OF_STATE.get(vm_state, UNKNOWN)


def in_status(status: str) -> ColumnElement[bool]:
    """The condition that a row of `servers` shows as `status`, one of `STATUSES` or UNKNOWN."""
    terms: list[ColumnElement[bool]] = []
    for vm_state, name in _STATUS_OF_STATE.items():
        tasks = _TASKS.get(vm_state, {})
        own = sorted(task for task, shown in tasks.items() if shown == status)
        if name == status:
            others = or_(Server.task_state.is_(None), Server.task_state.not_in(sorted(tasks)))
            terms.append(and_(Server.vm_state == vm_state, others) if tasks else Server.vm_state == vm_state)
        elif own:
            terms.append(and_(Server.vm_state == vm_state, Server.task_state.in_(own)))
    return or_(*terms) if terms else Server.vm_state.not_in(sorted(_STATUS_OF_STATE))


class Worded:
    """Names that the API and the host derive from a server's columns."""

    __slots__ = ()

    @property
    def status(self) -> str:
        return status_of(self.vm_state, self.task_state)  # type: ignore[attr-defined]  # columns of whoever mixes it in

    @property
    def instance_name(self) -> str:
        """The name of its machine on the host."""
        return f"instance-{self.id[:8]}"  # type: ignore[attr-defined]


Power = Literal["running", "paused", "stopped"]


class KeptFlavor(TypedDict):
    """What a server keeps of its flavor, which may go: MiB of memory and swap, GiB of disks."""

    id: str
    original_name: str
    vcpus: int
    ram: int
    disk: int
    ephemeral: int
    swap: int
    extra_specs: dict[str, str]


KeptImage = dict[str, str | int]
"""What a server keeps of its image: its properties, `disk_format`, `min_disk`, `min_ram` and `virtual_size`."""


class Scheduling(TypedDict, total=False):
    """Where a request asked for: see `ServerRequest` and `Hints`."""

    zone: str | None
    host: str | None
    group: str | None
    same_host: list[str]
    different_host: list[str]
    near: str


class KeptFault(TypedDict):
    """Why a server is in ERROR; the details are for administrators."""

    code: int
    created: str
    message: str
    details: str


class Server(Worded, Row):
    """A server, kept for a while after deletion so that lists of changes can name it."""

    __tablename__ = "servers"
    __table_args__ = (
        Index("ix_servers_project_list", "project_id", "deleted_at", "created_at", "id"),
        Index("ix_servers_list", "deleted_at", "created_at", "id"),
        Index("ix_servers_host", "host", "deleted_at"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    project_id: Mapped[str] = mapped_column(Id)
    user_id: Mapped[str] = mapped_column(Id)
    name: Mapped[str] = mapped_column(Name)
    hostname: Mapped[str] = mapped_column(Name)
    description: Mapped[str | None] = mapped_column(Name)
    reservation_id: Mapped[str] = mapped_column(String(32))
    launch_index: Mapped[int] = mapped_column(default=0)

    flavor: Mapped[KeptFlavor] = mapped_column(Json)
    flavor_id: Mapped[str] = mapped_column(Name)
    vcpus: Mapped[int]
    ram_mib: Mapped[int]
    image_id: Mapped[str | None] = mapped_column(Id)
    image: Mapped[KeptImage] = mapped_column(Json, default=dict)
    key_name: Mapped[str | None] = mapped_column(Name)
    key_data: Mapped[str | None] = mapped_column(Text)
    user_data: Mapped[str | None] = mapped_column(Text)
    files: Mapped[list[dict[str, str]]] = mapped_column(Json, default=list)
    sealed_password: Mapped[str | None] = mapped_column(Text)
    """The administrator's password, for the config drive that is to be made; gone when the host has made it."""
    seed: Mapped[str] = mapped_column(String(64), default=lambda: secrets.token_hex(32))
    config_drive: Mapped[bool] = mapped_column(default=False)
    meta: Mapped[dict[str, str]] = mapped_column(Json, default=dict)
    tags: Mapped[list[str]] = mapped_column(Json, default=list)
    disk_config: Mapped[str] = mapped_column(String(8), default="MANUAL")
    access_ip_v4: Mapped[str] = mapped_column(String(15), default="")
    access_ip_v6: Mapped[str] = mapped_column(String(45), default="")

    zone: Mapped[str | None] = mapped_column(Name)
    host: Mapped[str | None] = mapped_column(Name)
    scheduling: Mapped[Scheduling] = mapped_column(Json, default=dict)

    vm_state: Mapped[str] = mapped_column(String(16), default="building")
    task_state: Mapped[str | None] = mapped_column(String(32), default="scheduling")
    power_state: Mapped[int] = mapped_column(default=NO_STATE)
    wanted_power: Mapped[Power] = mapped_column(String(8), default="running")
    boot: Mapped[int] = mapped_column(default=1)
    done_boot: Mapped[int] = mapped_column(default=0)
    disk: Mapped[int] = mapped_column(default=1)
    done_disk: Mapped[int] = mapped_column(default=0)
    spec: Mapped[int] = mapped_column(default=1)
    done_spec: Mapped[int] = mapped_column(default=0)
    grace_s: Mapped[int] = mapped_column(default=0)
    fault: Mapped[KeptFault | None] = mapped_column(Json)
    locked: Mapped[bool] = mapped_column(default=False)
    locked_by: Mapped[str | None] = mapped_column(String(8))
    locked_reason: Mapped[str | None] = mapped_column(Name)

    created_at: Mapped[datetime] = mapped_column(default=clock.utcnow)
    updated_at: Mapped[datetime] = mapped_column(default=clock.utcnow)
    launched_at: Mapped[datetime | None]
    terminated_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]


class ServerRecord(Worded, Struct, frozen=True, gc=False):
    """What is read of a server to be shown. The last three fields are columns of other tables (`seen.py`)."""

    id: str
    project_id: str
    user_id: str
    name: str
    hostname: str
    description: str | None
    reservation_id: str
    launch_index: int
    flavor: KeptFlavor
    flavor_id: str
    image_id: str | None
    key_name: str | None
    user_data: str | None
    config_drive: bool
    meta: dict[str, str]
    tags: list[str]
    disk_config: str
    access_ip_v4: str
    access_ip_v6: str
    zone: str | None
    host: str | None
    scheduling: Scheduling
    vm_state: str
    task_state: str | None
    power_state: int
    fault: KeptFault | None
    locked: bool
    locked_reason: str | None
    created_at: datetime
    updated_at: datetime
    launched_at: datetime | None
    terminated_at: datetime | None
    host_seen_at: float | None
    host_forced_down: bool | None
    group_id: str | None


class WantedServer(Worded, Struct, frozen=True, gc=False):
    """What the server's task reads of it: where it goes, and what its host is to make true (`spec.py`)."""

    id: str
    project_id: str
    user_id: str
    name: str
    hostname: str
    reservation_id: str
    launch_index: int
    flavor: KeptFlavor
    flavor_id: str
    vcpus: int
    ram_mib: int
    image_id: str | None
    image: KeptImage
    key_name: str | None
    key_data: str | None
    user_data: str | None
    files: list[dict[str, str]]
    sealed_password: str | None
    seed: str
    config_drive: bool
    meta: dict[str, str]
    zone: str | None
    host: str | None
    scheduling: Scheduling
    vm_state: str
    task_state: str | None
    wanted_power: Power
    boot: int
    disk: int
    done_disk: int
    spec: int
    grace_s: int
    launched_at: datetime | None


class ServerAction(Row):
    """Something a person asked of a server: who, when, under which request, how it ended."""

    __tablename__ = "server_actions"
    __table_args__ = (Index("ix_server_actions_server_id", "server_id", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    server_id: Mapped[str] = mapped_column(ForeignKey("servers.id", ondelete="CASCADE"))
    action: Mapped[str] = mapped_column(String(32))
    request_id: Mapped[str] = mapped_column(String(64))
    user_id: Mapped[str] = mapped_column(Id)
    project_id: Mapped[str] = mapped_column(Id)
    host: Mapped[str | None] = mapped_column(Name)
    message: Mapped[str | None] = mapped_column(Text)
    details: Mapped[str | None] = mapped_column(Text)
    started_at: Mapped[datetime] = mapped_column(default=clock.utcnow)
    updated_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


IMAGE_STATES = ("image_snapshot_pending", "image_snapshot", "image_pending_upload", "image_uploading")
"""The task_states of a server whose disk becomes an image: its host is asked for nothing else but a copy."""

IMAGE_ACTIONS = ("createImage", "createBackup")

_WITH_A_DISK = frozenset({"active", "stopped", "paused", "suspended"})
ACTIVE_ONLY = frozenset({"active"})

LEGAL: dict[str, frozenset[str]] = {
    "stop": frozenset({"active", "error"}),
    "start": frozenset({"stopped"}),
    "reboot_soft": ACTIVE_ONLY,
    "reboot_hard": frozenset({"active", "stopped", "paused", "suspended", "error"}),
    "pause": ACTIVE_ONLY,
    "unpause": frozenset({"paused"}),
    "rebuild": frozenset({"active", "stopped", "error"}),
    "attach_interface": frozenset({"active", "paused", "stopped"}),
    "detach_interface": frozenset({"active", "paused", "stopped"}),
    "createImage": _WITH_A_DISK,
    "createBackup": _WITH_A_DISK,
}
"""verb -> the vm_states in which it is legal; all of them need no task under way, except a hard reboot."""
