"""The password that a guest posted for its owner, sealed by the guest with the owner's public key.

The server's host keeps it and is asked; no transaction is open meanwhile. Clearing it changes nothing in the guest.
Source: compute API reference, "Servers password (servers, os-server-password)".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from gureum.agents.hypervisor.protocol import HypervisorAgent
from gureum.foundation.errors import Conflict, Unavailable
from gureum.foundation.fleet.failure import AgentFailure
from gureum.foundation.fleet.silence import Cause, Silence
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route
from gureum.foundation.http.views import View
from gureum.foundation.policy import Rule
from gureum.services.compute.deps import ComputeDeps
from gureum.services.compute.servers import seen

Result = TypeVar("Result")

_PREFIX = "os_compute_api:os-server-password:"
RULES = (
    Rule(_PREFIX + "show", "rule:project_reader_or_admin", "Show the password that a guest posted"),
    Rule(_PREFIX + "clear", "rule:project_member_or_admin", "Clear the password that a guest posted"),
)


class GuestPassword(View):
    password: str


def show(call: Call[ComputeDeps], server_id: str) -> GuestPassword:
    return GuestPassword(_ask(call, server_id, lambda agent: agent.guest_password(server_id)) or "")


def clear(call: Call[ComputeDeps], server_id: str) -> None:
    _ask(call, server_id, lambda agent: agent.forget_guest_password(server_id))


def _ask(call: Call[ComputeDeps], server_id: str, question: Callable[[HypervisorAgent], Result]) -> Result | None:
    """None for a server that has no host. Raises Unavailable, Conflict."""
    with call.database.read() as tx:
        server = seen.find(tx, call.caller, server_id)
    if not server.host:
        return None
    try:
        answer = call.deps.hosts.agents.ask(server.host, question)
    except AgentFailure as error:
        raise Conflict("The server's host cannot tell the password now.", internal=str(error)) from error
    if not isinstance(answer, Silence):
        return answer
    if answer.cause is Cause.TOO_OLD:
        raise Conflict("The server's host cannot tell the password now.", internal=answer.detail)
    raise Unavailable("The server's host does not answer.", internal=answer.awaited)


_AT = "/v2.1/servers/{server_id}/os-server-password"
ROUTES = (
    Route("GET", _AT, show, _PREFIX + "show", transaction="none", also=(503,)),
    Route("DELETE", _AT, clear, _PREFIX + "clear", 204, transaction="none", also=(503,)),
)
