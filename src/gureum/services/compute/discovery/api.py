"""Version documents and the list of extensions. Sources: compute API reference, "API versions", "Extensions".

The extensions are a thing of the past: each is always there, and the list only says so to clients that ask.
"""

from __future__ import annotations

from typing import Any

from gureum.foundation.errors import NotFound
from gureum.foundation.http.call import Call
from gureum.foundation.http.microversions import Version, text
from gureum.foundation.http.routes import PUBLIC, Route
from gureum.foundation.policy import Rule

MINIMUM: Version = (2, 1)
MAXIMUM: Version = (2, 96)
_RULE = "os_compute_api:extensions"

RULES = (Rule(_RULE, "rule:any_authenticated", "List extensions and show one", unbounded="the same for every project"),)

_EXTENSIONS = {
    "os-aggregates": "Host aggregates",
    "os-attach-interfaces": "Port interfaces of servers",
    "os-availability-zone": "Availability zones",
    "os-config-drive": "Config drives",
    "os-console-output": "Console logs",
    "os-extended-availability-zone": "The zone of a server",
    "os-extended-server-attributes": "Where a server is",
    "os-extended-status": "The states of a server",
    "os-flavor-access": "Projects that may use a flavor",
    "os-flavor-extra-specs": "Extra specs of flavors",
    "os-flavor-manage": "Making and removing flavors",
    "os-hypervisors": "Hypervisors",
    "os-instance-actions": "What was asked of a server",
    "os-keypairs": "Keypairs",
    "os-lock-server": "Locking servers",
    "os-multiple-create": "Several servers in one request",
    "os-pause-server": "Pausing servers",
    "os-quota-class-sets": "Default quotas",
    "os-quota-sets": "Quotas of projects",
    "os-server-groups": "Server groups",
    "os-services": "Services",
    "os-simple-tenant-usage": "Usage reports",
    "os-user-data": "User data",
}


def _current(call: Call[Any]) -> dict[str, Any]:
    return {
        "id": "v2.1",
        "status": "CURRENT",
        "version": text(MAXIMUM),
        "min_version": text(MINIMUM),
        "updated": "2013-07-23T11:33:21Z",
        "links": [{"rel": "self", "href": f"{call.base_url}/v2.1/"}],
    }


def _legacy(call: Call[Any]) -> dict[str, Any]:
    """The API from before microversions: the first of them under another path."""
    return {
        "id": "v2.0",
        "status": "SUPPORTED",
        "version": "",
        "min_version": "",
        "updated": "2011-01-21T11:33:21Z",
        "links": [{"rel": "self", "href": f"{call.base_url}/v2/"}],
    }


def versions(call: Call[Any]) -> dict[str, Any]:
    return {"versions": [_legacy(call), _current(call)]}


def version(call: Call[Any]) -> dict[str, Any]:
    return _described(_current(call), "2.1")


def legacy_version(call: Call[Any]) -> dict[str, Any]:
    return _described(_legacy(call), "2")


def _described(document: dict[str, Any], number: str) -> dict[str, Any]:
    described = {"rel": "describedby", "type": "text/html", "href": "https://docs.openstack.org/api-ref/compute/"}
    kind = {"base": "application/json", "type": f"application/vnd.openstack.compute+json;version={number}"}
    return {"version": {**document, "links": [*document["links"], described], "media-types": [kind]}}


def extensions(_call: Call[Any]) -> dict[str, Any]:
    return {"extensions": [_extension(alias) for alias in _EXTENSIONS]}


def extension(_call: Call[Any], alias: str) -> dict[str, Any]:
    if alias not in _EXTENSIONS:
        raise NotFound(f"Extension {alias[:64]} could not be found.")
    return {"extension": _extension(alias)}


def _extension(alias: str) -> dict[str, Any]:
    return {
        "alias": alias,
        "name": alias.removeprefix("os-").title().replace("-", ""),
        "description": _EXTENSIONS[alias],
        "links": [],
        "namespace": "http://docs.openstack.org/compute/ext/fake_xml",
        "updated": "2014-12-03T00:00:00Z",
    }


ROUTES = (
    Route("GET", "/", versions, PUBLIC, transaction="none"),
    Route("GET", "/v2.1", version, PUBLIC, transaction="none"),
    Route("GET", "/v2", legacy_version, PUBLIC, transaction="none"),
    Route("GET", "/v2.1/extensions", extensions, _RULE, transaction="none"),
    Route("GET", "/v2.1/extensions/{alias}", extension, _RULE, transaction="none"),
)
