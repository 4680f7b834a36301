"""One request as a handler sees it: who, what, in which version, within which transaction.

Not here: the ASGI messages (`app.py`). The invariant: nothing in a Call comes from a client unchecked except
`query`, whose readers validate (`filters.py`, `paging.py`), and `headers`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from gureum.foundation.caller import Caller
from gureum.foundation.db.engine import Database, Tx
from gureum.foundation.http.microversions import Version
from gureum.foundation.http.routes import Route
from gureum.foundation.policy import Policy

Deps = TypeVar("Deps")


class Call(Generic[Deps]):
    """Made anew for each attempt of a request. `tx` is set unless the route runs without a transaction."""

    __slots__ = (
        "base_url",
        "caller",
        "database",
        "deps",
        "enforced",
        "headers",
        "path",
        "policy",
        "project_in_path",
        "query",
        "request_id",
        "route",
        "tx",
        "version",
    )

    def __init__(  # noqa: PLR0917 made in one place, by the edge
        self,
        route: Route,
        deps: Deps,
        caller: Caller,
        request_id: str,
        policy: Policy,
        database: Database,
    ) -> None:
        self.route = route
        self.deps = deps
        self.caller = caller
        self.request_id = request_id
        self.policy = policy
        self.database = database
        self.tx: Tx = None  # type: ignore[assignment]  # the edge sets it before the handler runs
        self.query: list[tuple[str, str]] = []
        self.headers: Mapping[str, str] = {}
        self.version: Version = (0, 0)
        self.path = ""
        self.base_url = ""
        self.project_in_path = ""
        self.enforced = False

    @property
    def token(self) -> str:
        """The token that the request came with."""
        return token_of(self.headers)

    def param(self, name: str) -> str | None:
        """The last value of a query parameter, or None."""
        found = None
        for key, value in self.query:
            if key == name:
                found = value
        return found

    def params(self, name: str) -> list[str]:
        """Every value of a repeated query parameter, in order."""
        return [value for key, value in self.query if key == name]

    def at_least(self, major: int, minor: int) -> bool:
        """Whether the request's microversion is this or newer."""
        return self.version >= (major, minor)

    def enforce(self, rule: str | None = None, **target: Any) -> None:
        """Check a rule (the route's own by default) against a target whose values come from the database.

        Raises Forbidden.
        """
        self.enforced = True
        self.policy.enforce(rule or self.route.policy, self.caller, target)

    def allows(self, rule: str, **target: Any) -> bool:
        """Whether the rule holds, for views and filters that differ by role. Refuses nothing: `enforce` does."""
        return self.policy.allows(rule, self.caller, target)

    def own_target(self) -> dict[str, Any]:
        """The caller's own scope as a policy target: what `target="caller"` routes are checked against."""
        caller = self.caller
        return {
            "project_id": caller.project_id,
            "tenant_id": caller.project_id,
            "user_id": caller.user_id,
            "domain_id": caller.domain_id,
        }


def token_of(headers: Mapping[str, str]) -> str:
    """The token of a request: `X-Auth-Token`, else that of `Authorization: Bearer` (RFC 6750), else nothing."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return headers.get("x-auth-token") or (token.strip() if scheme.lower() == "bearer" else "")
