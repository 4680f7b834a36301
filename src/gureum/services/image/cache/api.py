"""Routes of the image cache of the node that is asked. Source: image API reference v2, "Cache Manage"."""

from __future__ import annotations

from sqlalchemy import select, update

from gureum.foundation import clock
from gureum.foundation.errors import BadRequest, NotFound
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Reply, Route
from gureum.foundation.http.views import View
from gureum.foundation.policy import Rule
from gureum.services.image.access import seen
from gureum.services.image.cache.model import CachedImage
from gureum.services.image.cache.node import NodeCache
from gureum.services.image.deps import ImageDeps

RULES = (
    Rule("cache_image", "rule:admin", "Queue an image for the cache"),
    Rule("cache_list", "rule:admin", "See what is cached and queued"),
    Rule("cache_delete", "rule:admin", "Remove images from the cache and its queue"),
)
_TARGETS = {"": None, "cache": True, "queue": False}


def _require_cache(call: Call[ImageDeps]) -> NodeCache:
    if call.deps.cache is None:
        raise NotFound("Caching via API is not supported at this site.")
    return call.deps.cache


class CachedView(View):
    """Times are seconds since 1970."""

    image_id: str
    hits: int
    last_accessed: float
    last_modified: float
    size: int


class CacheView(View):
    cached_images: list[CachedView]
    queued_images: list[str]


def index(call: Call[ImageDeps]) -> CacheView:
    here = select(CachedImage).where(CachedImage.node == _require_cache(call).node, CachedImage.wanted)
    rows = call.tx.scalars(here.order_by(CachedImage.modified_at)).all()
    return CacheView(
        [
            CachedView(row.image_id, row.hits, row.accessed_at, row.modified_at, row.size_bytes)
            for row in rows
            if row.location is not None
        ],
        [row.image_id for row in rows if row.location is None],
    )


def queue(call: Call[ImageDeps], image_id: str) -> Reply[None]:
    cache = _require_cache(call)
    image = seen(call, image_id)
    if image.status != "active":
        raise BadRequest("Only images with status active can be targeted for queueing")
    row = call.tx.get(CachedImage, (image.id, cache.node))
    if row is None:
        call.tx.add(CachedImage(image_id=image.id, node=cache.node, modified_at=clock.now()))
    elif not row.wanted:
        row.wanted, row.hits, row.modified_at = True, 0, clock.now()
    call.tx.on_commit(cache.changed.set)
    return Reply(status=202)


def remove(call: Call[ImageDeps], image_id: str) -> None:
    cache = _require_cache(call)
    row = call.tx.get(CachedImage, (image_id.lower(), cache.node))
    if row is None or not row.wanted:
        raise NotFound(f"Image {image_id[:64]} is neither cached nor queued.")
    row.wanted = False
    call.tx.on_commit(cache.changed.set)


def clear(call: Call[ImageDeps]) -> None:
    cache = _require_cache(call)
    target = call.headers.get("x-image-cache-clear-target", "").lower()
    if target not in _TARGETS:
        raise BadRequest("If provided 'x-image-cache-clear-target' must be 'cache', 'queue' or empty string.")
    statement = update(CachedImage).where(CachedImage.node == cache.node).values(wanted=False)
    if target:
        statement = statement.where(
            CachedImage.location.isnot(None) if _TARGETS[target] else CachedImage.location.is_(None)
        )
    call.tx.execute(statement, execution_options={"synchronize_session": False})
    call.tx.on_commit(cache.changed.set)


ROUTES = (
    Route("GET", "/v2/cache", index, "cache_list"),
    Route("DELETE", "/v2/cache", clear, "cache_delete", 204),
    Route("PUT", "/v2/cache/{image_id}", queue, "cache_image", 202),
    Route("DELETE", "/v2/cache/{image_id}", remove, "cache_delete", 204),
)
