"""Versions, schemas, and what stores and import methods there are. Source: image API reference, "API versions",
"Image schemas", "Import methods and values discovery", "Stores discovery"."""

from __future__ import annotations

from typing import Any

from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import PUBLIC, Route
from gureum.foundation.policy import Rule
from gureum.services.image.images import views

RULES = (
    Rule("get_schemas", "@", "Read the schemas of the image API"),
    Rule("discover_stores", "rule:project_reader_or_admin", "See stores and import methods"),
)
NEWEST = 16
_SKIPPED = {8, 10, 11, 12, 14}


def versions(call: Call[Any]) -> dict[str, Any]:
    link = [{"rel": "self", "href": f"{call.base_url}/v2/"}]
    numbers = [minor for minor in range(NEWEST, -1, -1) if minor not in _SKIPPED]
    return {
        "versions": [
            {"id": f"v2.{minor}", "status": "CURRENT" if minor == NEWEST else "SUPPORTED", "links": link}
            for minor in numbers
        ]
    }


def import_info(_call: Call[Any]) -> dict[str, Any]:
    return {"import-methods": {"description": "Import methods available.", "type": "array", "value": []}}


def stores(_call: Call[Any]) -> dict[str, Any]:
    return {"stores": [{"id": "file", "default": "true"}]}


def _schema(document: dict[str, Any]) -> Any:
    def show(_call: Call[Any]) -> dict[str, Any]:
        return document

    return show


ROUTES = (
    Route("GET", "/", versions, PUBLIC, 300, transaction="none"),
    Route("GET", "/versions", versions, PUBLIC, transaction="none"),
    Route("GET", "/v2/info/import", import_info, "discover_stores", transaction="none"),
    Route("GET", "/v2/info/stores", stores, "discover_stores", transaction="none"),
    *(
        Route("GET", f"/v2/schemas/{name}", _schema(document), "get_schemas", transaction="none")
        for name, document in (
            ("image", views.IMAGE_SCHEMA),
            ("images", views.IMAGES_SCHEMA),
            ("member", views.MEMBER_SCHEMA),
            ("members", views.MEMBERS_SCHEMA),
        )
    ),
)
