"""How the common definitions are written down."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gureum.foundation.http.views import JsonValue
from gureum.services.image.metadefs.definition import Described

IMAGE, FLAVOR, VOLUME = "OS::Glance::Image", "OS::Nova::Flavor", "OS::Cinder::Volume"
AGGREGATE, SERVER, SHARED_TYPE = "OS::Nova::Aggregate", "OS::Nova::Server", "OS::Cinder::Volumetype"
RESOURCE_TYPES = (IMAGE, FLAVOR, VOLUME, AGGREGATE, SERVER, SHARED_TYPE)

Definitions = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Common:
    """One namespace. `types` are (resource type, prefix, properties' target)."""

    namespace: str
    display_name: str
    description: str
    types: tuple[tuple[str, str, str], ...]
    properties: Definitions
    objects: dict[str, tuple[str, Definitions]] = field(default_factory=dict)


def text(title: str, description: str, **more: JsonValue) -> Described:
    return {"title": title, "description": description, "type": "string", **more}


def choice(title: str, description: str, *values: str) -> Described:
    return text(title, description, enum=list(values))


def number(title: str, description: str, **more: JsonValue) -> Described:
    return {"title": title, "description": description, "type": "integer", **more}


def yes_or_no(title: str, description: str) -> Described:
    return {"title": title, "description": description, "type": "boolean"}


def on_both(prefix: str) -> tuple[tuple[str, str, str], ...]:
    """For images with `prefix_`, for flavors with `prefix:`, and for volumes' image properties."""
    return ((IMAGE, f"{prefix}_", ""), (VOLUME, f"{prefix}_", "image"), (FLAVOR, f"{prefix}:", ""))
