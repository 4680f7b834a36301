"""What roles mount of the image service."""

from __future__ import annotations

from gureum.foundation.http import dialects
from gureum.foundation.http.routes import Api
from gureum.foundation.service import ServiceParts
from gureum.services.image import discovery
from gureum.services.image.deps import ImageDeps
from gureum.services.image.facade import ImageFacade
from gureum.services.image.images import api as images
from gureum.services.image.images import data, lifecycle
from gureum.services.image.members import api as members

NOUNS = (discovery, images, data, members)

__all__ = ["ImageDeps", "parts"]


def parts(deps: ImageDeps) -> tuple[ServiceParts, ImageFacade]:
    routes = tuple(route for noun in NOUNS for route in noun.ROUTES)
    rules = tuple(rule for noun in NOUNS for rule in noun.RULES)
    api = Api("image", "/image", dialects.image, routes, deps)
    found = ServiceParts(
        "image",
        apis=(api,),
        rules=rules,
        lifecycles=(lifecycle.lifecycle(deps),),
        reconcilers=lifecycle.reconcilers(deps),
    )
    return found, ImageFacade(deps)
