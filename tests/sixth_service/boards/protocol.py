"""What the control plane and the agent of a host's boards say to each other. Both ends are derived from it."""

from __future__ import annotations

from typing import Protocol

from gureum.foundation.fleet.calls import remote
from gureum.foundation.fleet.kind import AgentKind, Report

PROTOCOL_VERSION = 2


class BoardAgent(Protocol):
    """Idempotent calls, each one message and one answer. What fails raises AgentFailure."""

    def show(self, text_id: str, text: str) -> int:
        """Make it so; answer with the number of the board. Raises AgentFailure, with retry, when no board is free."""
        ...

    @remote(since=2)
    def blank(self, text_id: str) -> None:
        """No board shows the text. Absent is fine."""
        ...


class BoardReport(Report, frozen=True, omit_defaults=True):
    """A heartbeat: how many boards are free."""

    free: int


BOARD = AgentKind("board", BoardAgent, BoardReport)
