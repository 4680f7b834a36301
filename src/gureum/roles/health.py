"""/healthz and /metrics of a process that answers requests: whether it can, and what it counted.

Read next: `watched.py` for those that answer none.
"""

from __future__ import annotations

from typing import Literal

from gureum.foundation.db.engine import Database
from gureum.foundation.errors import Unavailable
from gureum.foundation.http import dialects
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import PUBLIC, Api, Reply, Route
from gureum.foundation.http.views import View
from gureum.foundation.metrics import Metrics


class Health(View):
    status: Literal["ok"] = "ok"


METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def measured(database: Database, metrics: Metrics) -> bytes:
    """All that this process counted, in Prometheus' text format."""
    metrics.statements.set(database.counters.statements)
    metrics.commits.set(database.counters.commits)
    return metrics.render()


def health_api(database: Database, metrics: Metrics) -> Api:
    def health(_call: Call[None]) -> Health:
        if trouble := database.trouble():
            raise Unavailable(trouble)
        return Health()

    def measure(_call: Call[None]) -> Reply[bytes]:
        return Reply(measured(database, metrics), content_type=METRICS_TYPE)

    routes = (
        Route("GET", "/healthz", health, PUBLIC, transaction="none"),
        Route("GET", "/metrics", measure, PUBLIC, transaction="none"),
    )
    return Api("root", "", dialects.plain, routes)
