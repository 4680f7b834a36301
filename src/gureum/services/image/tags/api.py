"""Routes of image tags. Source: image API reference v2, "Image tags"."""

from __future__ import annotations

from gureum.foundation.errors import NotFound
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route
from gureum.services.image.access import find
from gureum.services.image.deps import ImageDeps
from gureum.services.image.images import operations


def add(call: Call[ImageDeps], image_id: str, tag: str) -> None:
    operations.add_tag(call.deps.config, find(call, image_id), tag)


def remove(call: Call[ImageDeps], image_id: str, tag: str) -> None:
    if not operations.remove_tag(find(call, image_id), tag):
        raise NotFound(f"Tag {tag[:255]} of image {image_id} could not be found.")


_ONE = "/v2/images/{image_id}/tags/{tag}"
ROUTES = (
    Route("PUT", _ONE, add, "modify_image", 204, target="handler"),
    Route("DELETE", _ONE, remove, "modify_image", 204, target="handler"),
)
RULES = ()
