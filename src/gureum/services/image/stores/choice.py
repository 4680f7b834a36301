"""Which store a request means."""

from __future__ import annotations

from gureum.drivers.image.stores import NamedStore
from gureum.foundation.errors import BadRequest
from gureum.foundation.http.call import Call
from gureum.services.image.deps import ImageDeps


def wanted_store(call: Call[ImageDeps]) -> NamedStore:
    """That of the header X-Image-Meta-Store, else the default. Raises BadRequest for one that takes no data."""
    name = call.headers.get("x-image-meta-store", "")
    if not name:
        return call.deps.stores.default
    store = call.deps.stores.get(name)
    if store is None or store.read_only:
        known = ", ".join(repr(writable.name) for writable in call.deps.stores.writable)
        raise BadRequest(f"The image store {name[:64]!r} is not known; there is {known}.")
    return store
