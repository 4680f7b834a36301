"""The version document. Source: placement API reference, "API versions"."""

from __future__ import annotations

from typing import Any

from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import PUBLIC, Reply, Route
from gureum.services.placement.answers import fresh

RULES = ()


def versions(call: Call[Any]) -> Reply[Any]:
    document = {
        "versions": [
            {
                "id": "v1.0",
                "min_version": "1.0",
                "max_version": "1.39",
                "status": "CURRENT",
                "links": [{"rel": "self", "href": ""}],
            }
        ]
    }
    return fresh(call, document)


ROUTES = (Route("GET", "/", versions, PUBLIC, transaction="none"),)
