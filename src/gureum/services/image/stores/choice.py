"""Which store a request means."""

from __future__ import annotations

from typing import Any

from gureum.drivers.image.stores import NamedStore
from gureum.foundation.errors import BadRequest
from gureum.foundation.http.call import Call


def wanted_store(call: Call[Any]) -> NamedStore:
    """That of the header X-Image-Meta-Store, else the default. Raises BadRequest for one that takes no data."""
    name = call.headers.get("x-image-meta-store", "")
    if not name:
        return call.deps.stores.default  # type: ignore[no-any-return]
    store: NamedStore | None = call.deps.stores.get(name)
    if store is None or store.read_only:
        known = ", ".join(repr(one.name) for one in call.deps.stores.writable)
        raise BadRequest(f"The image store {name[:64]!r} is not known; there is {known}.")
    return store
