"""What other services may ask of boards."""

from __future__ import annotations

from dataclasses import dataclass, field

from gureum.foundation import ids
from gureum.foundation.db.engine import Tx
from gureum.foundation.tasks.store import Tasks
from tests.sixth_service.boards.lifecycle import KIND, TextLifecycle


@dataclass(frozen=True)
class BoardsFacade:
    tasks: Tasks
    texts: TextLifecycle
    free: dict[str, int] = field(default_factory=dict)
    """Host -> free boards, as its last heartbeat said."""

    def show(self, tx: Tx, host: str, text: str) -> str:
        """Begin to show a text; returns its id."""
        text_id = ids.new_uuid()
        self.tasks.create(tx, KIND, text_id, self.texts.show, {"host": host, "text": text})
        return text_id

    def take_down(self, tx: Tx, text_id: str) -> None:
        self.tasks.signal(tx, KIND, [text_id], divert=self.texts.take_down)
