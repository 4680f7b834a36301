"""Version documents. Source: identity API reference, "API versions"."""

from __future__ import annotations

from typing import Any

from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import PUBLIC, Reply, Route
from gureum.services.identity import json_home
from gureum.services.identity.nouns import NOUNS


def _version(call: Call[Any]) -> dict[str, Any]:
    return {
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": f"{call.base_url}/v3/"}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
    }


def _home(call: Call[Any], prefix: str) -> Reply[Any] | None:
    """The JSON home document, for whoever accepts that and nothing plainer."""
    if not json_home.is_asked_for(call.headers.get("accept", "")):
        return None
    routes = (route for noun in NOUNS for route in noun.ROUTES)
    return Reply(json_home.document(routes, prefix), status=200, content_type=json_home.MEDIA_TYPE)


def versions(call: Call[Any]) -> Reply[Any] | dict[str, Any]:
    if home := _home(call, "/v3"):
        return home
    return {"versions": {"values": [_version(call)]}}


def version(call: Call[Any]) -> Reply[Any] | dict[str, Any]:
    if home := _home(call, ""):
        return home
    return {"version": _version(call)}


ROUTES = (
    Route("GET", "/", versions, PUBLIC, 300, transaction="none"),
    Route("GET", "/v3", version, PUBLIC, transaction="none"),
)
