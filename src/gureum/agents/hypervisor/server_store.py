"""What this host was told and what it did: one folder for each server, and the same in memory.

`spec.json` is the last wanted server, `effect.json` the boot and disk numbers that took effect, `password` what the
guest posted. It is no cache of the engine: power is always asked from the driver.
Invariant: a server's folder exists from before its first effect on the host until after the last one is gone.
Read next: `rules.py`, which compares spec, effect and power.
"""

from __future__ import annotations

import logging
import shutil
import threading
from pathlib import Path

import msgspec

from gureum.agents.hypervisor.files import is_safe_name, write_whole
from gureum.agents.hypervisor.protocol import ServerSpec
from gureum.drivers.network.addresses import LINK_LOCAL, automatic_address
from gureum.foundation.shapes import json_decoder

_log = logging.getLogger("gureum.agents.hypervisor.store")

_SPEC = "spec.json"
_EFFECT = "effect.json"
_PASSWORD = "password"  # noqa: S105 a file's name


class Effect(msgspec.Struct, frozen=True, omit_defaults=True):
    """The numbers that took effect; `root_gib` is the size that the root disk was made with."""

    boot: int = 0
    disk: int = 0
    root_gib: int = 0


class ServerStore:
    """Safe to use from several threads; writers of one server take turns (see `lanes.py`)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._specs: dict[str, ServerSpec] = {}
        self._effects: dict[str, Effect] = {}
        self._passwords: dict[str, str] = {}
        self._guests: dict[tuple[str, str], str] = {}
        self.unreadable: dict[str, str] = {}
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for entry in sorted(folder.iterdir()):
            self._load(entry)

    def ids(self) -> list[str]:
        with self._lock:
            return list(self._specs)

    def spec(self, server_id: str) -> ServerSpec | None:
        return self._specs.get(server_id)

    def effect(self, server_id: str) -> Effect:
        return self._effects.get(server_id, Effect())

    def has_effect(self, server_id: str) -> bool:
        """Whether any effect was ever recorded (a kill may fall between a disk's rename and its record)."""
        return server_id in self._effects

    def password(self, server_id: str) -> str:
        return self._passwords.get(server_id, "")

    def guest(self, network_id: str, address: str) -> ServerSpec | None:
        """The server on this host whose port has this address in this network, a fixed one or the link-local one."""
        with self._lock:
            return self._specs.get(self._guests.get((network_id, address), ""))

    def networks(self) -> set[str]:
        """The networks of this host's servers."""
        with self._lock:
            return {nic.network_id for spec in self._specs.values() for nic in spec.nics}

    def save_spec(self, spec: ServerSpec) -> None:
        """Keep the wanted server; a repeated spec costs no write. Raises OSError."""
        spec = _without_password(spec)
        before = self._specs.get(spec.server_id)
        if before is None or essence(before) != essence(spec):
            folder = self._folder / spec.server_id
            folder.mkdir(mode=0o700, exist_ok=True)
            write_whole(folder / _SPEC, msgspec.json.encode(spec))
        with self._lock:
            self._specs[spec.server_id] = spec
            self._index()
            self.unreadable.pop(spec.server_id, None)

    def save_effect(self, server_id: str, effect: Effect) -> None:
        if self._effects.get(server_id) == effect:
            return
        write_whole(self._folder / server_id / _EFFECT, msgspec.json.encode(effect))
        self._effects[server_id] = effect

    def save_password(self, server_id: str, password: str) -> bool:
        """Keep what the guest posted; false when it posted before (only forgetting makes room)."""
        with self._lock:
            if server_id not in self._specs or self._passwords.get(server_id):
                return False
            self._passwords[server_id] = password
        write_whole(self._folder / server_id / _PASSWORD, password.encode())
        return True

    def forget_password(self, server_id: str) -> None:
        """Drop what the guest posted, so that it may post again. Raises OSError."""
        with self._lock:
            if self._passwords.pop(server_id, None) is None:
                return
        (self._folder / server_id / _PASSWORD).unlink(missing_ok=True)

    def remove(self, server_id: str) -> None:
        """Forget the server, spec first, so that a folder half removed is known as such at the next start."""
        folder = self._folder / server_id
        (folder / _SPEC).unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        with self._lock:
            for kept in (self._specs, self._effects, self._passwords, self.unreadable):
                kept.pop(server_id, None)
            self._index()

    def _index(self) -> None:
        self._guests = {
            (nic.network_id, address): spec.server_id
            for spec in self._specs.values()
            for nic in spec.nics
            for address in (*nic.fixed_ips, automatic_address(LINK_LOCAL, nic.mac))
        }

    def _load(self, folder: Path) -> None:
        server_id = folder.name
        if not folder.is_dir() or not is_safe_name(server_id):
            return
        if not (folder / _SPEC).exists():
            shutil.rmtree(folder, ignore_errors=True)
            return
        try:
            spec = json_decoder(ServerSpec).decode((folder / _SPEC).read_bytes())
            if (folder / _EFFECT).exists():
                self._effects[server_id] = json_decoder(Effect).decode((folder / _EFFECT).read_bytes())
            if (folder / _PASSWORD).exists():
                self._passwords[server_id] = (folder / _PASSWORD).read_text()
        except (OSError, ValueError) as error:
            # One bad folder must not keep the agent from serving all other servers.
            _log.warning("server %s: unreadable state: %s", server_id, error)
            self.unreadable[server_id] = f"unreadable state: {error}"
            return
        self._specs[server_id] = spec
        self._index()


def essence(spec: ServerSpec) -> ServerSpec:
    """The spec without what differs between two calls that want the same: the image's signed URL, and the password
    that only the making of a config drive needs.
    """
    spec, image = _without_password(spec), spec.image
    if image is not None:
        image = msgspec.structs.replace(image, path="", url="")
    return msgspec.structs.replace(spec, image=image)


def _without_password(spec: ServerSpec) -> ServerSpec:
    if not spec.guest.admin_pass:
        return spec
    return msgspec.structs.replace(spec, guest=msgspec.structs.replace(spec.guest, admin_pass=""))
