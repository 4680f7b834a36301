"""Where an import's data comes from: a URL, another image of this cloud, or an image of another region's service.

Source of the facts that come along from another image: image service administration guide, "glance-download" (the
default list of properties).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from gureum.drivers.image.errors import ImageStoreError, UrlRefused
from gureum.foundation.caller import Caller
from gureum.foundation.tasks.lifecycle import PermanentFailureError
from gureum.services.image.deps import ImageDeps
from gureum.services.image.images.model import Image, visible
from gureum.services.image.imports.operations import Job
from gureum.services.image.locations.reading import open_data

COPIED_PREFIXES = ("hw_", "trait:", "os_distro", "os_secure_boot", "os_type")
INTERFACES = ("public", "internal", "admin")


@dataclass(frozen=True)
class Facts:
    """What comes along with another image's data."""

    disk_format: str | None = None
    container_format: str | None = None
    properties: dict[str, str] = field(default_factory=dict)

    def write_to(self, image: Image) -> None:
        if self.disk_format:
            image.disk_format = self.disk_format
        if self.container_format:
            image.container_format = self.container_format
        for name, value in self.properties.items():
            if name in image.properties:
                image.property_rows[name].value = value
            else:
                image.properties[name] = value


def facts_of(deps: ImageDeps, job: Job) -> Facts:
    """Raises PermanentFailureError for an image that is not to be had."""
    if job.method != "glance-download":
        return Facts()
    source = _source_image(deps, job)
    kept = {name: value for name, value in source.properties.items() if name.startswith(COPIED_PREFIXES)}
    return Facts(source.disk_format, source.container_format, kept)


def chunks_of(deps: ImageDeps, job: Job) -> Iterator[bytes]:
    """The data. Raises PermanentFailureError, and ImageStoreError where trying again may help."""
    if job.method == "glance-download":
        image = _source_image(deps, job)
        with deps.database.read() as tx:
            return open_data(deps.stores, tx, image)
    try:
        return iter(deps.fetcher.open(job.uri))
    except UrlRefused as error:
        raise PermanentFailureError(str(error), public=f"The URI is refused: {error}.") from error
    except ImageStoreError as error:
        raise PermanentFailureError(str(error), public=f"The URI gave no data: {error}.") from error


def _source_image(deps: ImageDeps, job: Job) -> Image:
    source = job.source
    if source["region"] != deps.region or source["interface"] not in INTERFACES:
        text = "There is no image service in that region with that interface."
        raise PermanentFailureError(f"region {source['region']}, interface {source['interface']}", public=text)
    roles = ("admin",) if source["admin"] else ()
    who = Caller(project_id=source["project_id"] or None, roles=roles)
    with deps.database.read() as tx:
        image = tx.scalar(visible(who).where(Image.id == source["image_id"]))
        if image is None or image.status != "active":
            text = f"There is no active image {source['image_id']}."
            raise PermanentFailureError(text, public=text)
        return image
