"""What the answers and the rules of this API have in common: cache headers, generations, closed queries.

Source: placement API reference, "Generations", "Errors"; version history 1.15 and 1.23.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Annotated, TypeVar

from msgspec import Meta
from sqlalchemy import update

from gureum.foundation import clock, ids
from gureum.foundation.db.engine import Tx
from gureum.foundation.errors import BadRequest, Conflict, NotFound
from gureum.foundation.http.call import Call
from gureum.foundation.http.microversions import Version
from gureum.foundation.http.routes import Reply
from gureum.services.placement.model import Provider

Shown = TypeVar("Shown")
PREFIX = "/placement"
"""Links are paths, as the reference shows them."""

ADMIN = "role:admin or role:service"
MOST = 2**31 - 1
FEW = 64
"""Providers of which an embedded database is asked on the event loop: all of them take less than a millisecond."""

CONCURRENT = "placement.concurrent_update"
DUPLICATE_NAME = "placement.duplicate_name"
INVENTORY_IN_USE = "placement.inventory.inuse"
PROVIDER_IN_USE = "placement.resource_provider.inuse"
PROVIDER_HAS_CHILDREN = "placement.resource_provider.cannot_delete_parent"
PROVIDER_NOT_FOUND = "placement.resource_provider.not_found"
BAD_VALUE = "placement.query.bad_value"
DUPLICATE_KEY = "placement.query.duplicate_key"
MISSING_VALUE = "placement.query.missing_value"

Uuid = Annotated[str, Meta(pattern=r"^[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}\Z")]
ClassName = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[A-Z0-9_]+\Z")]
CustomName = Annotated[str, Meta(min_length=8, max_length=255, pattern=r"^CUSTOM_[A-Z0-9_]+\Z")]
Generation = Annotated[int, Meta(ge=0, le=MOST)]


def dashed(uuid: str) -> str:
    """A UUID in the form that the tables hold. Raises BadRequest for anything else."""
    if not ids.is_uuid(uuid):
        raise BadRequest(f"Invalid uuid: {uuid[:64]!r}", code=BAD_VALUE)
    plain = uuid.replace("-", "").lower()
    return f"{plain[:8]}-{plain[8:12]}-{plain[12:16]}-{plain[16:20]}-{plain[20:]}"


def fresh(
    call: Call[None], body: Shown, moments: Iterable[datetime] = (), *, status: int | None = None, location: str = ""
) -> Reply[Shown]:
    """An answer with the headers that keep it out of caches, since 1.15; `moments` are when its rows changed."""
    headers = {"Location": location} if location else {}
    if call.at_least(1, 15):
        newest = max(moments, default=clock.utcnow())
        headers["Last-Modified"] = format_datetime(newest.replace(microsecond=0, tzinfo=UTC), usegmt=True)
        headers["Cache-Control"] = "no-cache"
    return Reply(body, status, headers)


def check_query(call: Call[None], since: dict[str, Version]) -> None:
    """Refuse parameters that are not known at this version; of one given twice the last counts. Raises BadRequest."""
    for name, _ in call.query:
        if name not in since or call.version < since[name]:
            raise BadRequest(
                f"Invalid query string parameters: Additional properties are not allowed ({name[:64]!r} was unexpected)"
            )


def find_provider(tx: Tx, uuid: str) -> Provider:
    """Raises NotFound."""
    row = tx.get(Provider, dashed(uuid)) if ids.is_uuid(uuid) else None
    if row is None:
        raise NotFound(f"No resource provider with uuid {uuid[:64]} found", code=PROVIDER_NOT_FOUND)
    return row


def grow(tx: Tx, provider: Provider, expected: int | None = None) -> None:
    """The provider changed: its generation rises by one. Raises Conflict when it is not the expected one."""
    if expected is not None and expected != provider.generation:
        raise Conflict("resource provider generation conflict", code=CONCURRENT)
    before = provider.generation
    tx.execute(
        update(Provider)
        .where(Provider.id == provider.id)
        .values(generation=Provider.generation + 1, updated_at=clock.utcnow()),
        execution_options={"synchronize_session": False},
    )
    tx.refresh(provider)
    if provider.generation != before + 1:
        raise Conflict("resource provider generation conflict", code=CONCURRENT)
