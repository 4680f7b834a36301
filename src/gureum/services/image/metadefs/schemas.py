"""The JSON schemas of metadata definitions. Source: image API reference v2, "Metadata definition schemas"."""

from __future__ import annotations

from typing import Any

from gureum.services.image.discovery.api import document_route
from gureum.services.image.discovery.schemas import Schema

_TYPES = ["array", "boolean", "integer", "number", "object", "string", None]
_COUNT: Schema = {"$ref": "#/definitions/positiveInteger"}
_COUNT_0: Schema = {"$ref": "#/definitions/positiveIntegerDefault0"}
_STRINGS: Schema = {"$ref": "#/definitions/stringArray"}
_DEFINED: Schema = {"$ref": "#/definitions/property"}


def _text(length: int | None = None, **more: Any) -> Schema:
    return {"type": "string", **({"maxLength": length} if length else {}), **more}


_MOMENT = _text(readOnly=True, format="date-time")
_LINK = _text(readOnly=True)
_PROPERTY: Schema = {
    "name": _text(255),
    "title": _text(),
    "description": _text(),
    "operators": {"type": "array", "items": _text()},
    "type": {"type": "string", "enum": _TYPES},
    "required": _STRINGS,
    "minimum": {"type": "number"},
    "maximum": {"type": "number"},
    "maxLength": _COUNT,
    "minLength": _COUNT_0,
    "pattern": _text(format="regex"),
    "enum": {"type": "array"},
    "readonly": {"type": "boolean"},
    "default": {},
    "items": {"type": "object", "properties": {"type": {"type": "string", "enum": _TYPES}, "enum": {"type": "array"}}},
    "maxItems": _COUNT,
    "minItems": _COUNT_0,
    "uniqueItems": {"type": "boolean", "default": False},
    "additionalItems": {"type": "boolean"},
}
_DEFINITIONS: Schema = {
    "positiveInteger": {"type": "integer", "minimum": 0},
    "positiveIntegerDefault0": {"allOf": [_COUNT, {"default": 0}]},
    "stringArray": {"type": "array", "items": _text(), "uniqueItems": True},
    "property": {
        "type": "object",
        "additionalProperties": {"type": "object", "required": ["title", "type"], "properties": _PROPERTY},
    },
}
_OBJECT: Schema = {
    "name": _text(255),
    "description": _text(),
    "required": _STRINGS,
    "properties": _DEFINED,
    "schema": _LINK,
    "self": _LINK,
    "created_at": _MOMENT,
    "updated_at": _MOMENT,
}
_ASSOCIATION: Schema = {
    "name": _text(80),
    "prefix": _text(80),
    "properties_target": _text(80),
    "created_at": _MOMENT,
    "updated_at": _MOMENT,
}
_TAG: Schema = {"name": _text(80), "created_at": _MOMENT, "updated_at": _MOMENT}
_NAMESPACE: Schema = {
    "namespace": _text(80),
    "display_name": _text(80),
    "description": _text(500),
    "visibility": _text(enum=["public", "private"]),
    "protected": {"type": "boolean"},
    "owner": _text(255),
    "created_at": _MOMENT,
    "updated_at": _MOMENT,
    "schema": _LINK,
    "self": _LINK,
    "resource_type_associations": {"type": "array", "items": {"type": "object", "properties": _ASSOCIATION}},
    "properties": _DEFINED,
    "objects": {"type": "array", "items": {"type": "object", "properties": _OBJECT}},
    "tags": {"type": "array", "items": {"type": "object", "properties": {"name": _text()}}},
}


def _one(name: str, properties: Schema, *required: str, definitions: bool = True) -> Schema:
    schema = {"name": name, "additionalProperties": False, "required": list(required), "properties": properties}
    return schema | ({"definitions": _DEFINITIONS} if definitions else {})


def _many(name: str, one: Schema) -> Schema:
    links = [
        {"rel": "first", "href": "{first}"},
        {"rel": "next", "href": "{next}"},
        {"rel": "describedby", "href": "{schema}"},
    ]
    properties = {name: {"type": "array", "items": one}, **{key: _text() for key in ("first", "next", "schema")}}
    found: Schema = {"name": name, "properties": properties, "links": links}
    return found | ({"definitions": _DEFINITIONS} if "definitions" in one else {})


NAMESPACE = _one("namespace", _NAMESPACE, "namespace")
OBJECT = _one("object", _OBJECT, "name")
PROPERTY = _one("property", _PROPERTY, "type", "title", "name")
TAG = _one("tag", _TAG, "name", definitions=False)
ASSOCIATION = _one("resource_type_association", _ASSOCIATION, "name", definitions=False)
PROPERTIES: Schema = {
    "name": "properties",
    "definitions": _DEFINITIONS,
    "properties": {"properties": _DEFINED, **{key: _text() for key in ("first", "next", "schema")}},
    "links": _many("properties", PROPERTY)["links"],
}
SCHEMAS = {
    "namespace": NAMESPACE,
    "namespaces": _many("namespaces", NAMESPACE),
    "object": OBJECT,
    "objects": _many("objects", OBJECT),
    "property": PROPERTY,
    "properties": PROPERTIES,
    "tag": TAG,
    "tags": _many("tags", TAG),
    "resource_type": ASSOCIATION,
    "resource_types": _many("resource_type_associations", ASSOCIATION),
}


ROUTES = tuple(document_route(f"/v2/schemas/metadefs/{name}", schema) for name, schema in SCHEMAS.items())
RULES = ()
