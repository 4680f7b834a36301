"""404 before 403: a caller whom a rule refuses gets 404 when the server is out of its reach.

The reference looks a server up before it asks whether the caller may act on it. Only a refused request pays for the
look-up here; one that is allowed finds the server in its handler.
"""

from __future__ import annotations

from dataclasses import replace
from functools import wraps

from gureum.foundation.errors import Forbidden
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route
from gureum.services.compute.deps import ComputeDeps
from gureum.services.compute.servers.operations import find_server

SERVER = "/v2.1/servers/{server_id}"


def enforce(call: Call[ComputeDeps], rule: str, server_id: str) -> None:
    """Raises NotFound for a server out of the caller's reach, else Forbidden when the rule says so."""
    try:
        call.enforce(rule, **call.own_target())
    except Forbidden:
        with call.database.read() as tx:
            find_server(tx, call.caller, server_id)
        raise


def looked_up_first(route: Route) -> Route:
    """The route itself, or with its rule enforced like this when it is one of a server's."""
    if not route.path.startswith(SERVER) or route.target != "caller":
        return route

    @wraps(route.handler)
    def handle(call: Call[ComputeDeps], *body: object, server_id: str, **names: str) -> object:
        enforce(call, route.policy, server_id)
        return route.handler(call, *body, server_id=server_id, **names)

    return replace(route, handler=handle, target="handler")
