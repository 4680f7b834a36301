"""Routes that tell a client what this API speaks and offers.

Source: image API reference, "Image service versions"; v2, "Image service info (discovery)" and "Image schemas".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import PUBLIC, Route
from gureum.foundation.policy import Rule
from gureum.services.image.deps import ImageDeps
from gureum.services.image.discovery import schemas
from gureum.services.image.imports.request import METHODS

NEWEST_MINOR = 17

RULES = (
    Rule(
        "get_schemas",
        "rule:any_authenticated",
        "Read the schemas of the image API",
        unbounded="the same for every project",
    ),
    Rule(
        "get_image_info",
        "rule:any_authenticated",
        "See the image stores and the import methods",
        unbounded="usage counts the token's project",
    ),
)


def versions(call: Call[ImageDeps]) -> dict[str, Any]:
    links = [{"rel": "self", "href": f"{call.base_url}/v2/"}]
    minors = range(NEWEST_MINOR, -1, -1)
    status = {NEWEST_MINOR: "CURRENT"}
    return {
        "versions": [
            {"id": f"v2.{minor}", "status": status.get(minor, "SUPPORTED"), "links": links} for minor in minors
        ]
    }


def import_info(_call: Call[ImageDeps]) -> dict[str, Any]:
    methods = {"description": "Import methods available.", "type": "array", "value": list(METHODS)}
    return {"import-methods": methods}


def _document(schema: schemas.Schema) -> Callable[[Call[ImageDeps]], schemas.Schema]:
    return lambda _call: schema


_SCHEMAS = {
    "image": schemas.IMAGE,
    "images": schemas.IMAGES,
    "member": schemas.MEMBER,
    "members": schemas.MEMBERS,
    "task": schemas.TASK,
    "tasks": schemas.TASKS,
}
ROUTES = (
    Route("GET", "/", versions, PUBLIC, 300, transaction="none"),
    Route("GET", "/versions", versions, PUBLIC, transaction="none"),
    Route("GET", "/v2/info/import", import_info, "get_image_info", transaction="none"),
    *(
        Route("GET", f"/v2/schemas/{name}", _document(schema), "get_schemas", transaction="none")
        for name, schema in _SCHEMAS.items()
    ),
)
