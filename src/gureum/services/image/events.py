"""What the image service tells other services. `project_id` is the owner, None for an image of the cloud itself."""

from __future__ import annotations

from typing import ClassVar

from gureum.foundation.events.event import Event


class ImageCreated(Event, frozen=True):
    """It has no data yet."""

    KIND: ClassVar[str] = "image.created"
    id: str
    project_id: str | None


class ImageActivated(Event, frozen=True):
    """It has data; `size_bytes` is None when its source does not say."""

    KIND: ClassVar[str] = "image.activated"
    id: str
    project_id: str | None
    size_bytes: int | None


class ImageDeleted(Event, frozen=True):
    KIND: ClassVar[str] = "image.deleted"
    id: str
    project_id: str | None
    size_bytes: int | None
