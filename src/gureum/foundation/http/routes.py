"""What a service declares: an `Api` with its `Route`s. Start-up fails on a route without a policy rule.

A path is literal segments and `{names}`. A handler is a plain function `(call, **path_parameters)`, or
`(call, body, **path_parameters)` when the route names a body type; it returns a view (`views.py`), a `Reply`, or None.
Reads get `call.tx` on a snapshot, writes get it in one transaction that commits when the handler returns and rolls back
when it raises; a write handler may run again after a serialization failure, so its only effects are on `call.tx` and in
`call.tx.on_commit`.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from gureum.foundation.http.dialects import Dialect, ErrorPage
from gureum.foundation.http.microversions import Version, Versions

PUBLIC = "public"
"""The rule of the few routes that answer without a token: discovery and authentication."""

Transaction = Literal["read", "write", "none"]
Body_co = TypeVar("Body_co", covariant=True)


class Runs(enum.Enum):
    """Where a handler runs, so that none takes the threads of others."""

    POOL = "threads for requests: the default of a handler with a transaction"
    WAITING = "threads for handlers that ask hosts or read files and open transactions themselves: the default of these"
    LOGIN = "threads for handlers that hash passwords or check signatures for callers without a token"
    LOOKUP = (
        "the event loop with an embedded database, else POOL: a few look-ups by key, cheaper than to change threads"
    )
    STREAM = "the event loop: an async handler that reads the body itself and awaits what blocks"


_PROJECT_ID = re.compile(r"[0-9a-f-]{1,64}")


@dataclass(frozen=True, slots=True)
class Route:
    """One method on one path.

    `policy` is the rule's name; with `target="caller"` the edge enforces it on the caller's own project before the
    handler runs, with `target="handler"` the handler must call `call.enforce` (the edge answers 500 if it did not).
    `body` is the newest type of the body, whose fields say which versions have them (`versioned.py`). Its document
    holds it under the name `envelope`, if there is one, and the answer's document the view.
    `upgrade(body, version)` and `downgrade(view, version)` do what the fields' versions cannot say; they get and return
    the newest type.
    `runs` says where (`Runs`). `fast(call)`, with the body where there is one, is tried on the event loop before: it
    answers from memory, or from a few rows of an embedded database, or returns None; it enforces the rule itself.
    `query` names the query parameters, of which others are refused from microversion `closed` on; `also` the statuses
    besides `status` and the usual refusals; `media` the body's type.
    A `body` of bytes is given to the handler as it came: a form, say.
    `described` shows the body where the handler itself decodes it: a type, or a table of which a body holds one key.
    A route `without_access_rules` answers GET whatever the access rules of the token's application credential name.
    A `hidden` route answers 404 instead of 403 to tokens of a scope that its rule excludes.
    A handler that runs as a `STREAM` is async and gets `(call, request_stream, **parameters)`.
    """

    method: str
    path: str
    handler: Callable[..., Any]
    policy: str
    status: int = 200
    body: Any = None
    target: Literal["caller", "handler"] = "caller"
    transaction: Transaction | None = None
    since: Version | None = None
    until: Version | None = None
    envelope: str = ""
    upgrade: Callable[[Any, Version], Any] | None = None
    downgrade: Callable[[Any, Version], Any] | None = None
    fast: Callable[..., Reply[Any] | None] | None = None
    runs: Runs | None = None
    max_body_bytes: int | None = None
    query: tuple[str, ...] = ()
    closed: Version | None = None
    also: tuple[int, ...] = ()
    media: str = "application/json"
    described: Any = None
    hidden: bool = False
    without_access_rules: bool = False

    def mode(self) -> Transaction:
        if self.transaction is not None:
            return self.transaction
        return "read" if self.method in ("GET", "HEAD") else "write"

    def place(self) -> Runs:
        return self.runs or (Runs.WAITING if self.mode() == "none" else Runs.POOL)


@dataclass(frozen=True)
class Api:
    """One API under one prefix. `deps` is what its handlers find in `call.deps`.

    `strict_slash`: a path below the version's that ends in a slash is answered with 404.
    `elder_errors(body, version)` turns the newest form of an error into that of an older microversion.
    `project_in_path` names the versions below which a path may begin with the caller's project: for "v2.1",
    `/v2.1/{project_id}/servers` is `/v2.1/servers`. No other path of these versions begins with hexadecimal digits.
    `media` is the one type of its bodies: others are refused (415), and clients that take no answer of it too (406).
    `error_page` renders an error for clients whose `Accept` does not prefer JSON.
    `beside_lists` is what stands beside the items of a list, each by its name, in which `{}` is that of the list.
    `request_id_header` is one more header that carries the request id; `vary` the header `Vary` of every answer.
    """

    name: str
    prefix: str
    dialect: Dialect
    routes: tuple[Route, ...]
    deps: Any = None
    versions: Versions | None = None
    elder_errors: Callable[[dict[str, Any], Version], dict[str, Any]] | None = None
    aliases: tuple[str, ...] = ()
    strict_slash: bool = False
    project_in_path: frozenset[str] = frozenset()
    media: str = ""
    error_page: ErrorPage | None = None
    request_id_header: str = ""
    vary: str = ""
    beside_lists: Mapping[str, Any] = field(default_factory=dict)

    def without_project(self, path: str) -> tuple[str, str]:
        """A path below the prefix without the project id that it may hold, and that id or ""."""
        version, _, rest = path.partition("/")
        if version not in self.project_in_path:
            return path, ""
        project_id, _, rest = rest.partition("/")
        if not rest or not _PROJECT_ID.fullmatch(project_id):
            return path, ""
        return f"{version}/{rest}", project_id


@dataclass(slots=True)
class Reply(Generic[Body_co]):
    """An answer with more than a view: another status, headers, or bytes that are not JSON.

    `body` may be a JSON-able view, bytes, an iterator of bytes (read on a thread) or an async iterator of bytes.
    """

    body: Body_co | None = None
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


@dataclass(slots=True)
class _Node:
    literals: dict[str, _Node] = field(default_factory=dict)
    parameter: _Node | None = None
    rest: _Node | None = None
    routes: dict[str, list[Route]] = field(default_factory=dict)


class Router:
    """A tree over path segments: finding a route costs one dictionary look-up a segment."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._root = _Node()
        for route in routes:
            self._add(route)

    def _add(self, route: Route) -> None:
        node = self._root
        for segment in _segments(route.path):
            if segment.startswith("{") and segment.endswith(":path}"):
                node.rest = node.rest or _Node()
                node = node.rest
            elif segment.startswith("{"):
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.literals.setdefault(segment, _Node())
        node.routes.setdefault(route.method, []).append(route)

    def find(self, path: str) -> tuple[dict[str, list[Route]], list[str]] | None:
        """The routes by method at `path` and its parameter values in order; None when the path is unknown."""
        return _descend(self._root, _segments(path), 0, [])


def _segments(path: str) -> list[str]:
    return [segment for segment in path.split("/") if segment]


def _descend(
    node: _Node, segments: list[str], index: int, values: list[str]
) -> tuple[dict[str, list[Route]], list[str]] | None:
    if index == len(segments):
        return (node.routes, values) if node.routes else None
    child = node.literals.get(segments[index])
    if child and (found := _descend(child, segments, index + 1, values)):
        return found
    if node.parameter and (found := _descend(node.parameter, segments, index + 1, [*values, segments[index]])):
        return found
    if node.rest:
        return node.rest.routes, [*values, "/".join(segments[index:])]
    return None


def parameter_names(path: str) -> list[str]:
    """`/servers/{server_id}/tags/{tag}` -> ["server_id", "tag"]."""
    return [segment[1:-1].removesuffix(":path") for segment in _segments(path) if segment.startswith("{")]
