"""What a client may send about an image, checked property by property. Source: image API reference, "Images"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gureum.foundation import ids
from gureum.foundation.errors import BadRequest, Conflict, Forbidden, TooLarge
from gureum.services.image.images.model import Image
from gureum.services.image.images.views import CONTAINER_FORMATS, DISK_FORMATS, VISIBILITIES

READ_ONLY = frozenset(
    {"status", "checksum", "os_hash_algo", "os_hash_value", "size", "virtual_size", "created_at", "updated_at", "self",
     "file", "schema", "direct_url", "stores"}
)  # fmt: skip
RESERVED = READ_ONLY | {
    "id", "name", "visibility", "os_hidden", "protected", "owner", "disk_format", "container_format", "min_disk", "min_ram",
    "tags", "locations", "deleted", "deleted_at",
}  # fmt: skip
MAX_PROPERTIES = 128
MAX_TAGS = 128


def set_property(row: Image, name: str, value: Any) -> None:
    """Give one property of an image a value. Raises BadRequest, Forbidden, TooLarge."""
    if name in READ_ONLY:
        raise Forbidden(f"Attribute '{name}' is read-only.")
    if name in ("locations", "deleted", "deleted_at"):
        raise Forbidden(f"Attribute '{name}' is reserved.")
    setter = _SETTERS.get(name)
    if setter is not None:
        setter(row, value)
        return
    if not isinstance(value, str):
        raise BadRequest(f"Provided object does not match schema 'image': {name} must be a string.")
    if not name or len(name) > 255 or len(value) > 65535:
        raise BadRequest(f"The image property {name[:64]!r} is too long.")
    if name not in row.properties and len(row.properties) >= MAX_PROPERTIES:
        raise TooLarge(f"The limit of {MAX_PROPERTIES} image properties has been exceeded.")
    row.properties = {**row.properties, name: value}


def remove_property(row: Image, name: str) -> None:
    if name in RESERVED:
        raise Forbidden(f"Property '{name}' may not be removed.")
    row.properties = {key: value for key, value in row.properties.items() if key != name}


def _mismatch(name: str, what: str) -> BadRequest:
    return BadRequest(f"Provided object does not match schema 'image': {name} {what}.")


def _name(row: Image, value: Any) -> None:
    if value is not None and (not isinstance(value, str) or len(value) > 255):
        raise _mismatch("name", "must be a text of at most 255 characters")
    row.name = value


def _number(name: str, attribute: str) -> Any:
    def setter(row: Image, value: Any) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**31:
            raise _mismatch(name, "must be an integer from 0 to 2147483647")
        setattr(row, attribute, value)

    return setter


def _flag(name: str, attribute: str) -> Any:
    def setter(row: Image, value: Any) -> None:
        if not isinstance(value, bool):
            raise _mismatch(name, "must be true or false")
        setattr(row, attribute, value)

    return setter


def _choice(name: str, attribute: str, values: tuple[str, ...], *, nullable: bool) -> Any:
    def setter(row: Image, value: Any) -> None:
        if value not in values and not (nullable and value is None):
            raise _mismatch(name, f"must be one of {', '.join(values)}")
        if name.endswith("_format") and row.status not in (None, "queued") and value != getattr(row, attribute):
            raise Forbidden(f"Attribute {name} can be only replaced for a queued image.")
        setattr(row, attribute, value)

    return setter


def _tags(row: Image, value: Any) -> None:
    row.tags = checked_tags(value)


def checked_tags(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(tag, str) and 0 < len(tag) <= 255 for tag in value):
        raise _mismatch("tags", "must be texts of at most 255 characters")
    if len(set(value)) > MAX_TAGS:
        raise TooLarge(f"The limit of {MAX_TAGS} tags on an image has been exceeded.")
    return sorted(set(value))


def _id(row: Image, value: Any) -> None:
    if not isinstance(value, str) or not ids.is_uuid(value) or len(value) != 36:
        raise _mismatch("id", "must be a UUID")
    if row.created_at is not None and value != row.id:
        raise Forbidden("Attribute 'id' is read-only.")
    row.id = value.lower()


def _owner(row: Image, value: Any) -> None:
    if not isinstance(value, str) or not 0 < len(value) <= 36:
        raise _mismatch("owner", "must be a project id")
    row.owner = value


_SETTERS = {
    "id": _id,
    "name": _name,
    "owner": _owner,
    "min_disk": _number("min_disk", "min_disk_gib"),
    "min_ram": _number("min_ram", "min_ram_mib"),
    "protected": _flag("protected", "protected"),
    "os_hidden": _flag("os_hidden", "hidden"),
    "visibility": _choice("visibility", "visibility", VISIBILITIES, nullable=False),
    "disk_format": _choice("disk_format", "disk_format", DISK_FORMATS, nullable=True),
    "container_format": _choice("container_format", "container_format", CONTAINER_FORMATS, nullable=True),
    "tags": _tags,
}


def apply_patch(row: Image, operations: Any) -> list[str]:
    """Apply a JSON patch (RFC 6902 add, replace, remove on one level) and return the names that it changed."""
    if not isinstance(operations, list) or not operations:
        raise BadRequest("Request body must be a JSON array of operation objects.")
    changed = []
    for operation in operations:
        if not isinstance(operation, Mapping):
            raise BadRequest("Operations must be JSON objects.")
        verb, path = _verb(operation)
        name = path.removeprefix("/").replace("~1", "/").replace("~0", "~")
        if not path.startswith("/") or not name or "/" in path[1:]:
            raise BadRequest(f"Pointer `{path[:64]}` does not name a property of the image.")
        if verb != "remove" and "value" not in operation:
            raise BadRequest(f"Operation {verb} needs a value.")
        _apply_one(row, verb, name, operation.get("value"))
        changed.append(name)
    return changed


def _apply_one(row: Image, verb: str, name: str, value: Any) -> None:
    known = name in RESERVED or name in row.properties
    if verb == "remove":
        if not known:
            raise Conflict(f"Property {name} does not exist.")
        remove_property(row, name)
        return
    if verb == "replace" and not known:
        raise Conflict(f"Property {name} does not exist.")
    set_property(row, name, value)


def _verb(operation: Mapping[str, Any]) -> tuple[str, str]:
    """The operator and path of an operation, in today's form (`op`, `path`) or the first draft's (`add: path`)."""
    if "op" in operation:
        verb, path = operation["op"], operation.get("path")
    else:
        found = [verb for verb in ("add", "replace", "remove") if verb in operation]
        verb, path = (found[0], operation[found[0]]) if len(found) == 1 else ("", None)
    if verb not in ("add", "replace", "remove") or not isinstance(path, str):
        raise BadRequest("Operations must be one of add, replace, remove with a path.")
    return verb, path
