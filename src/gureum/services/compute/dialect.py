"""How the compute API words its errors. Source: compute API guide, "Faults"."""

from __future__ import annotations

from typing import Any

from gureum.foundation.errors import ApiError

_NAMES = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    406: "notAcceptable",
    409: "conflictingRequest",
    413: "overLimit",
    415: "badMediaType",
    429: "overLimit",
    501: "notImplemented",
    503: "serviceUnavailable",
}


def error_body(error: ApiError, _request_id: str) -> dict[str, Any]:
    name = _NAMES.get(error.status, "computeFault")
    return {name: {"code": error.status, "message": error.public}}
