"""GET /limits: a project's limits beside what it uses. Source: compute API reference, "Limits (limits)"."""

from __future__ import annotations

from typing import Any

from gureum.foundation.http.call import Call
from gureum.foundation.http.microversions import Version
from gureum.foundation.http.routes import Route
from gureum.foundation.policy import Rule
from gureum.services.compute.pages import CLOSED

_RULE = "os_compute_api:limits"
_OTHER = _RULE + ":other_project"

RULES = (
    Rule(
        _RULE, "rule:any_authenticated", "Show the limits of one's own project", unbounded="counts the token's project"
    ),
    Rule(_OTHER, "rule:admin", "Show the limits of another project"),
)

_LIMITS = {
    "maxTotalInstances": "instances",
    "maxTotalCores": "cores",
    "maxTotalRAMSize": "ram",
    "maxServerMeta": "metadata_items",
    "maxImageMeta": "metadata_items",
    "maxPersonality": "injected_files",
    "maxPersonalitySize": "injected_file_content_bytes",
    "maxTotalKeypairs": "key_pairs",
    "maxServerGroups": "server_groups",
    "maxServerGroupMembers": "server_group_members",
    "maxTotalFloatingIps": "floating_ips",
    "maxSecurityGroups": "security_groups",
    "maxSecurityGroupRules": "security_group_rules",
}
_REMOVED: tuple[tuple[Version, tuple[str, ...]], ...] = (
    (
        (2, 36),
        (
            "maxTotalFloatingIps",
            "maxSecurityGroups",
            "maxSecurityGroupRules",
            "totalFloatingIpsUsed",
            "totalSecurityGroupsUsed",
        ),
    ),
    ((2, 39), ("maxImageMeta",)),
    ((2, 57), ("maxPersonality", "maxPersonalitySize")),
)


def show(call: Call[Any]) -> dict[str, Any]:
    project_id = call.caller.project_id or ""
    asked = call.param("tenant_id")
    if asked is not None and asked != project_id:
        call.enforce(_OTHER, project_id=asked)
        project_id = asked
    limits = call.deps.quotas.limits(call.tx, project_id)
    used = call.deps.quotas.usage(call.tx, project_id)
    absolute = {name: limits[resource] for name, resource in _LIMITS.items()}
    absolute |= {
        "totalInstancesUsed": used["instances"],
        "totalCoresUsed": used["cores"],
        "totalRAMUsed": used["ram"],
        "totalServerGroupsUsed": used["server_groups"],
        "totalFloatingIpsUsed": 0,
        "totalSecurityGroupsUsed": 0,
    }
    for since, names in _REMOVED:
        if call.version >= since:
            for name in names:
                del absolute[name]
    return {"limits": {"rate": [], "absolute": absolute}}


ROUTES = (Route("GET", "/v2.1/limits", show, _RULE, query=("tenant_id", "reserved"), closed=CLOSED),)
