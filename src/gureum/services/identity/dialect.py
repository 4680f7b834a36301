"""How the identity API words its errors. Source: identity API reference, "Error responses".

Every API answers 401 in this form: clients look for it wherever a token is refused.
"""

from __future__ import annotations

from typing import Any

from gureum.foundation.errors import ApiError


def error_body(error: ApiError, _request_id: str) -> dict[str, Any]:
    body: dict[str, Any] = {"code": error.status, "message": error.public, "title": error.title}
    return {"error": body, **error.extra}
