"""The directory of hosts: which agents run where, of which version, since when, and when each was heard.

Heartbeats write it, one row for an agent; an agent that is silent for `KEEP` is forgotten. It is for operators: no
decision depends on it. Not here: liveness, which is each process's own (`agents.py`), and what a service notes of its
hosts (whether servers may be placed there, say), which is in its own tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from msgspec import Struct
from sqlalchemy import Float, String, delete, select, update
from sqlalchemy.orm import InstrumentedAttribute, Mapped, mapped_column

from gureum.foundation import clock
from gureum.foundation.db.engine import Database, Tx
from gureum.foundation.db.types import Name, Row
from gureum.foundation.fleet.agents import Heartbeat
from gureum.foundation.tasks.lifecycle import Reconciler

KEEP = timedelta(days=7)
FORGET_EVERY_S = 3600.0
WRITTEN_WITHIN_S = 0.5
AT_ONCE = 500
_SAID_AGAIN_S = 600.0

Beats = Sequence[Heartbeat[Any]]


class AgentRow(Row):
    """An agent of a host. Times are seconds since the epoch; `started_at` is 0.0 for an agent that does not say."""

    __tablename__ = "agents"

    kind: Mapped[str] = mapped_column(String(64), primary_key=True)
    host: Mapped[str] = mapped_column(Name, primary_key=True)
    version: Mapped[int]
    address: Mapped[str] = mapped_column(Name, default="")
    started_at: Mapped[float] = mapped_column(Float(53), default=0.0)
    seen_at: Mapped[float] = mapped_column(Float(53))


class Entry(Struct, frozen=True):
    """An agent as the directory has it."""

    host: str
    kind: str
    version: int
    address: str
    started_at: float
    seen_at: float


def directory(tx: Tx) -> list[Entry]:
    """Every agent that was heard lately, by host and kind."""
    columns = [getattr(AgentRow, name) for name in Entry.__struct_fields__]
    return [Entry(*row) for row in tx.execute(select(*columns).order_by(AgentRow.host, AgentRow.kind))]


class Directory:
    """One per process; `record` is idempotent and runs on one thread."""

    def __init__(self) -> None:
        self._written: dict[tuple[str, str], tuple[tuple[int, str, float], float]] = {}

    def record(self, tx: Tx, kind: str, beats: Beats) -> None:
        """Write what these heartbeats say and the last ones did not, and when each agent was heard."""
        news = [beat for beat in beats if self._is_news(beat)]
        for start in range(0, len(news), AT_ONCE):
            self._write(tx, kind, news[start : start + AT_ONCE])
        tx.on_commit(lambda: self._written.update({_key(beat): (_said(beat), beat.heard_at) for beat in news}))
        note_heard(tx, AgentRow.host, AgentRow.seen_at, beats, AgentRow.kind == kind)

    def _is_news(self, beat: Heartbeat[Any]) -> bool:
        """Whether it says something new, or was last written long ago: another process may have deleted the row."""
        said, at = self._written.get(_key(beat), (None, 0.0))
        return said != _said(beat) or beat.heard_at - at > _SAID_AGAIN_S

    def _write(self, tx: Tx, kind: str, beats: Beats) -> None:
        known = select(AgentRow).where(AgentRow.kind == kind, AgentRow.host.in_([beat.host for beat in beats]))
        rows = {row.host: row for row in tx.scalars(known)}
        for beat in beats:
            if beat.host not in rows:
                rows[beat.host] = AgentRow(kind=kind, host=beat.host, seen_at=0.0)
                tx.add(rows[beat.host])
            row = rows[beat.host]
            row.version, row.address, row.started_at = _said(beat)


def note_heard(
    tx: Tx, host: InstrumentedAttribute[str], seen_at: InstrumentedAttribute[float], beats: Beats, *within: Any
) -> None:
    """Write into rows of any table when their hosts were heard. Those of the same second share the newest moment.

    Every process with workers hears every heartbeat; one of them writes it.
    """
    newest = max(beat.heard_at for beat in beats)
    moments: dict[float, list[str]] = {}
    for beat in beats:
        moments.setdefault(newest if newest - beat.heard_at < 1 else beat.heard_at, []).append(beat.host)
    for moment, hosts in moments.items():
        for start in range(0, len(hosts), AT_ONCE):
            old = (host.in_(hosts[start : start + AT_ONCE]), seen_at < moment - WRITTEN_WITHIN_S)
            tx.execute(update(host.class_).where(*old, *within).values({seen_at: moment}))


def forgetting(database: Database) -> Reconciler:
    """Agents that were not heard for `KEEP` leave the directory."""

    def forget() -> None:
        limit = clock.now() - KEEP.total_seconds()
        database.write(lambda tx: tx.execute(delete(AgentRow).where(AgentRow.seen_at < limit)))

    return Reconciler("forget-silent-agents", FORGET_EVERY_S, forget)


def _key(beat: Heartbeat[Any]) -> tuple[str, str]:
    return beat.kind, beat.host


def _said(beat: Heartbeat[Any]) -> tuple[int, str, float]:
    return beat.version, beat.report.address, beat.started_at
