"""GET /usages: what the consumers of a project hold. Source: placement API reference, "Usages"."""

from __future__ import annotations

from sqlalchemy import func, select

from gureum.foundation.errors import BadRequest
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Reply, Route
from gureum.foundation.policy import Rule
from gureum.services.placement.allocations.bodies import UNKNOWN
from gureum.services.placement.answers import BAD_VALUE, MISSING_VALUE, check_query, fresh
from gureum.services.placement.model import Allocation, Consumer

_RULE = "placement:usages"
EVERY = "all"

RULES = (Rule(_RULE, "rule:project_reader_or_admin or role:service", "Show what a project uses"),)


Usage = dict[str, int]
"""Amounts by class, and since 1.38 `consumer_count`."""


def show(call: Call[None]) -> Reply[Usage] | Reply[dict[str, Usage]]:
    """Since 1.38 by type of consumer."""
    check_query(call, {"project_id": (1, 9), "user_id": (1, 9), "consumer_type": (1, 38)})
    project_id = call.param("project_id")
    if not project_id:
        raise BadRequest("Invalid query string parameters: 'project_id' is a required property", code=MISSING_VALUE)
    for name, value in call.query:
        if name in ("project_id", "user_id") and not 1 <= len(value) <= 255:
            raise BadRequest(f"Invalid query string parameters: {name} has 1 to 255 characters.", code=BAD_VALUE)
    call.enforce(project_id=project_id)
    where = [Consumer.project_id == project_id]
    if (user_id := call.param("user_id")) is not None:
        where.append(Consumer.user_id == user_id)
    consumer_type = call.param("consumer_type")
    if consumer_type is not None and consumer_type != EVERY:
        where.append(Consumer.type.is_(None) if consumer_type == UNKNOWN else Consumer.type == consumer_type)
    sums = (
        select(Consumer.type, Allocation.resource_class, func.sum(Allocation.used))
        .join(Consumer, Consumer.id == Allocation.consumer_id)
        .where(*where)
        .group_by(Consumer.type, Allocation.resource_class)
        .order_by(Allocation.resource_class)
    )
    together = not call.at_least(1, 38) or consumer_type == EVERY
    used: dict[str, Usage] = {}
    for kind, name, amount in call.tx.execute(sums):
        group = used.setdefault(EVERY if together else kind or UNKNOWN, {})
        group[name] = group.get(name, 0) + int(amount)
    if not call.at_least(1, 38):
        return fresh(call, used.get(EVERY, {}))
    counts = select(Consumer.type, func.count()).where(*where).group_by(Consumer.type)
    for kind, count in call.tx.execute(counts):
        group = used.setdefault(EVERY if together else kind or UNKNOWN, {})
        group["consumer_count"] = group.get("consumer_count", 0) + count
    return fresh(call, used)


_QUERY = ("project_id", "user_id", "consumer_type")
ROUTES = (Route("GET", "/usages", show, _RULE, envelope="usages", target="handler", since=(1, 9), query=_QUERY),)
