"""How the placement API words its errors. Source: API-SIG guideline on errors, which placement follows."""

from __future__ import annotations

from typing import Any

from gureum.foundation.errors import ApiError
from gureum.foundation.http.microversions import Version


def error_body(error: ApiError, request_id: str) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "status": error.status,
        "title": error.title,
        "detail": error.public,
        "request_id": request_id,
        "code": error.code or "placement.undefined_code",
    }
    return {"errors": [{**entry, **error.extra}]}


def error_body_before(body: dict[str, Any], version: Version) -> dict[str, Any]:
    """Errors have codes since 1.23."""
    if version < (1, 23):
        for entry in body["errors"]:
            entry.pop("code", None)
    return body
