"""The ASGI application: finds the API, the route, the caller and the version, and turns outcomes into answers.

A route says where its handler runs (`routes.Runs`); `executor.py` runs it. The invariant: every answer, errors
included, carries the request id, the version headers of its API and a JSON content type; nothing a client sends names
its own user, project or roles.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from gureum.foundation import ids, log
from gureum.foundation.caller import AccessRule, Caller
from gureum.foundation.db.engine import Database
from gureum.foundation.errors import (
    ApiError,
    BadRequest,
    Forbidden,
    Internal,
    MethodNotAllowed,
    NotAcceptable,
    NotFound,
    Unauthorized,
    UnsupportedMediaType,
)
from gureum.foundation.http import dialects
from gureum.foundation.http.accept import prefers_html, takes
from gureum.foundation.http.access import is_quick, permits
from gureum.foundation.http.answer import Answer, send_answer
from gureum.foundation.http.authentication import Authentication
from gureum.foundation.http.call import Call, token_of
from gureum.foundation.http.executor import answer_from_memory, run_handler, run_stream
from gureum.foundation.http.incoming import PUBLIC_BODY_BYTES, Bodies, Receive, stream
from gureum.foundation.http.microversions import Version
from gureum.foundation.http.routes import PUBLIC, Api, Route, Router, Runs, parameter_names
from gureum.foundation.metrics import Metrics
from gureum.foundation.policy import Policy
from gureum.foundation.redact import redact_unknown_path

logger = logging.getLogger("gureum.http")

Scope = dict[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]

FAST_BODY_BYTES = 8 << 10
"""What is larger is decoded on a thread, also where the route has a `fast` half."""
LOGGED_TARGET = 2048
"""So much of a path and its query is logged."""
WAITING_THREADS = 16
"""Threads for routes without a transaction of their own: they ask hosts, and may take long."""
LOGIN_THREADS = max(4, 2 * (os.cpu_count() or 1))
"""Threads that hash passwords, 19 MiB each. Whoever has no token waits here, and holds up nobody else."""
PATIENCE_S = 0.025
"""Two concurrent SQLite readers contend for the GIL (1.5 times slower): hold a read lock for at most this long, in
seconds, then go ahead.
"""


class App:
    """One per process."""

    def __init__(
        self,
        apis: Iterable[Api],
        database: Database,
        policy: Policy,
        authentication: Authentication,
        *,
        public_url: str,
        threads: int = 8,
        max_body_bytes: int = 1 << 20,
        metrics: Metrics | None = None,
    ) -> None:
        self.database = database
        self.policy = policy
        self.metrics = metrics or Metrics()
        self.public_url = public_url.rstrip("/")
        self.pool = ThreadPoolExecutor(threads, thread_name_prefix="http")
        self.waiting_pool = ThreadPoolExecutor(WAITING_THREADS, thread_name_prefix="http-waiting")
        self.login_pool = ThreadPoolExecutor(LOGIN_THREADS, thread_name_prefix="http-login")
        self._turn = partial(_in_turn, threading.Lock()) if database.is_sqlite else _NO_TURN
        self.authentication = authentication
        self._max_body_bytes = max_body_bytes
        self.bodies = Bodies()
        self._apis: dict[str, tuple[Api, Router]] = {}
        self.apis: list[Api] = []
        for api in apis:
            self.mount(api)

    def mount(self, api: Api) -> None:
        """Add an API. Raises ValueError for a route without a registered rule, or whose rule bounds nobody."""
        for route in api.routes:
            if route.policy != PUBLIC and route.policy not in self.policy.names:
                raise ValueError(f"{api.name}: {route.method} {route.path} names the unknown rule {route.policy!r}")
            if route.policy != PUBLIC and not self.policy.is_bounded(route.policy):
                raise ValueError(
                    f"{api.name}: {route.method} {route.path}: the rule {route.policy!r} names nothing of its target;"
                    " give it a project predicate, or say in the rule's `unbounded` why it needs none"
                )
        entry = (api, Router(api.routes))
        self.apis.append(api)
        for prefix in (api.prefix, *api.aliases):
            self._apis[prefix.strip("/")] = entry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        request_id = ids.new_request_id()
        log.request_id.set(request_id)
        path, method = scope["path"], scope["method"]
        api, router, inner = self._api_of(path)
        inner, project_id = api.without_project(inner) if api else (inner, "")
        headers = _headers(scope)
        call: Call[Any] | None = None
        version: Version | None = api.versions.minimum if api and api.versions else None
        try:
            if api is None or router is None:
                raise NotFound(f"No API answers at {path[:200]}.")  # noqa: TRY301 answered just below
            if headers.get("upgrade", "").lower() == "websocket":
                raise NotFound("No WebSocket is served at this path.")  # noqa: TRY301 RFC 6455, section 4.2.2
            if api.versions and api.versions.knows(inner):
                legacy = headers.get(api.versions.legacy_header.lower(), "") if api.versions.legacy_header else ""
                version = api.versions.requested(headers.get("openstack-api-version", ""), legacy)
            if api.strict_slash and inner.endswith("/") and "/" in inner.strip("/"):
                raise NotFound("The resource could not be found.")  # noqa: TRY301 answered just below
            route, parameters = _route_of(router, method, inner, version)
            caller = await self._caller(route, headers)
            if project_id and project_id != caller.project_id and route.policy != PUBLIC:
                raise BadRequest(  # noqa: TRY301 answered just below
                    f"Malformed request URL: URL's project_id '{project_id}' doesn't match Context's project_id "
                    f"'{caller.project_id}'"
                )
            if caller.access_rules is not None:
                await self._check_access(caller.access_rules, api, route, method, path)
            call = Call(route, api.deps, caller, request_id, self.policy, self.database)
            call.query = _query(scope["query_string"])
            call.headers = headers
            call.version = version or (0, 0)
            call.path = path
            call.base_url = self.public_url + api.prefix
            call.project_in_path = f"/{project_id}" if project_id else ""
            if api.media:
                _check_media(api.media, route, headers)
            answer = await self._run(call, parameters, headers, receive)
        except ApiError as error:
            answer = self._error(error, api, headers, request_id, version)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            logger.exception("%s %s failed", method, path)
            answer = self._error(Internal(internal=str(error)), api, headers, request_id, version)
        answer.head = method == "HEAD"
        status = await send_answer(answer, self._own_headers(api, version, request_id), receive, send)
        elapsed = time.perf_counter() - started
        count, timing = self.metrics.answered(api.name if api else "none", method, status)
        count.inc()
        timing.observe(elapsed)
        _log_request(method, scope, status, elapsed, headers.get("x-openstack-request-id", ""), call)

    def _api_of(self, path: str) -> tuple[Api | None, Router | None, str]:
        first, _, rest = path[1:].partition("/")
        found = self._apis.get(first)
        if found:
            return found[0], found[1], rest
        found = self._apis.get("")
        return (found[0], found[1], path) if found else (None, None, path)

    async def _caller(self, route: Route, headers: dict[str, str]) -> Caller:
        token = token_of(headers)
        if route.policy == PUBLIC:
            return Caller()
        if not token:
            raise self._unauthorized()
        try:
            caller = self.authentication.from_memory(token)
            if caller is None:
                loop = asyncio.get_running_loop()
                caller = await loop.run_in_executor(self.pool, self.authentication.slowly, token)
        except Unauthorized as error:
            raise self._unauthorized() from error
        log.user_id.set(caller.user_id or "-")
        log.project_id.set(caller.project_id or "-")
        return caller

    async def _check_access(
        self, rules: tuple[AccessRule, ...], api: Api, route: Route, method: str, path: str
    ) -> None:
        """A token with access rules opens what they name, and its own validation. Raises Unauthorized."""
        if route.without_access_rules and method == "GET":
            return
        check = partial(permits, rules, api.name, method, path, api.prefix)
        quick = is_quick(rules, path)
        if not (check() if quick else await asyncio.get_running_loop().run_in_executor(self.pool, check)):
            raise self._unauthorized()

    def _unauthorized(self) -> Unauthorized:
        challenge = self.authentication.challenge
        return Unauthorized(headers={"WWW-Authenticate": challenge.format(url=self.public_url)} if challenge else {})

    def _require_scope(self, call: Call[Any]) -> None:
        """Before a handler reads, whose rule says more. Raises Forbidden, for what is hidden NotFound."""
        if call.route.policy == PUBLIC:
            return
        try:
            self.policy.require_scope(call.route.policy, call.caller)
        except Forbidden as error:
            if call.route.hidden:
                raise NotFound("The resource could not be found.", internal=error.public) from error
            raise

    async def _run(self, call: Call[Any], parameters: list[str], headers: dict[str, str], receive: Receive) -> Answer:
        route = call.route
        named = dict(zip(parameter_names(route.path), parameters, strict=True))
        if any("\x00" in value for value in parameters) or any("\x00" in v for pair in call.query for v in pair):
            raise BadRequest("The request URL holds a NUL character.")
        self._require_scope(call)
        place = route.place()
        if place is Runs.STREAM:
            return await run_stream(call, stream(receive), named)
        body = b""
        if route.method not in ("GET", "HEAD"):
            usual = PUBLIC_BODY_BYTES if route.policy == PUBLIC else self._max_body_bytes
            body = await self.bodies.read(receive, headers, route.max_body_bytes or usual)
        if len(body) <= FAST_BODY_BYTES and (answer := answer_from_memory(call, body)) is not None:
            return answer
        if place is Runs.LOOKUP and self.database.is_sqlite:
            return run_handler(call, body, named)
        context = (log.request_id.get(), log.user_id.get(), log.project_id.get())
        loop = asyncio.get_running_loop()
        pool = {Runs.WAITING: self.waiting_pool, Runs.LOGIN: self.login_pool}.get(place, self.pool)
        turn = self._turn if pool is self.pool else _NO_TURN
        return await loop.run_in_executor(pool, _in_context, context, turn, call, body, named)

    def _error(
        self, error: ApiError, api: Api | None, headers: dict[str, str], request_id: str, version: Version | None
    ) -> Answer:
        if error.internal:
            logger.warning("%s %s: %s", error.status, error.public, error.internal)
        own_headers = dict(error.headers)
        if api and api.error_page and error.status != 401:
            own_headers["Vary"] = "Accept"
            if prefers_html(headers.get("accept", "")):
                return Answer(error.status, own_headers, api.error_page(error).encode(), "text/html; charset=UTF-8")
        body = self._dialect_of(api, error.status)(error, request_id)
        if api and api.elder_errors and version is not None and error.status != 401:
            body = api.elder_errors(body, version)
        return Answer(error.status, own_headers, body)

    def _dialect_of(self, api: Api | None, status: int) -> dialects.Dialect:
        if api is None:
            return dialects.plain
        return self.authentication.dialect if status == 401 else api.dialect

    def _own_headers(self, api: Api | None, version: Version | None, request_id: str) -> list[tuple[bytes, bytes]]:
        headers = [(b"x-openstack-request-id", request_id.encode())]
        if api is None:
            return headers
        if api.versions:
            headers += api.versions.headers(version)
        if api.request_id_header:
            headers.append((api.request_id_header.lower().encode(), request_id.encode()))
        if api.vary:
            headers.append((b"vary", api.vary.encode()))
        return headers


Turn = Callable[[], AbstractContextManager[None]]
_NO_TURN: Turn = nullcontext


@contextmanager
def _in_turn(lock: threading.Lock) -> Iterator[None]:
    """One after the other, but for those that take long: these the next one does not wait for."""
    mine = lock.acquire(timeout=PATIENCE_S)
    try:
        yield
    finally:
        if mine:
            lock.release()


def _in_context(
    context: tuple[str, str, str], turn: Turn, call: Call[Any], body: bytes, named: dict[str, str]
) -> Answer:
    log.request_id.set(context[0])
    log.user_id.set(context[1])
    log.project_id.set(context[2])
    try:
        with turn():
            return run_handler(call, body, named)
    except ApiError as error:
        _forget_frames(error)
        raise


def _forget_frames(error: BaseException) -> None:
    """What the handler held ends on its own thread: a decoded body of 1 MiB takes the event loop 10 ms to free."""
    link: BaseException | None = error
    while link is not None:
        link.__traceback__ = None
        link = link.__cause__ or link.__context__


def _route_of(router: Router, method: str, path: str, version: Version | None) -> tuple[Route, list[str]]:
    found = router.find(path)
    if found is None:
        raise NotFound("The resource could not be found.")
    methods, values = found
    candidates = methods.get(method) or (methods.get("GET") if method == "HEAD" else None)
    if not candidates:
        raise MethodNotAllowed(headers={"Allow": ", ".join(sorted(methods))})
    for route in candidates:
        if version is None or (
            (route.since is None or version >= route.since) and (route.until is None or version <= route.until)
        ):
            return route, values
    raise NotFound("The resource could not be found.")


def _check_media(media: str, route: Route, headers: dict[str, str]) -> None:
    """Whether a request sends and takes the one type of its API. Raises 400, 406, 415."""
    if route.body is not None:
        sent = headers.get("content-type", "").partition(";")[0].strip().lower()
        if not sent and headers.get("content-length", "0") != "0":
            raise BadRequest("content-type header required when content-length > 0")
        if sent != media:
            raise UnsupportedMediaType(f"The media type {sent[:64] or None} is not supported, use {media}")
    shows = route.method in ("GET", "HEAD") and route.status == 200 and route.policy != PUBLIC
    if shows and not takes(headers.get("accept", ""), media):
        raise NotAcceptable(f"Only {media} is provided")


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def _query(raw: bytes) -> list[tuple[str, str]]:
    if not raw:
        return []
    try:
        return parse_qsl(raw.decode(), keep_blank_values=True, errors="strict", max_num_fields=200)
    except (ValueError, UnicodeDecodeError) as error:
        raise BadRequest("The query string is not valid UTF-8 or has too many parameters.") from error


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        else:
            await send({"type": "lifespan.shutdown.complete"})
            return


def _log_request(  # noqa: PLR0917
    method: str, scope: Scope, status: int, elapsed: float, global_id: str, call: Call[Any] | None
) -> None:
    if not logger.isEnabledFor(logging.INFO):
        return
    query = scope["query_string"].decode("latin-1")
    target = (scope["path"] + ("?" + query if query else ""))[:LOGGED_TARGET]
    if call is None:
        target = redact_unknown_path(target)
    extra = f" global={global_id}" if ids.is_request_id(global_id) else ""
    version = f" version={call.version[0]}.{call.version[1]}" if call and call.version != (0, 0) else ""
    logger.info("%s %s -> %d%s%s %s", method, target, status, version, extra, log.took(elapsed))
