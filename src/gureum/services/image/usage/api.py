"""The route of quota use. Source: image API reference v2, "Quota usage"."""

from __future__ import annotations

from gureum.foundation.errors import BadRequest
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route
from gureum.foundation.http.views import View
from gureum.services.image.deps import ImageDeps
from gureum.services.image.usage.quotas import TOTALS, whole_mib


class Use(View):
    limit: int
    usage: int


def usage(call: Call[ImageDeps]) -> dict[str, Use]:
    project_id = call.caller.project_id
    if not project_id:
        raise BadRequest("Quota use is that of a project: the token is scoped to none.")
    limits, used = call.deps.quotas.limits(call.tx, project_id), call.deps.quotas.usage(call.tx, project_id)
    return {name: Use(limits[name], whole_mib(amount) if name in TOTALS else amount) for name, amount in used.items()}


ROUTES = (Route("GET", "/v2/info/usage", usage, "get_image_info", envelope="usage"),)
RULES = ()
