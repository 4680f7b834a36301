"""A failure that an agent tells, and how it crosses the bus: with its public text and whether to try again.

Not here: an agent that says nothing (`silence.py`). Read next: `kind.py`.
"""

from __future__ import annotations

import msgspec

from gureum.foundation.bus.interface import Refused
from gureum.foundation.shapes import packed_decoder

_FAILURE = "agent_failure"


class AgentFailure(Exception):
    """The host could not do it. `public` may be shown to the tenant, the exception's text to operators.

    `retry` says whether the same call may succeed later (a full disk, an engine that restarts) or never
    (an image that is not what it says).
    """

    def __init__(self, text: str, *, public: str = "", retry: bool = True) -> None:
        super().__init__(text)
        self.public = public
        self.retry = retry


class _Detail(msgspec.Struct, frozen=True, omit_defaults=True):
    public: str = ""
    retry: bool = True


def refusal_of(error: Exception) -> Refused | None:
    """An agent's failure as it crosses the bus; None for other exceptions."""
    if not isinstance(error, AgentFailure):
        return None
    return Refused(_FAILURE, str(error), msgspec.msgpack.encode(_Detail(error.public, error.retry)))


def failure_of(refused: Refused) -> AgentFailure:
    """What a refusal means to the caller. Arguments that a peer of another version cannot read are not repeated."""
    if refused.code != _FAILURE:
        return AgentFailure(f"{refused.code}: {refused.text}", retry=False)
    try:
        detail = packed_decoder(_Detail).decode(refused.detail)
    except msgspec.MsgspecError:
        detail = _Detail()
    return AgentFailure(refused.text, public=detail.public, retry=detail.retry)
