"""The quotas of compute: what is limited, what counts against it, and the words of a refusal.

Defaults are the field's own; `foundation/quota` says which limit wins. Sources: compute API reference, "Quota sets";
compute administration guide, "Manage unified limits quotas", for the names of unified limits.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gureum.foundation.errors import OverQuota
from gureum.foundation.quota import Overrun, Quotas, Rows
from gureum.services.compute.class_quotas import class_amounts
from gureum.services.compute.keypairs.model import Keypair
from gureum.services.compute.servers.groups import ServerGroup
from gureum.services.compute.servers.model import Server

_SERVERS = Rows(Server.project_id, (Server.deleted_at.is_(None),), user=Server.user_id)
_COUNTERS = {
    "instances": _SERVERS.count(),
    "cores": _SERVERS.sum(Server.vcpus),
    "ram": _SERVERS.sum(Server.ram_mib),
    "server_groups": Rows(ServerGroup.project_id, user=ServerGroup.user_id).count(),
    "key_pairs": Rows(None, user=Keypair.user_id).count(),
}
_DEFAULTS = {
    "instances": 10,
    "cores": 20,
    "ram": 51200,
    "metadata_items": 128,
    "key_pairs": 100,
    "server_groups": 10,
    "server_group_members": 10,
    "injected_files": 5,
    "injected_file_content_bytes": 10240,
    "injected_file_path_bytes": 255,
    "fixed_ips": -1,
    "floating_ips": -1,
    "security_groups": -1,
    "security_group_rules": -1,
}
_UNIFIED_NAMES = {
    "instances": "servers",
    "cores": "class:VCPU",
    "ram": "class:MEMORY_MB",
    "metadata_items": "server_metadata_items",
    "key_pairs": "server_key_pairs",
    "server_groups": "server_groups",
    "server_group_members": "server_group_members",
    "injected_files": "server_injected_files",
    "injected_file_content_bytes": "server_injected_file_content_bytes",
    "injected_file_path_bytes": "server_injected_file_path_bytes",
}
_FILES = "Quota exceeded for injected files ({overrun})."
_REFUSALS = {
    "metadata_items": "Maximum number of metadata items exceeds {overrun.limit} "
    "(metadata_items: {overrun.requested} requested)",
    "injected_files": _FILES,
    "injected_file_path_bytes": _FILES,
    "injected_file_content_bytes": _FILES,
    "key_pairs": "Quota exceeded, too many key pairs ({overrun}).",
    "server_groups": "Quota exceeded, too many server groups ({overrun}).",
    "server_group_members": "Quota exceeded, too many servers in group ({overrun}).",
}
"""What is refused one at a time; everything else that a server takes is refused together."""


def _refusal(overruns: Sequence[Overrun]) -> OverQuota:
    together = [overrun for overrun in overruns if overrun.resource not in _REFUSALS]
    if not together:
        return OverQuota(_REFUSALS[overruns[0].resource].format(overrun=overruns[0]))
    names = ", ".join(dict.fromkeys(overrun.resource for overrun in together))
    return OverQuota(f"Quota exceeded for {names}: {'; '.join(map(str, together))}")


QUOTAS = Quotas("compute", _DEFAULTS, _COUNTERS, unified_names=_UNIFIED_NAMES, refusal=_refusal)


@dataclass(frozen=True, slots=True)
class NewServers:
    """What a request for servers takes of the quotas."""

    resources: Mapping[str, int]
    """Of one server, by placement's classes."""
    vcpus: int
    ram_mib: int
    count: int
    metadata_items: int
    files: Sequence[Mapping[str, str]] = ()

    def amounts(self) -> dict[str, int]:
        return {
            "instances": self.count,
            "cores": self.count * self.vcpus,
            "ram": self.count * self.ram_mib,
            **class_amounts({name: amount * self.count for name, amount in self.resources.items()}),
            "metadata_items": self.metadata_items,
            **file_amounts(self.files),
        }


def file_amounts(files: Sequence[Mapping[str, str]]) -> dict[str, int]:
    """What injected files, with contents in base64, take of the quotas of one server."""
    if not files:
        return {}
    return {
        "injected_files": len(files),
        "injected_file_path_bytes": max(len(file["path"].encode()) for file in files),
        "injected_file_content_bytes": max(len(base64.b64decode(file["contents"])) for file in files),
    }
