"""The manifest of the image service."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from msgspec import UnsetType

from gureum.foundation.http.collections import links
from gureum.foundation.http.routes import Api
from gureum.foundation.service import CatalogEntry, Mounted, Room, Service, Start, Stop, Where
from gureum.foundation.tasks.lifecycle import Reconciler
from gureum.services.identity.facade import IdentityFacade
from gureum.services.image import leftovers
from gureum.services.image.cache import api as cache
from gureum.services.image.cache.keeper import Keeper
from gureum.services.image.config import FirstImageConfig, ImageConfig
from gureum.services.image.data import api as data
from gureum.services.image.deps import ImageDeps
from gureum.services.image.dialect import error_body, error_page
from gureum.services.image.discovery import api as discovery
from gureum.services.image.facade import ImageFacade
from gureum.services.image.images import api as images
from gureum.services.image.images.lifecycle import DataLifecycle, reconcilers
from gureum.services.image.imports import api as imports
from gureum.services.image.imports.lifecycle import ImportLifecycle
from gureum.services.image.locations import api as locations
from gureum.services.image.members import api as members
from gureum.services.image.metadefs import noun as metadefs
from gureum.services.image.metadefs.common.load import load_common
from gureum.services.image.outside import ImageOutside
from gureum.services.image.stores import api as stores
from gureum.services.image.tags import api as tags
from gureum.services.image.tasks import api as tasks
from gureum.services.image.tasks.model import forget_old_tasks
from gureum.services.image.usage import api as usage

NOUNS = (discovery, images, data, members, tags, stores, locations, imports, tasks, cache, usage, metadefs)
_TASKS_EVERY_S = 600.0
_OF_AN_IMAGE = "/v2/images/{image_id}"


def build(room: Room) -> Mounted:
    config, identity, outside = room.config(ImageConfig), room.facade(IdentityFacade), room.driver(ImageOutside)
    deps = ImageDeps(
        room.database,
        room.tasks,
        outside.stores,
        config,
        outside.fetcher,
        room.path(config.scratch),
        outside.cache,
        outside.converter,
        region=room.region,
        identity=identity,
        events=room.events,
    )
    return replace(mounted(deps), after_bootstrap=partial(_ensure_guest_image, deps, room.config(FirstImageConfig)))


def mounted(deps: ImageDeps) -> Mounted:
    """The service with these dependencies."""
    facade, keeper = ImageFacade(deps), Keeper(deps)
    routes = tuple(replace(route, hidden=_OF_AN_IMAGE in route.path) for noun in NOUNS for route in noun.ROUTES)
    api = Api(
        "image",
        "/image",
        error_body,
        routes,
        deps,
        strict_slash=True,
        error_page=error_page,
        beside_lists={**links.FIRST_AND_NEXT, "schema": str | UnsetType},
    )

    def keep_cache() -> Stop:
        keeper.start()
        return keeper.stop

    return Mounted(
        facade,
        apis=(api,),
        lifecycles=(DataLifecycle(deps.stores).lifecycle(), ImportLifecycle(deps).lifecycle()),
        reconcilers=(
            *reconcilers(deps.database, deps.stores),
            Reconciler("image-tasks", _TASKS_EVERY_S, lambda: forget_old_tasks(deps.database)),
        ),
        starts=(Start(Where.API, keep_cache),),
        resources=leftovers.resources(deps),
        bootstrap=load_common,
    )


def _ensure_guest_image(deps: ImageDeps, first: FirstImageConfig) -> None:
    if first.guest_image:
        ImageFacade(deps).ensure_public("mini", Path(first.guest_image), properties={"hw_rng_model": "virtio"})


SERVICE = Service(
    "image",
    build,
    config=(ImageConfig, FirstImageConfig),
    rules=tuple(rule for noun in NOUNS for rule in noun.RULES),
    catalog=CatalogEntry("image", "glance", "/image"),
    offers=ImageFacade,
    needs=(IdentityFacade,),
    drivers=(ImageOutside,),
)
