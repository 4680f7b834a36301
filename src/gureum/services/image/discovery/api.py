"""Routes that tell a client what this API speaks and offers.

Source: image API reference, "Image service versions"; v2, "Image service info (discovery)" and "Image schemas".
"""

from __future__ import annotations

from typing import Literal

from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import PUBLIC, Route
from gureum.foundation.http.views import JsonValue, Link, View
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


class VersionView(View):
    id: str
    status: Literal["CURRENT", "SUPPORTED"]
    links: list[Link]


class ImportMethods(View):
    value: list[str]
    description: str = "Import methods available."
    type: Literal["array"] = "array"


def versions(call: Call[ImageDeps]) -> list[VersionView]:
    links = [Link("self", f"{call.base_url}/v2/")]
    minors = range(NEWEST_MINOR, -1, -1)
    return [VersionView(f"v2.{minor}", "CURRENT" if minor == NEWEST_MINOR else "SUPPORTED", links) for minor in minors]


def import_info(_call: Call[ImageDeps]) -> ImportMethods:
    return ImportMethods(list(METHODS))


def document_route(path: str, schema: schemas.Schema) -> Route:
    """The route of a JSON schema."""

    def document(_call: Call[ImageDeps]) -> dict[str, JsonValue]:
        return schema

    return Route("GET", path, document, "get_schemas", transaction="none")


_SCHEMAS = {
    "image": schemas.IMAGE,
    "images": schemas.IMAGES,
    "member": schemas.MEMBER,
    "members": schemas.MEMBERS,
    "task": schemas.TASK,
    "tasks": schemas.TASKS,
}
ROUTES = (
    Route("GET", "/", versions, PUBLIC, 300, transaction="none", envelope="versions"),
    Route("GET", "/versions", versions, PUBLIC, transaction="none", envelope="versions"),
    Route("GET", "/v2/info/import", import_info, "get_image_info", transaction="none", envelope="import-methods"),
    *(document_route(f"/v2/schemas/{name}", schema) for name, schema in _SCHEMAS.items()),
)
