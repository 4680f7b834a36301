"""The manifest of boards."""

from __future__ import annotations

from gureum.foundation.fleet.agents import Heartbeat
from gureum.foundation.fleet.fleet import Reports
from gureum.foundation.service import Mounted, Room, Service
from tests.sixth_service.boards.facade import BoardsFacade
from tests.sixth_service.boards.lifecycle import TextLifecycle
from tests.sixth_service.boards.protocol import BOARD, BoardReport


def build(room: Room) -> Mounted:
    texts = TextLifecycle(room.fleet.agents(BOARD))
    facade = BoardsFacade(room.tasks, texts)

    def arrived(beat: Heartbeat[BoardReport]) -> None:
        facade.free[beat.host] = beat.report.free

    return Mounted(facade, lifecycles=(texts.lifecycle(),), reports=(Reports(BOARD, arrived=arrived),))


SERVICE = Service("boards", build, offers=BoardsFacade)
