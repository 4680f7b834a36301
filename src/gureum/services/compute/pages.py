"""Pages of compute's smaller lists: a limit of 0 means the most that is allowed, as everywhere in this API.

Source: compute API guide, "Pagination".
"""

from __future__ import annotations

import re

from gureum.foundation.errors import BadRequest
from gureum.foundation.http.call import Call
from gureum.foundation.http.collections import Pages
from gureum.foundation.http.microversions import Version
from gureum.services.compute.deps import ComputeDeps

MAX_PAGE = 1000
PAGES = Pages(most=MAX_PAGE, zero="most")
MOST = 2**31 - 1
_DIGITS = re.compile(r"[0-9]+")
CLOSED: Version = (2, 75)
"""Since then, most lists refuse query parameters that they do not know."""


def check_paging(call: Call[ComputeDeps], sort_key: str = "") -> None:
    """Check and settle what a request says of its page, before anything reads it. Raises BadRequest.

    `limit` and `offset` are digits; a limit beyond the most that is allowed means the most, however long it is. A
    direction without a key is that of `sort_key`, the list's own order.
    """
    for name, value in call.query:
        if name in ("limit", "offset") and not _DIGITS.fullmatch(value):
            raise BadRequest(f"Invalid input for query parameter {name}: {value[:64]!r} is not a whole number.")
        if name == "sort_dir" and value not in ("asc", "desc"):
            raise BadRequest(f"Invalid sort direction: {value[:16]!r}; must be asc or desc.")
    call.query = [(name, _cut(value) if name in ("limit", "offset") else value) for name, value in call.query]
    if sort_key and call.params("sort_dir") and not call.params("sort_key"):
        call.query.append(("sort_key", sort_key))


def _cut(digits: str) -> str:
    number = digits.lstrip("0") or "0"
    return number if len(number) < len(str(MOST)) else str(min(int(number[:20]), MOST))


def only_parameters(call: Call[ComputeDeps], allowed: frozenset[str]) -> None:
    """Refuse query parameters that a closed microversion does not know, or that come twice. Raises BadRequest."""
    for name, _ in call.query:
        if name not in allowed:
            raise BadRequest(f"Additional properties are not allowed ({name[:64]!r} was unexpected).")
        if len(call.params(name)) > 1:
            raise BadRequest(f"Invalid input for query parameter {name}: it may be given once.")
