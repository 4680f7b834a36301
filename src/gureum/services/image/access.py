"""Finding an image for a caller, and the policy defaults that the nouns share.

Invariant: an image that the caller may not see, by its visibility or by the rule `get_image`, does not exist for it
(404), whatever it asks; one that it sees but may not change is refused (403).
"""

from __future__ import annotations

from gureum.foundation import ids
from gureum.foundation.errors import NotFound
from gureum.foundation.http.call import Call
from gureum.services.image.deps import ImageDeps
from gureum.services.image.images.model import Image, visible

READER = "rule:project_reader_or_admin"
MEMBER = "rule:project_member_or_admin"
_SEEN = (
    "project_id:%(project_id)s or project_id:%(member_id)s "
    "or 'community':%(visibility)s or 'public':%(visibility)s or 'shared':%(visibility)s"
)
READER_WHO_SEES = f"rule:admin or (role:reader and ({_SEEN}))"
MEMBER_WHO_SEES = f"rule:admin or (role:member and ({_SEEN}))"


def target_of(image: Image, **more: str | None) -> dict[str, str | None]:
    """The image as a policy target, in upstream's keys."""
    owner = {"project_id": image.owner, "tenant_id": image.owner, "owner": image.owner}
    return {**owner, "visibility": image.visibility, **more}


def find(call: Call[ImageDeps], image_id: str, rule: str | None = None) -> Image:
    """The image, if the caller sees it and `rule` (by default the route's own) allows.

    Raises NotFound or Forbidden.
    """
    image = seen(call, image_id)
    call.enforce(rule, **target_of(image))
    return image


def seen(call: Call[ImageDeps], image_id: str) -> Image:
    """The image, if the caller sees it; the handler enforces. Raises NotFound."""
    image = call.tx.scalar(visible(call.caller).where(Image.id == image_id.lower())) if ids.is_uuid(image_id) else None
    if image is None or not call.allows("get_image", **target_of(image)):
        raise NotFound(f"No image found with ID {image_id[:64]}")
    return image
