"""What roles mount of the image service: the API, its rules, the end of an image's life, and the reconcilers."""

from __future__ import annotations

from gureum.foundation.http import dialects
from gureum.foundation.http.routes import Api
from gureum.foundation.service import ServiceParts
from gureum.services.image.data import api as data
from gureum.services.image.deps import ImageDeps
from gureum.services.image.discovery import api as discovery
from gureum.services.image.facade import ImageFacade
from gureum.services.image.images import api as images
from gureum.services.image.images.lifecycle import lifecycle, reconcilers
from gureum.services.image.members import api as members
from gureum.services.image.tags import api as tags

__all__ = ["ImageDeps", "parts"]

_NOUNS = (discovery, images, data, members, tags)


def parts(deps: ImageDeps) -> tuple[ServiceParts, ImageFacade]:
    """The mountable parts and the facade for siblings."""
    routes = tuple(route for noun in _NOUNS for route in noun.ROUTES)
    rules = tuple(rule for noun in _NOUNS for rule in noun.RULES)
    found = ServiceParts(
        "image",
        apis=(Api("image", "/image", dialects.image, routes, deps),),
        rules=rules,
        lifecycles=(lifecycle(deps.store),),
        reconcilers=reconcilers(deps.database, deps.store),
    )
    return found, ImageFacade(deps)
