"""How the edge learns who calls: given by the service that issues tokens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gureum.foundation.caller import Caller
from gureum.foundation.http import dialects


@dataclass(frozen=True, slots=True)
class Authentication:
    """`from_memory(token)` never blocks and returns None when only `slowly(token)` can tell, which may read the
    database. Both raise Unauthorized.

    `dialect` words the answer 401 of every API; `challenge` is the value of its header WWW-Authenticate (RFC 9110,
    section 11.6.1), where `{url}` is the address that clients are told.
    """

    from_memory: Callable[[str], Caller | None]
    slowly: Callable[[str], Caller]
    dialect: dialects.Dialect = dialects.plain
    challenge: str = ""
