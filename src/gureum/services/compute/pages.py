"""Pages of compute's smaller lists: a limit of 0 means the most that is allowed, as everywhere in this API.

Source: compute API guide, "Pagination".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy.orm import InstrumentedAttribute

from gureum.foundation.errors import BadRequest
from gureum.foundation.http.call import Call
from gureum.foundation.http.microversions import Version
from gureum.foundation.http.paging import Paging, next_link, paging_of

MAX_PAGE = 1000
CLOSED: Version = (2, 75)
"""Since then, most lists refuse query parameters that they do not know."""


def page_asked(
    call: Call[Any],
    columns: Mapping[str, InstrumentedAttribute[Any]],
    unique: InstrumentedAttribute[Any],
    default: Sequence[tuple[str, bool]] = (),
) -> Paging:
    """What page a request asks for. Raises BadRequest for sort keys that are not in `columns`."""
    paging = paging_of(call, columns, unique=unique, default=default, maximum=MAX_PAGE)
    return replace(paging, limit=paging.limit or MAX_PAGE)


def with_next(call: Call[Any], view: dict[str, Any], key: str, marker: str | None) -> dict[str, Any]:
    """Add the link to the next page, when there is one, under `key`."""
    if marker is not None:
        view[key] = [{"rel": "next", "href": next_link(call, marker)}]
    return view


def only_parameters(call: Call[Any], allowed: frozenset[str]) -> None:
    """Refuse query parameters that a closed microversion does not know. Raises BadRequest."""
    for name, _ in call.query:
        if name not in allowed:
            raise BadRequest(f"Additional properties are not allowed ({name[:64]!r} was unexpected).")
