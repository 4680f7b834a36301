"""The version document. Source: placement API reference, "API versions"."""

from __future__ import annotations

from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import PUBLIC, Reply, Route
from gureum.foundation.http.views import Link, View
from gureum.services.placement.answers import fresh

RULES = ()


class VersionView(View):
    id: str
    min_version: str
    max_version: str
    status: str
    links: list[Link]


def versions(call: Call[None]) -> Reply[list[VersionView]]:
    return fresh(call, [VersionView("v1.0", "1.0", "1.39", "CURRENT", [Link("self", "")])])


ROUTES = (Route("GET", "/", versions, PUBLIC, envelope="versions", transaction="none"),)
