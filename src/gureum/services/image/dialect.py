"""How the image API words its errors, as JSON or as a page. Source: image API reference."""

from __future__ import annotations

import html

from gureum.foundation.errors import ApiError


def error_body(error: ApiError, _request_id: str) -> dict[str, str]:
    return {"message": error.public, "code": f"{error.status} {error.title}", "title": error.title}


def error_page(error: ApiError) -> str:
    """The error as a page: glanceclient reads its lines, and cannot read the JSON form (`Api.error_page`)."""
    title, message = f"{error.status} {error.title}", html.escape(error.public, quote=False)
    return f"<html>\n<head><title>{title}</title></head>\n<body>\n<h1>{title}</h1>\n{message}\n</body>\n</html>\n"
