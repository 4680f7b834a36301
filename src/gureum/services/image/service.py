"""What roles mount of the image service: the API, its rules, the end of an image's life, and the reconcilers."""

from __future__ import annotations

from dataclasses import replace

from gureum.foundation.http.routes import Api
from gureum.foundation.service import ServiceParts
from gureum.foundation.tasks.lifecycle import Reconciler
from gureum.services.image.cache import api as cache
from gureum.services.image.cache.keeper import Keeper
from gureum.services.image.data import api as data
from gureum.services.image.deps import ImageDeps
from gureum.services.image.dialect import error_body, error_page
from gureum.services.image.discovery import api as discovery
from gureum.services.image.facade import ImageFacade
from gureum.services.image.images import api as images
from gureum.services.image.images.lifecycle import lifecycle, reconcilers
from gureum.services.image.imports import api as imports
from gureum.services.image.imports.lifecycle import lifecycle as import_lifecycle
from gureum.services.image.locations import api as locations
from gureum.services.image.members import api as members
from gureum.services.image.metadefs import noun as metadefs
from gureum.services.image.stores import api as stores
from gureum.services.image.tags import api as tags
from gureum.services.image.tasks import api as tasks
from gureum.services.image.tasks.model import forget_old_tasks
from gureum.services.image.usage import api as usage

__all__ = ["ImageDeps", "parts"]

NOUNS = (discovery, images, data, members, tags, stores, locations, imports, tasks, cache, usage, metadefs)
_TASKS_EVERY_S = 600.0
_OF_AN_IMAGE = "/v2/images/{image_id}"


def parts(deps: ImageDeps) -> tuple[ServiceParts, ImageFacade]:
    """The mountable parts and the facade for siblings."""
    routes = tuple(replace(route, hidden=_OF_AN_IMAGE in route.path) for noun in NOUNS for route in noun.ROUTES)
    rules = tuple(rule for noun in NOUNS for rule in noun.RULES)
    keeper = Keeper(deps)
    found = ServiceParts(
        "image",
        apis=(
            Api(
                *("image", "/image", error_body, routes, deps),
                strict_slash=True,
                error_page=error_page,
            ),
        ),
        rules=rules,
        lifecycles=(lifecycle(deps.stores), import_lifecycle(deps)),
        reconcilers=(
            *reconcilers(deps.database, deps.stores),
            Reconciler("image-tasks", _TASKS_EVERY_S, lambda: forget_old_tasks(deps.database)),
        ),
        on_api_start=(keeper.start,),
        on_api_stop=(keeper.stop,),
    )
    return found, ImageFacade(deps)
