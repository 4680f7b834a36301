"""Names in endpoints' URLs, `$(project_id)s` and `%(tenant_id)s`, which a token's catalog replaces. Pure.

Source: identity's guide on the service catalog; what may be named is the token's project and user.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

NAMES = frozenset({"project_id", "tenant_id", "user_id"})
_NAMED = re.compile(r"[$%]\((?P<name>[^()]*)\)s")
_LEFT_OVER = re.compile(r"[$%]\(")


def names_of(url: str) -> frozenset[str]:
    """The names in a URL. Raises ValueError for one that nothing replaces, or that has no end."""
    names = frozenset(match["name"] for match in _NAMED.finditer(url))
    if unknown := names - NAMES:
        raise ValueError(f"unknown name {min(unknown)[:64]!r}")
    if _LEFT_OVER.search(_NAMED.sub("", url)):
        raise ValueError("a name without its end")
    return names


def replaced(url: str, values: Mapping[str, str]) -> str | None:
    """The URL with its names replaced; None when a token has no value for one of them."""
    if not {match["name"] for match in _NAMED.finditer(url)} <= values.keys():
        return None
    return _NAMED.sub(lambda match: values[match["name"]], url)


def values_of(project_id: str | None, user_id: str) -> dict[str, str]:
    """What a token has to put in: tenant is the elder word for project."""
    project = {"project_id": project_id, "tenant_id": project_id} if project_id else {}
    return project | {"user_id": user_id}
