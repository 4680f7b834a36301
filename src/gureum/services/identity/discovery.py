"""Version documents. Source: identity API reference, "API versions"."""

from __future__ import annotations

from typing import Any

from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import PUBLIC, Route


def _version(call: Call[Any]) -> dict[str, Any]:
    return {
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": f"{call.base_url}/v3/"}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
    }


def versions(call: Call[Any]) -> dict[str, Any]:
    return {"versions": {"values": [_version(call)]}}


def version(call: Call[Any]) -> dict[str, Any]:
    return {"version": _version(call)}


ROUTES = (
    Route("GET", "/", versions, PUBLIC, 300, transaction="none"),
    Route("GET", "/v3", version, PUBLIC, transaction="none"),
)
