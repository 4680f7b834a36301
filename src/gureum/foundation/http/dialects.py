"""How each API words an error: one status table in `errors.py`, one body shape per API here.

Sources: the error sections of the compute, network, image and identity API references and the API-SIG errors
guideline that placement follows.
"""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

from gureum.foundation.errors import ApiError, OverQuota
from gureum.foundation.http.microversions import Version

Dialect = Callable[[ApiError, str], dict[str, Any]]
"""(error, request id) -> JSON body."""
ErrorPage = Callable[[ApiError], str]
"""error -> an HTML page."""

_LONGEST_ACCEPT = 1024
_COMPUTE_NAMES = {
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


def identity(error: ApiError, _request_id: str) -> dict[str, Any]:
    body: dict[str, Any] = {"code": error.status, "message": error.public, "title": error.title}
    return {"error": body, **error.extra}


def compute(error: ApiError, _request_id: str) -> dict[str, Any]:
    name = _COMPUTE_NAMES.get(error.status, "computeFault")
    return {name: {"code": error.status, "message": error.public}}


def network(error: ApiError, _request_id: str) -> dict[str, Any]:
    kind = error.code or ("OverQuota" if isinstance(error, OverQuota) else "HTTP" + error.title.replace(" ", ""))
    return {"NeutronError": {"type": kind, "message": error.public, "detail": ""}}


def image(error: ApiError, _request_id: str) -> dict[str, Any]:
    return {"message": error.public, "code": f"{error.status} {error.title}", "title": error.title}


def image_page(error: ApiError) -> str:
    """The error as a page: glanceclient reads its lines, and cannot read the JSON form (`prefers_html`)."""
    title, said = f"{error.status} {error.title}", html.escape(error.public, quote=False)
    return f"<html>\n<head><title>{title}</title></head>\n<body>\n<h1>{title}</h1>\n{said}\n</body>\n</html>\n"


def prefers_html(accept: str) -> bool:
    """Whether an `Accept` header (RFC 9110, 12.5.1) ranks HTML as high as JSON. Without one, JSON it is.

    Clients that read JSON errors ask for JSON by name; those that take anything expect the page.
    """
    ranges = [_media_range(text) for text in accept[:_LONGEST_ACCEPT].split(",") if text.strip()]
    html_weight = _weight(ranges, ("text/html", "text/*", "*/*"))
    return html_weight > 0 and html_weight >= _weight(ranges, ("application/json", "application/*", "*/*"))


def takes(accept: str, media: str) -> bool:
    """Whether an `Accept` header takes answers of the type `media`; without one, all do. RFC 9110, 12.5.1."""
    ranges = [_media_range(text) for text in accept[:_LONGEST_ACCEPT].split(",") if text.strip()]
    kinds = (media, media.partition("/")[0] + "/*", "*/*")
    return not ranges or _weight(ranges, kinds) > 0


def _media_range(text: str) -> tuple[str, float]:
    name, *parameters = (part.strip().lower() for part in text.split(";"))
    weights = [part.removeprefix("q=") for part in parameters if part.startswith("q=")]
    try:
        return name, min(max(float(weights[0]), 0.0), 1.0) if weights else 1.0
    except ValueError:
        return name, 0.0


def _weight(ranges: list[tuple[str, float]], names: tuple[str, ...]) -> float:
    """The weight that the most specific of `names` in the header gives; 0 when none is there."""
    for name in names:
        weights = [weight for range_name, weight in ranges if range_name == name]
        if weights:
            return max(weights)
    return 0.0


def placement(error: ApiError, request_id: str) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "status": error.status,
        "title": error.title,
        "detail": error.public,
        "request_id": request_id,
        "code": error.code or "placement.undefined_code",
    }
    return {"errors": [{**entry, **error.extra}]}


def placement_before(body: dict[str, Any], version: Version) -> dict[str, Any]:
    """Placement's errors have codes since 1.23."""
    if version < (1, 23):
        for entry in body["errors"]:
            entry.pop("code", None)
    return body


def plain(error: ApiError, request_id: str) -> dict[str, Any]:
    """Outside of any API: an unknown path, a broken request line."""
    return {"error": {"code": error.status, "message": error.public, "request_id": request_id}}
