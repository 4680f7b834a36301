"""Links between the pages of a list, in the forms that the APIs have.

Each form is a function of the call and its page, and returns what it adds to the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlencode

from msgspec import UnsetType

from gureum.foundation.http.call import Call
from gureum.foundation.http.collections.pages import Page
from gureum.foundation.http.views import Link, View

Links = Callable[[Call[Any], Page[Any]], dict[str, Any]]


class PageLinks(View):
    """The links of a list in the form of `links_object`."""

    next: str | None
    self: str
    previous: str | None


NAMED_LINKS = {"{}_links": list[Link] | UnsetType}
OWN_LINKS = {"links": PageLinks}
FIRST_AND_NEXT = {"first": str | UnsetType, "next": str | UnsetType}
"""What stands beside the items of lists in each form, for `Api.beside_lists`."""


def next_in(key: str) -> Links:
    """`{key: [{"rel": "next", "href": ...}]}` when more follows."""

    def links(call: Call[Any], page: Page[Any]) -> dict[str, Any]:
        return next_link(call, key, page.last)

    return links


def next_link(call: Call[Any], key: str, marker: str | None) -> dict[str, list[Link]]:
    """The same for a marker, None for the last page."""
    if marker is None:
        return {}
    return {key: [Link("next", _href(call, _beside(call, "marker"), marker))]}


def neighbours_in(key: str) -> Links:
    """A list with links to the next page and to the previous one, when pages were asked for.

    A full page has both links, for clients walk until a page is short or empty; a short one leads back only. The link
    on an empty page is to the end of the list that the walk came from.
    """

    def links(call: Call[Any], page: Page[Any]) -> dict[str, Any]:
        paging, rows = page.paging, page.rows
        if paging.limit is None:
            return {}
        full = len(rows) >= paging.limit
        first, last = (page.marker_of(rows[0]), page.marker_of(rows[-1])) if rows else (None, None)
        kept = _beside(call, "marker", "page_reverse")
        entries = []
        if full or paging.backwards:
            entries.append({"rel": "next", "href": _href(call, kept, last)})
        if full or not paging.backwards:
            entries.append({"rel": "previous", "href": _href(call, kept, first, ("page_reverse", "True"))})
        return {key: entries}

    return links


def links_object(call: Call[Any], page: Page[Any]) -> dict[str, Any]:
    """`{"links": {"next": ..., "self": ..., "previous": null}}`."""
    return own_links(call, page.last)


def own_links(call: Call[Any], marker: str | None = None) -> dict[str, Any]:
    """The same for a marker, None for a list without a next page."""
    following = None if marker is None else _href(call, _beside(call, "marker"), marker)
    return {"links": {"next": following, "self": _href(call, call.query), "previous": None}}


def first_and_next(call: Call[Any], page: Page[Any]) -> dict[str, Any]:
    """`first` and, when more follows, `next`, both relative to the endpoint."""
    return first_and_next_at(_inner(call))(call, page)


def first_and_next_at(at: str) -> Links:
    """The same for a list whose address is spelled in one way, however the request spells it."""

    def links(call: Call[Any], page: Page[Any]) -> dict[str, Any]:
        kept = _beside(call, "marker")
        addresses = {"first": _with_query(at, kept)}
        if page.last is not None:
            addresses["next"] = _with_query(at, [*kept, ("marker", page.last)])
        return addresses

    return links


def _beside(call: Call[Any], *names: str) -> list[tuple[str, str]]:
    """The query without these parameters."""
    return [(name, value) for name, value in call.query if name not in names]


def _href(call: Call[Any], query: Iterable[tuple[str, str]], marker: str | None = None, *more: tuple[str, str]) -> str:
    marked = [("marker", marker)] if marker is not None else []
    return _with_query(call.base_url + _inner(call), [*query, *marked, *more])


def _with_query(address: str, query: list[tuple[str, str]]) -> str:
    return f"{address}?{urlencode(query)}" if query else address


def _inner(call: Call[Any]) -> str:
    """The path below the API's prefix."""
    prefix = "/" + call.base_url.rstrip("/").rsplit("/", 1)[-1]
    return call.path.removeprefix(prefix)
