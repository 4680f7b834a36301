"""How the network API words its errors. Source: network API reference, "Faults"."""

from __future__ import annotations

from typing import Any

from gureum.foundation.errors import ApiError, OverQuota


def error_body(error: ApiError, _request_id: str) -> dict[str, Any]:
    kind = error.code or ("OverQuota" if isinstance(error, OverQuota) else "HTTP" + error.title.replace(" ", ""))
    return {"NeutronError": {"type": kind, "message": error.public, "detail": ""}}
