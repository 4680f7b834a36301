"""GET /limits: a project's limits beside what it uses. Source: compute API reference, "Limits (limits)"."""

from __future__ import annotations

from typing import Annotated

from msgspec import field

from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route
from gureum.foundation.http.versioned import Until
from gureum.foundation.http.views import View
from gureum.foundation.policy import Rule
from gureum.services.compute.deps import ComputeDeps
from gureum.services.compute.pages import CLOSED

_RULE = "os_compute_api:limits"
_OTHER = _RULE + ":other_project"

RULES = (
    Rule(
        _RULE, "rule:any_authenticated", "Show the limits of one's own project", unbounded="counts the token's project"
    ),
    Rule(_OTHER, "rule:admin", "Show the limits of another project"),
)


class AbsoluteLimits(View, rename="camel", kw_only=True):
    max_total_instances: int
    max_total_cores: int
    max_total_ram_size: int = field(name="maxTotalRAMSize")
    max_server_meta: int
    max_image_meta: Annotated[int, Until(2, 38)]
    max_personality: Annotated[int, Until(2, 56)]
    max_personality_size: Annotated[int, Until(2, 56)]
    max_total_keypairs: int
    max_server_groups: int
    max_server_group_members: int
    max_total_floating_ips: Annotated[int, Until(2, 35)]
    max_security_groups: Annotated[int, Until(2, 35)]
    max_security_group_rules: Annotated[int, Until(2, 35)]
    total_instances_used: int
    total_cores_used: int
    total_ram_used: int = field(name="totalRAMUsed")
    total_server_groups_used: int
    total_floating_ips_used: Annotated[int, Until(2, 35)] = 0
    total_security_groups_used: Annotated[int, Until(2, 35)] = 0


class LimitsView(View):
    """There are no limits of rates."""

    rate: list[str]
    absolute: AbsoluteLimits


def show(call: Call[ComputeDeps]) -> LimitsView:
    project_id = call.caller.project_id or ""
    tenant_id = call.param("tenant_id")
    if tenant_id is not None and tenant_id != project_id:
        call.enforce(_OTHER, project_id=tenant_id)
        project_id = tenant_id
    limits = call.deps.quotas.limits(call.tx, project_id)
    used = call.deps.quotas.usage(call.tx, project_id)
    absolute = AbsoluteLimits(
        max_total_instances=limits["instances"],
        max_total_cores=limits["cores"],
        max_total_ram_size=limits["ram"],
        max_server_meta=limits["metadata_items"],
        max_image_meta=limits["metadata_items"],
        max_personality=limits["injected_files"],
        max_personality_size=limits["injected_file_content_bytes"],
        max_total_keypairs=limits["key_pairs"],
        max_server_groups=limits["server_groups"],
        max_server_group_members=limits["server_group_members"],
        max_total_floating_ips=limits["floating_ips"],
        max_security_groups=limits["security_groups"],
        max_security_group_rules=limits["security_group_rules"],
        total_instances_used=used["instances"],
        total_cores_used=used["cores"],
        total_ram_used=used["ram"],
        total_server_groups_used=used["server_groups"],
    )
    return LimitsView([], absolute)


_QUERY = ("tenant_id", "reserved")
ROUTES = (Route("GET", "/v2.1/limits", show, _RULE, envelope="limits", query=_QUERY, closed=CLOSED),)
