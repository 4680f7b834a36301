"""The JSON schemas that clients read to learn what an image and a member look like.

Source: image API reference v2, "Image schemas".
"""

from __future__ import annotations

from typing import Any

from gureum.services.image.images.fields import CONTAINER_FORMATS, DISK_FORMATS, VISIBILITIES
from gureum.services.image.members.model import STATUSES
from gureum.services.image.tasks.model import STATUSES as TASK_STATUSES
from gureum.services.image.tasks.model import TYPES

Schema = dict[str, Any]

_UUID = "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$"
_IMAGE_STATUSES = (
    "queued",
    "saving",
    "active",
    "killed",
    "deleted",
    "uploading",
    "importing",
    "pending_delete",
    "deactivated",
)


def _text(description: str, **more: Any) -> Schema:
    return {"type": "string", "description": description, **more}


def _maybe(description: str, **more: Any) -> Schema:
    return {"type": ["null", "string"], "description": description, **more}


def _own(description: str, **more: Any) -> Schema:
    """A property that the API does not know itself but that many clients use."""
    return {"type": "string", "description": description, "is_base": False, **more}


def _number(description: str, **more: Any) -> Schema:
    return {"type": "integer", "description": description, **more}


IMAGE: Schema = {
    "name": "image",
    "properties": {
        "id": _text("What names the image", pattern=_UUID),
        "name": _maybe("What people call the image", maxLength=255),
        "status": _text("Where the image is in its life", readOnly=True, enum=list(_IMAGE_STATUSES)),
        "visibility": _text("Who may see and use the image", enum=list(VISIBILITIES)),
        "protected": {"type": "boolean", "description": "Whether deletion is refused"},
        "os_hidden": {"type": "boolean", "description": "Whether lists leave the image out"},
        "checksum": _maybe("MD5 of the data", readOnly=True, maxLength=32),
        "os_hash_algo": _maybe("The algorithm of os_hash_value", readOnly=True, maxLength=64),
        "os_hash_value": _maybe("Hash of the data, in hexadecimal digits", readOnly=True, maxLength=128),
        "owner": _maybe("The project that the image belongs to", maxLength=255),
        "size": {"type": ["null", "integer"], "description": "Bytes of data", "readOnly": True},
        "virtual_size": {"type": ["null", "integer"], "description": "Bytes of the disk within", "readOnly": True},
        "container_format": _maybe("What the disk is wrapped in", enum=[None, *CONTAINER_FORMATS]),
        "disk_format": _maybe("The format of the disk", enum=[None, *DISK_FORMATS]),
        "created_at": _text("When the image was registered", readOnly=True),
        "updated_at": _text("When the image last changed", readOnly=True),
        "tags": {"type": "array", "description": "Labels", "items": {"type": "string", "maxLength": 255}},
        "min_ram": _number("MiB of memory that a server needs for the image"),
        "min_disk": _number("GiB of disk that a server needs for the image"),
        "self": _text("Where this document is", readOnly=True),
        "file": _text("Where the data is", readOnly=True),
        "schema": _text("Where the schema of this document is", readOnly=True),
        "stores": _text("The stores that hold the data", readOnly=True),
        "direct_url": _text("Where a store keeps the data", readOnly=True),
        "locations": {
            "type": "array",
            "description": "The places that hold the data",
            "items": {
                "type": "object",
                "required": ["url", "metadata"],
                "properties": {
                    "url": {"type": "string", "maxLength": 2048},
                    "metadata": {"type": "object"},
                    "validation_data": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["os_hash_algo", "os_hash_value"],
                        "properties": {
                            "checksum": {"type": "string", "minLength": 32, "maxLength": 32},
                            "os_hash_algo": {"type": "string", "maxLength": 64},
                            "os_hash_value": {"type": "string", "maxLength": 128},
                        },
                    },
                },
            },
        },
        "architecture": _own("The processor architecture that the image runs on"),
        "instance_uuid": _own("The server that the image was made from"),
        "kernel_id": {**_maybe("The image that holds the kernel", pattern=_UUID), "is_base": False},
        "ramdisk_id": {**_maybe("The image that holds the ramdisk", pattern=_UUID), "is_base": False},
        "os_distro": _own("The operating system's distribution"),
        "os_version": _own("The operating system's version"),
    },
    "additionalProperties": {"type": "string"},
    "links": [
        {"rel": "self", "href": "{self}"},
        {"rel": "enclosure", "href": "{file}"},
        {"rel": "describedby", "href": "{schema}"},
    ],
}

MEMBER: Schema = {
    "name": "member",
    "properties": {
        "member_id": _text("The project that the image is shared with"),
        "image_id": _text("The image that is shared", pattern=_UUID),
        "status": _text("What the project says to it", enum=list(STATUSES)),
        "created_at": _text("Since when it is shared"),
        "updated_at": _text("When the membership last changed"),
        "schema": _text("Where the schema of this document is", readOnly=True),
    },
}

IMAGES: Schema = {
    "name": "images",
    "properties": {
        "images": {"type": "array", "items": IMAGE},
        "schema": {"type": "string"},
        "first": {"type": "string"},
        "next": {"type": "string"},
    },
    "links": [
        {"rel": "first", "href": "{first}"},
        {"rel": "next", "href": "{next}"},
        {"rel": "describedby", "href": "{schema}"},
    ],
}

MEMBERS: Schema = {
    "name": "members",
    "properties": {"members": {"type": "array", "items": MEMBER}, "schema": {"type": "string"}},
    "links": [{"rel": "describedby", "href": "{schema}"}],
}

TASK: Schema = {
    "name": "task",
    "properties": {
        "id": _text("What names the task", pattern=_UUID),
        "type": _text("What kind of work it is", enum=list(TYPES)),
        "status": _text("How far it is", enum=list(TASK_STATUSES)),
        "input": {"type": ["null", "object"], "description": "What was asked"},
        "result": {"type": ["null", "object"], "description": "What came of it"},
        "owner": _text("The project that the task belongs to"),
        "message": _text("The progress, or the reason of a failure"),
        "expires_at": _maybe("When the task is forgotten"),
        "created_at": _text("Since when there is the task"),
        "updated_at": _text("When the task last changed"),
        "self": _text("Where this document is", readOnly=True),
        "schema": _text("Where the schema of this document is", readOnly=True),
    },
}

TASKS: Schema = {
    "name": "tasks",
    "properties": {
        "tasks": {"type": "array", "items": TASK},
        "schema": {"type": "string"},
        "first": {"type": "string"},
        "next": {"type": "string"},
    },
    "links": [
        {"rel": "first", "href": "{first}"},
        {"rel": "next", "href": "{next}"},
        {"rel": "describedby", "href": "{schema}"},
    ],
}
