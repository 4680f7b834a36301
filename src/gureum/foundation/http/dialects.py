"""How an API words its errors: one status table in `errors.py`, one body shape for each API, in the service's folder.

Here are the types, and the one dialect that belongs to no API.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gureum.foundation.errors import ApiError

Dialect = Callable[[ApiError, str], dict[str, Any]]
"""(error, request id) -> JSON body."""
ErrorPage = Callable[[ApiError], str]
"""error -> an HTML page."""


def plain(error: ApiError, request_id: str) -> dict[str, Any]:
    """Outside of any API: an unknown path, a broken request line."""
    return {"error": {"code": error.status, "message": error.public, "request_id": request_id}}
