"""Puts the common definitions into a new cloud. Repeating it adds what is missing and changes nothing that is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import insert, select

from gureum.foundation import clock, ids
from gureum.foundation.db.engine import Tx
from gureum.foundation.db.types import Row
from gureum.services.image.metadefs.common.compute import COMPUTE
from gureum.services.image.metadefs.common.images import IMAGES
from gureum.services.image.metadefs.common.shape import RESOURCE_TYPES, Common
from gureum.services.image.metadefs.model import (
    Association,
    Namespace,
    NamespaceObject,
    NamespaceProperty,
    ResourceType,
)

COMMON = (*IMAGES, *COMPUTE)


def load_common(tx: Tx) -> None:
    """Namespaces that an operator removed come back; what was changed in one that is there stays."""
    known = set(tx.scalars(select(Namespace.namespace)))
    missing = [one for one in COMMON if one.namespace not in known]
    if not missing:
        return
    now = clock.utcnow()
    times = {"created_at": now, "updated_at": now}
    types = set(RESOURCE_TYPES) - set(tx.scalars(select(ResourceType.name)))
    named = {one.namespace: ids.new_uuid() for one in missing}
    _insert(tx, ResourceType, [{"name": name, **times} for name in sorted(types)])
    _insert(tx, Namespace, [_namespace(one, named[one.namespace]) | times for one in missing])
    of_each = [(one, {"namespace_id": named[one.namespace], **times}) for one in missing]
    _insert(tx, NamespaceProperty, [row | common for one, common in of_each for row in _properties(one)])
    _insert(tx, NamespaceObject, [row | common for one, common in of_each for row in _objects(one)])
    _insert(tx, Association, [row | common for one, common in of_each for row in _associations(one)])


def _insert(tx: Tx, model: type[Row], rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        tx.execute(insert(model), rows)


def _namespace(one: Common, namespace_id: str) -> dict[str, str | bool | None]:
    return {
        "id": namespace_id,
        "namespace": one.namespace,
        "display_name": one.display_name,
        "description": one.description,
        "visibility": "public",
        "protected": True,
        "owner": None,
    }


def _properties(one: Common) -> list[dict[str, Any]]:
    return [{"id": ids.new_uuid(), "name": name, "definition": found} for name, found in one.properties.items()]


def _objects(one: Common) -> list[dict[str, Any]]:
    return [
        {"id": ids.new_uuid(), "name": name, "description": told, "properties": properties, "required": []}
        for name, (told, properties) in one.objects.items()
    ]


def _associations(one: Common) -> list[dict[str, Any]]:
    return [
        {"resource_type": kind, "prefix": prefix or None, "properties_target": target or None}
        for kind, prefix, target in one.types
    ]
