"""The image as clients see it. Source: image API reference v2, "Show image"."""

from __future__ import annotations

from typing import Any

from gureum.foundation import clock
from gureum.services.image.images.model import HASH_ALGORITHM, Image


def view_of(image: Image) -> dict[str, Any]:
    """Every field, and the image's own properties beside them.

    Without `stores`, as with one store: a client that sends back all it was shown would be refused for it.
    """
    return {
        **image.properties,
        "id": image.id,
        "name": image.name,
        "status": image.status,
        "visibility": image.visibility,
        "os_hidden": image.hidden,
        "protected": image.protected,
        "owner": image.owner,
        "disk_format": image.disk_format,
        "container_format": image.container_format,
        "min_disk": image.min_disk_gib,
        "min_ram": image.min_ram_mib,
        "size": image.size_bytes,
        "virtual_size": image.virtual_size_bytes,
        "checksum": image.md5,
        "os_hash_algo": HASH_ALGORITHM if image.sha512 else None,
        "os_hash_value": image.sha512,
        "tags": list(image.tags),
        "created_at": clock.iso(image.created_at),
        "updated_at": clock.iso(image.updated_at),
        "self": f"/v2/images/{image.id}",
        "file": f"/v2/images/{image.id}/file",
        "schema": "/v2/schemas/image",
    }
