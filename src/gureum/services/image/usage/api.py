"""The route of quota use. Source: image API reference v2, "Quota usage"."""

from __future__ import annotations

from typing import Any

from gureum.foundation.errors import BadRequest
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route
from gureum.services.image.deps import ImageDeps
from gureum.services.image.usage import quotas


def usage(call: Call[ImageDeps]) -> dict[str, Any]:
    project_id = call.caller.project_id
    if not project_id:
        raise BadRequest("Quota use is that of a project: the token is scoped to none.")
    limits = quotas.limits_of(call.deps, project_id)
    used = quotas.usage_of(call.tx, quotas.of_project(project_id))
    return {"usage": {name: {"limit": limits.get(name, -1), "usage": amount} for name, amount in used.items()}}


ROUTES = (Route("GET", "/v2/info/usage", usage, "get_image_info"),)
RULES = ()
