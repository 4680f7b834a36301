"""Runs one handler: policy, body, transaction, view. Synchronous; on a pool thread, but for what is in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from sqlalchemy.exc import IntegrityError

from gureum.foundation.db.engine import Tx
from gureum.foundation.errors import BadRequest, Conflict, Internal
from gureum.foundation.http.answer import Answer
from gureum.foundation.http.call import Call
from gureum.foundation.http.received import received
from gureum.foundation.http.routes import PUBLIC, Reply, Route
from gureum.foundation.http.versioned import narrow
from gureum.foundation.http.views import enveloped


def run_handler(call: Call[Any], body: bytes, parameters: dict[str, str]) -> Answer:
    """The answer of one request. Raises ApiError."""
    route = call.route
    if route.target == "caller" and route.policy != PUBLIC:
        call.enforce(**call.own_target())
    if call.query and route.closed is not None and call.version >= route.closed:
        _refuse_unknown(call, route.query)
    answer = answer_of(route, _in_transaction(call, _arguments(call, body), parameters), call)
    answer.render()
    return answer


def answer_from_memory(call: Call[Any], body: bytes) -> Answer | None:
    """What the route's `fast` half says, on the event loop; None when the handler has to. Raises ApiError."""
    route = call.route
    if route.fast is None:
        return None
    reply = route.fast(*_arguments(call, body))
    if reply is None:
        return None
    require_enforced(call)
    return answer_of(route, reply, call)


async def run_stream(call: Call[Any], content: AsyncIterator[bytes], parameters: dict[str, str]) -> Answer:
    """The answer of a route that reads its body itself. Raises ApiError."""
    route = call.route
    if route.target == "caller" and route.policy != PUBLIC:
        call.enforce(**call.own_target())
    result = await route.handler(call, content, **parameters)
    require_enforced(call)
    return answer_of(route, result, call)


def require_enforced(call: Call[Any]) -> None:
    """Raises Internal when a handler ended well without a rule that was enforced. `Call.allows` enforces nothing."""
    route = call.route
    if not call.enforced and route.policy != PUBLIC:
        raise Internal(internal=f"{route.method} {route.path} enforced no policy rule")


def _arguments(call: Call[Any], body: bytes) -> tuple[Any, ...]:
    """The call, and the decoded body where the route has one."""
    version = call.version if call.version != (0, 0) else None
    kind = call.route.body
    if kind is None:
        return (call,)
    if kind is bytes:  # a form, say: the handler reads it
        return call, body
    return call, received(call.route, kind, body, version, call.headers.get("content-type", ""))


def _refuse_unknown(call: Call[Any], known: tuple[str, ...]) -> None:
    for name, _ in call.query:
        if name not in known:
            raise BadRequest(f"Additional properties are not allowed ({name[:64]!r} was unexpected).")


def _in_transaction(call: Call[Any], arguments: tuple[Any, ...], parameters: dict[str, str]) -> Any:
    route = call.route

    def handle(tx: Tx) -> Any:
        call.tx = tx
        result = route.handler(*arguments, **parameters)
        require_enforced(call)
        return result

    mode = route.mode()
    if mode == "none":
        return handle(None)  # type: ignore[arg-type]  # the handler opens its own transactions
    if mode == "read":
        with call.database.read() as tx:
            return handle(tx)
    try:
        return call.database.write(handle, route.policy)
    except IntegrityError as error:
        raise Conflict(
            "The request conflicts with another one that was made at the same time.", internal=str(error.orig)
        ) from error


def answer_of(route: Route, result: Any, call: Call[Any] | None = None) -> Answer:
    """A handler's result as an answer: its view in the request's version, with the route's status."""
    reply = result if isinstance(result, Reply) else Reply(result)
    view = reply.body
    if call is not None and call.version != (0, 0) and view is not None:
        narrow(view, call.version)
    if call is not None and route.downgrade is not None and view is not None:
        view = route.downgrade(view, call.version)
    return Answer(reply.status or route.status, reply.headers, enveloped(view, route.envelope), reply.content_type)
