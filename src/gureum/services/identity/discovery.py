"""Version documents. Source: identity API reference, "API versions"."""

from __future__ import annotations

from msgspec import field

from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import PUBLIC, Reply, Route
from gureum.foundation.http.views import Link, View
from gureum.services.identity import json_home
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.json_home import Home
from gureum.services.identity.nouns import NOUNS


class MediaType(View):
    base: str
    type: str


class VersionView(View):
    id: str
    status: str
    updated: str
    links: list[Link]
    media_types: list[MediaType] = field(name="media-types")


class VersionDocument(View):
    version: VersionView


class VersionValues(View):
    values: list[VersionView]


class VersionsDocument(View):
    versions: VersionValues


def _version(call: Call[IdentityDeps]) -> VersionView:
    media = MediaType("application/json", "application/vnd.openstack.identity-v3+json")
    return VersionView("v3.14", "stable", "2020-04-07T00:00:00Z", [Link("self", f"{call.base_url}/v3/")], [media])


def _home(call: Call[IdentityDeps], prefix: str) -> Reply[Home] | None:
    """The JSON home document, for clients that prefer it to plain JSON; None for others."""
    if not json_home.is_asked_for(call.headers.get("accept", "")):
        return None
    routes = (route for noun in NOUNS for route in noun.ROUTES)
    return Reply(json_home.document(routes, prefix), status=200, content_type=json_home.MEDIA_TYPE)


def versions(call: Call[IdentityDeps]) -> Reply[Home] | VersionsDocument:
    return _home(call, "/v3") or VersionsDocument(VersionValues([_version(call)]))


def version(call: Call[IdentityDeps]) -> Reply[Home] | VersionDocument:
    return _home(call, "") or VersionDocument(_version(call))


ROUTES = (
    Route("GET", "/", versions, PUBLIC, 300, transaction="none"),
    Route("GET", "/v3", version, PUBLIC, transaction="none"),
)
