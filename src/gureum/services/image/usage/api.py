"""The route of quota use. Source: image API reference v2, "Quota usage"."""

from __future__ import annotations

from typing import Any

from gureum.foundation.errors import BadRequest
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route
from gureum.services.image.deps import ImageDeps
from gureum.services.image.usage.quotas import TOTALS, whole_mib


def usage(call: Call[ImageDeps]) -> dict[str, Any]:
    project_id = call.caller.project_id
    if not project_id:
        raise BadRequest("Quota use is that of a project: the token is scoped to none.")
    limits, used = call.deps.quotas.limits(call.tx, project_id), call.deps.quotas.usage(call.tx, project_id)
    return {
        "usage": {
            name: {"limit": limits[name], "usage": whole_mib(amount) if name in TOTALS else amount}
            for name, amount in used.items()
        }
    }


ROUTES = (Route("GET", "/v2/info/usage", usage, "get_image_info"),)
RULES = ()
