"""Actions of the reference that this cloud does not offer: each says so, with a status that the reference has for it.

Without this, an action that is not there looks like a misspelt one. `actions.py` asks here for what it does not know.
Source: compute API reference, "Servers - run an action", "Servers - run an administrative action".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from gureum.foundation.errors import ApiError, BadRequest, Conflict, Gone, NotImplementedHere
from gureum.foundation.http.call import Call
from gureum.foundation.http.microversions import Version
from gureum.foundation.policy import Rule
from gureum.services.compute.deps import ComputeDeps
from gureum.services.compute.servers import operations, reach

_P = "os_compute_api:"
MEMBER = "rule:project_member_or_admin"
MANAGER = "rule:project_manager_or_admin"
ADMIN = "rule:admin"


@dataclass(frozen=True, slots=True)
class Absent:
    """`error` is the kind of refusal, a conflict for an action from a state that no server is in; the action is known
    from `since` to `until`.
    """

    rule: str
    default: str
    error: type[ApiError] = BadRequest
    since: Version | None = None
    until: Version | None = None


_CONSOLE = Absent(_P + "os-remote-consoles", MEMBER, NotImplementedHere, until=(2, 5))
_FLOATING: Version = (2, 43)
NOT_OFFERED = {
    "resize": Absent(_P + "servers:resize", MEMBER),
    "confirmResize": Absent(_P + "servers:confirm_resize", MEMBER, Conflict),
    "revertResize": Absent(_P + "servers:revert_resize", MEMBER, Conflict),
    "suspend": Absent(_P + "os-suspend-server:suspend", MEMBER),
    "resume": Absent(_P + "os-suspend-server:resume", MEMBER, Conflict),
    "shelve": Absent(_P + "os-shelve:shelve", MEMBER),
    "unshelve": Absent(_P + "os-shelve:unshelve", MEMBER, Conflict),
    "shelveOffload": Absent(_P + "os-shelve:shelve_offload", ADMIN),
    "rescue": Absent(_P + "os-rescue", MEMBER, NotImplementedHere),
    "unrescue": Absent(_P + "os-unrescue", MEMBER, Conflict),
    "changePassword": Absent(_P + "os-admin-password", MEMBER, NotImplementedHere),
    "migrate": Absent(_P + "os-migrate-server:migrate", MANAGER),
    "os-migrateLive": Absent(_P + "os-migrate-server:migrate_live", MANAGER),
    "evacuate": Absent(_P + "os-evacuate", ADMIN),
    "restore": Absent(_P + "os-deferred-delete:restore", MEMBER, Conflict),
    "trigger_crash_dump": Absent(_P + "servers:trigger_crash_dump", MEMBER, since=(2, 17)),
    "addFloatingIp": Absent(_P + "os-floating-ips:add", MEMBER, until=_FLOATING),
    "removeFloatingIp": Absent(_P + "os-floating-ips:remove", MEMBER, until=_FLOATING),
    "os-getVNCConsole": _CONSOLE,
    "os-getSPICEConsole": _CONSOLE,
    "os-getSerialConsole": _CONSOLE,
    "os-getRDPConsole": Absent(_P + "os-remote-consoles", MEMBER, Gone, until=(2, 5)),
    "resetNetwork": Absent(_P + "os-admin-actions:reset_network", ADMIN, Gone),
}
"""The action's key in the body -> how it is refused."""

RULES = tuple(
    Rule(rule, default, "Run the action on a server")
    for rule, default in sorted({absent.rule: absent.default for absent in NOT_OFFERED.values()}.items())
    if rule != _CONSOLE.rule
)


def refuse(call: Call[ComputeDeps], server_id: str, name: str, absent: Absent) -> NoReturn:
    """Raises NotFound for a server out of reach, Forbidden when the rule refuses the caller, else the refusal."""
    reach.enforce(call, absent.rule, server_id)
    with call.database.read() as tx:
        operations.find_server(tx, call.caller, server_id)
    if absent.error is Gone:
        raise Gone(f"The action {name} was withdrawn.")
    raise absent.error(f"This cloud does not offer the action {name} yet.")
