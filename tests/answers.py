"""Whether an answer is of the type that its handler says it returns: every answer that a test's client gets is checked.

What is sent is decoded with the closed type of the route's view at the request's microversion (`http/answers.py`), so a
field that is missing, unknown, of another type, or not of this version fails the test that asked.
"""

from __future__ import annotations

from urllib.parse import parse_qsl

import msgspec

from gureum.foundation import shapes
from gureum.foundation.http.answers import document_type, is_typed, views_of
from gureum.foundation.http.routes import Api, Router


def check_answer(app, method: str, url: str, headers: dict[str, str], answer) -> None:
    """Raises AssertionError for an answer that is of none of the types of its route's handler.

    Answers of handlers that are not typed, and of requests for some `fields` alone, are not looked at.
    """
    path, _, query = url.partition("?")
    if not 200 <= answer.status < 300 or not answer.content or "json" not in answer.headers.get("content-type", ""):
        return
    api, inner = _api(app, path)
    route, version = _route(api, method, inner, headers) if api else (None, None)
    if route is None or not is_typed(route) or any(name == "fields" for name, _ in parse_qsl(query)):
        return
    failures = []
    for view in views_of(route):
        try:
            shapes.json_decoder(document_type(api, route, view, version)).decode(answer.content)
        except msgspec.ValidationError as error:
            failures.append(f"no {view}: {error}")
        else:
            return
    raise AssertionError(f"{method} {url} at {version} answers {answer.content!r}: {failures}")


def _api(app, path: str) -> tuple[Api | None, str]:
    for api in getattr(app, "apis", ()):
        for prefix in (api.prefix, *api.aliases):
            if prefix and path.startswith(prefix + "/"):
                return api, api.without_project(path.removeprefix(prefix + "/"))[0]
    return None, ""


def _route(api: Api, method: str, inner: str, headers: dict[str, str]):
    version = None
    if api.versions:
        lower = {name.lower(): value for name, value in headers.items()}
        legacy = lower.get(api.versions.legacy_header.lower(), "") if api.versions.legacy_header else ""
        version = api.versions.minimum
        if api.versions.knows(inner):
            version = api.versions.requested(lower.get("openstack-api-version", ""), legacy)
    match = _router(api).find(inner)
    for route in match[0].get(method, []) if match else []:
        if version is None or (route.since or version) <= version <= (route.until or version):
            return route, version
    return None, None


_ROUTERS: dict[int, tuple[Api, Router]] = {}
"""By the identity of an API, which lives as long as it stands here."""


def _router(api: Api) -> Router:
    if id(api) not in _ROUTERS:
        _ROUTERS[id(api)] = (api, Router(api.routes))
    return _ROUTERS[id(api)][1]
