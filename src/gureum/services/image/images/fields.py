"""What a client may write about an image, and in which shape. Pure.

Source: image API reference v2, "Images" and the schema `image`; limits on properties and tags are the
operator's (`[image] max_properties`, `max_tags`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from gureum.foundation.errors import BadRequest, Forbidden, TooLarge
from gureum.foundation.http.body import converted
from gureum.foundation.http.views import JsonValue
from gureum.services.image.config import ImageConfig

MAX_VALUE_CHARACTERS = 65535
MAX_PROPERTIES_CHARACTERS = 131_072
"""Of all properties of one image, names and values. A list shows up to 1,000 images whole, and its answer is in memory
at once: with the longest values in all properties it would take gigabytes."""

DISK_FORMATS = ("ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop")
CONTAINER_FORMATS = ("ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed")
VISIBILITIES = ("community", "public", "private", "shared")

DiskFormat = Literal["ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop"]
ContainerFormat = Literal["ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed"]
ImageId = Annotated[str, Meta(pattern=r"^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\Z")]
Text255 = Annotated[str, Meta(max_length=255)]
Tag = Annotated[str, Meta(min_length=1, max_length=255)]
Amount = Annotated[int, Meta(ge=0, le=2**31 - 1)]


class Fields(Struct, forbid_unknown_fields=True):
    """The writable fields that the API knows itself, by their API names."""

    id: ImageId | UnsetType = UNSET
    name: Text255 | UnsetType | None = UNSET
    visibility: Literal["community", "public", "private", "shared"] | UnsetType = UNSET
    os_hidden: bool | UnsetType = UNSET
    protected: bool | UnsetType = UNSET
    owner: Text255 | UnsetType | None = UNSET
    disk_format: DiskFormat | UnsetType | None = UNSET
    container_format: ContainerFormat | UnsetType | None = UNSET
    min_disk: Amount | UnsetType = UNSET
    min_ram: Amount | UnsetType = UNSET
    tags: list[Tag] | UnsetType = UNSET


class Described(Fields):
    """A POST body as a whole, for the API's own description: other names are the image's own properties."""


KNOWN = frozenset(field.name for field in msgspec.structs.fields(Fields))
MADE_BY_THE_CLOUD = frozenset(
    {
        "status",
        "checksum",
        "os_hash_algo",
        "os_hash_value",
        "size",
        "virtual_size",
        "created_at",
        "updated_at",
        "direct_url",
        "self",
        "file",
        "schema",
        "stores",
    }
)
RESERVED = frozenset({"location", "locations", "deleted", "deleted_at"})
RESERVED_PREFIX = "os_glance"


@dataclass(frozen=True, slots=True)
class NewImage:
    """A POST body, split into what the API knows and the image's own properties."""

    fields: Fields
    properties: dict[str, str]


def split(body: Mapping[str, Any]) -> NewImage:
    """Check a POST body. Raises BadRequest, Forbidden."""
    for name in body:
        refuse_unwritable(name)
    fields = checked({name: value for name, value in body.items() if name in KNOWN})
    properties = {name: checked_property(name, value) for name, value in body.items() if name not in KNOWN}
    return NewImage(fields, properties)


def refuse_unwritable(name: str) -> None:
    """Raises Forbidden for a name that only the cloud writes."""
    if name in MADE_BY_THE_CLOUD:
        raise Forbidden(f"Attribute '{name}' is read-only.")
    if name in RESERVED or name.startswith(RESERVED_PREFIX):
        raise Forbidden(f"Attribute '{name[:64]}' is reserved.")


def checked(values: Mapping[str, Any]) -> Fields:
    """Known fields in their types. Raises BadRequest that names the field."""
    fields: Fields = converted(values, Fields, "", "Provided object does not match schema 'image'")
    return fields


def checked_property(name: str, value: JsonValue) -> str:
    """The value of one of the image's own properties. Raises BadRequest."""
    if not (0 < len(name) <= 255 and name.isprintable()):
        raise BadRequest("The name of a custom property has 1 to 255 printable characters.")
    if not isinstance(value, str):
        raise BadRequest(f"Provided object does not match schema 'image': {name[:64]!r} must be a string.")
    if len(value) > MAX_VALUE_CHARACTERS:
        raise BadRequest(f"The value of {name[:64]!r} is longer than {MAX_VALUE_CHARACTERS} characters.")
    return value


def characters(properties: Mapping[str, str]) -> int:
    return sum(len(name) + len(value) for name, value in properties.items())


def check_amounts(config: ImageConfig, properties: Mapping[str, str], tags: int) -> None:
    """Raises TooLarge when an image would have too many properties or tags. A limit of numbers below 0 is none."""
    if (size := characters(properties)) > MAX_PROPERTIES_CHARACTERS:
        raise TooLarge(
            "The limit has been exceeded on the size of image properties, names and values. "
            f"Attempted: {size} characters, Maximum: {MAX_PROPERTIES_CHARACTERS}"
        )
    for what, attempted, maximum in (
        ("properties", len(properties), config.max_properties),
        ("tags", tags, config.max_tags),
    ):
        if attempted > maximum >= 0:
            raise TooLarge(
                f"The limit has been exceeded on the number of allowed image {what}. "
                f"Attempted: {attempted}, Maximum: {maximum}"
            )
