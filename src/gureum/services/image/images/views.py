"""The image document and its JSON schemas. Source: image API reference, "Images", "Image schemas"."""

from __future__ import annotations

from typing import Any

from gureum.foundation import clock
from gureum.services.image.images.model import Image

CONTAINER_FORMATS = ("ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed")
DISK_FORMATS = ("ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop")
VISIBILITIES = ("community", "public", "private", "shared")


def view_of(row: Image) -> dict[str, Any]:
    """Every key of the newest version; additional properties beside the fixed ones."""
    return {
        **row.properties,
        "id": row.id,
        "name": row.name,
        "status": row.status,
        "visibility": row.visibility,
        "os_hidden": row.hidden,
        "protected": row.protected,
        "owner": row.owner,
        "disk_format": row.disk_format,
        "container_format": row.container_format,
        "min_disk": row.min_disk_gib,
        "min_ram": row.min_ram_mib,
        "size": row.size_bytes,
        "virtual_size": row.virtual_size_bytes,
        "checksum": row.md5,
        "os_hash_algo": "sha512" if row.sha512 else None,
        "os_hash_value": row.sha512,
        "tags": row.tags,
        "created_at": clock.iso(row.created_at),
        "updated_at": clock.iso(row.updated_at),
        "self": f"/v2/images/{row.id}",
        "file": f"/v2/images/{row.id}/file",
        "schema": "/v2/schemas/image",
    }


def _text(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, **more}


def _maybe(description: str, **more: Any) -> dict[str, Any]:
    return {"type": ["null", "string"], "description": description, **more}


def _choice(description: str, values: tuple[str, ...]) -> dict[str, Any]:
    return {"type": ["null", "string"], "description": description, "enum": [None, *values]}


IMAGE_SCHEMA: dict[str, Any] = {
    "name": "image",
    "properties": {
        "id": _text("The image's identifier", pattern="^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$"),  # fmt: skip  # noqa: E501
        "name": _maybe("A name", maxLength=255),
        "status": _text("Where the image is in its life", readOnly=True, enum=["queued", "saving", "active", "killed", "deleted", "uploading", "importing", "pending_delete", "deactivated"]),  # fmt: skip  # noqa: E501
        "visibility": _text("Who may see the image", enum=list(VISIBILITIES)),
        "protected": {"type": "boolean", "description": "Whether deletion is refused"},
        "os_hidden": {"type": "boolean", "description": "Whether lists leave the image out"},
        "checksum": _maybe("MD5 of the data", readOnly=True, maxLength=32),
        "os_hash_algo": _maybe("The algorithm of os_hash_value", readOnly=True, maxLength=64),
        "os_hash_value": _maybe("The hash of the data", readOnly=True, maxLength=128),
        "owner": _maybe("The project that owns the image", maxLength=255),
        "size": {"type": ["null", "integer"], "description": "Bytes of data", "readOnly": True},
        "virtual_size": {"type": ["null", "integer"], "description": "Bytes of the disk", "readOnly": True},
        "container_format": _choice("How the data is packed", CONTAINER_FORMATS),
        "disk_format": _choice("The format of the disk", DISK_FORMATS),
        "created_at": _text("When the image was registered", readOnly=True),
        "updated_at": _text("When the image changed last", readOnly=True),
        "tags": {"type": "array", "description": "Labels", "items": {"type": "string", "maxLength": 255}},
        "min_ram": {"type": "integer", "description": "MiB of memory that the image needs"},
        "min_disk": {"type": "integer", "description": "GiB of disk that the image needs"},
        "self": _text("This document", readOnly=True),
        "file": _text("The data", readOnly=True),
        "schema": _text("The schema of this document", readOnly=True),
    },
    "additionalProperties": {"type": "string"},
    "links": [
        {"rel": "self", "href": "{self}"},
        {"rel": "enclosure", "href": "{file}"},
        {"rel": "describedby", "href": "{schema}"},
    ],
}
IMAGES_SCHEMA: dict[str, Any] = {
    "name": "images",
    "properties": {
        "images": {"type": "array", "items": IMAGE_SCHEMA},
        "schema": {"type": "string"},
        "next": {"type": "string"},
        "first": {"type": "string"},
    },
    "links": [
        {"rel": "next", "href": "{next}"},
        {"rel": "first", "href": "{first}"},
        {"rel": "describedby", "href": "{schema}"},
    ],
}
MEMBER_SCHEMA: dict[str, Any] = {
    "name": "member",
    "properties": {
        "created_at": _text("When the image was shared"),
        "image_id": _text("The image", pattern=IMAGE_SCHEMA["properties"]["id"]["pattern"]),
        "member_id": _text("The project"),
        "schema": _text("The schema of this document", readOnly=True),
        "status": _text("What the project said", enum=["pending", "accepted", "rejected"]),
        "updated_at": _text("When the status changed last"),
    },
}
MEMBERS_SCHEMA: dict[str, Any] = {
    "name": "members",
    "properties": {"members": {"type": "array", "items": MEMBER_SCHEMA}, "schema": {"type": "string"}},
    "links": [{"rel": "describedby", "href": "{schema}"}],
}
