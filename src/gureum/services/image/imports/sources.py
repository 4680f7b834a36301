"""Where an import's data comes from: a URL, another image of this cloud, or an image of another region's service.

Source of the facts that come along from another image: image service administration guide, "glance-download" (the
default list of properties).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from gureum.drivers.image.errors import ImageStoreError, UrlRefused
from gureum.drivers.image.interface import Look
from gureum.foundation.caller import Caller
from gureum.foundation.errors import ApiError
from gureum.foundation.tasks.lifecycle import PermanentFailureError
from gureum.services.image.deps import ImageDeps
from gureum.services.image.images.fields import CONTAINER_FORMATS, DISK_FORMATS, check_amounts, checked_property
from gureum.services.image.images.model import HASH_ALGORITHM, Image, visible
from gureum.services.image.imports import elsewhere
from gureum.services.image.imports.operations import Job
from gureum.services.image.locations.model import locations_of
from gureum.services.image.locations.reading import open_data

COPIED_PREFIXES = ("hw_", "trait:", "os_distro", "os_secure_boot", "os_type")


@dataclass(frozen=True)
class Facts:
    """What comes along with another image's data; `sha512` is what the data's must be, where that is known."""

    disk_format: str | None = None
    container_format: str | None = None
    properties: dict[str, str] = field(default_factory=dict)
    sha512: str | None = None

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


def facts_of(deps: ImageDeps, job: Job, look: Look) -> Facts:
    """Raises PermanentFailureError for an image that cannot be used."""
    if job.method != "glance-download":
        return Facts()
    if job.source["region"] != deps.region:
        return _facts_elsewhere(deps, job, look)
    source = _source_image(deps, job)
    kept = {name: value for name, value in source.properties.items() if name.startswith(COPIED_PREFIXES)}
    return Facts(source.disk_format, source.container_format, kept)


def _facts_elsewhere(deps: ImageDeps, job: Job, look: Look) -> Facts:
    """What another service says is checked like what a client says."""
    said = elsewhere.document_of(deps, elsewhere.place_of(deps, job.source, job.sealed_token), look)
    disk, container, hash_value = said.get("disk_format"), said.get("container_format"), said.get("os_hash_value")
    if said.get("status") != "active" or disk not in DISK_FORMATS or container not in CONTAINER_FORMATS:
        text = f"Image {job.source['image_id']} of that region is not active, or of no format that is known here."
        raise PermanentFailureError(text, public=text)
    kept = {name: value for name, value in said.items() if name.startswith(COPIED_PREFIXES)}
    try:
        checked = {name: checked_property(name, value) for name, value in kept.items()}
        check_amounts(deps.config, checked, 0)
    except ApiError as error:
        raise PermanentFailureError(error.public, public=error.public) from error
    is_sha512 = said.get("os_hash_algo") == HASH_ALGORITHM
    return Facts(disk, container, checked, hash_value if is_sha512 and isinstance(hash_value, str) else None)


def chunks_of(deps: ImageDeps, job: Job, look: Look) -> Iterator[bytes]:
    """The data. Raises PermanentFailureError, ImageStoreError where trying again may help, and what `look` raises."""
    if job.method == "glance-download" and job.source["region"] != deps.region:
        return elsewhere.chunks_of(deps, elsewhere.place_of(deps, job.source, job.sealed_token), look)
    if job.method == "glance-download":
        image = _source_image(deps, job)
        with deps.database.read() as tx:
            rows = locations_of(tx, image.id)
        return open_data(deps.stores, image.id, rows).chunks
    try:
        return iter(deps.fetcher.open(job.uri, look=look))
    except UrlRefused as error:
        raise PermanentFailureError(str(error), public=f"The URI is refused: {error}.") from error
    except ImageStoreError as error:
        raise PermanentFailureError(str(error), public=f"The URI gave no data: {error}.") from error


def _source_image(deps: ImageDeps, job: Job) -> Image:
    source = job.source
    if source["interface"] not in elsewhere.INTERFACES:
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
