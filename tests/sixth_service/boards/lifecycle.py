"""The durable task of a text: shown on a host's board until it is taken down.

show -> rest        anything -> take_down -> (gone)
   \\-> failed
"""

from __future__ import annotations

from dataclasses import dataclass

from gureum.foundation.fleet.agents import Agents
from gureum.foundation.fleet.silence import Cause, Silence
from gureum.foundation.tasks.lifecycle import Done, Goto, Lifecycle, Outcome, Run, Wait
from gureum.foundation.tasks.steps import step, steps_of
from tests.sixth_service.boards.protocol import BoardAgent, BoardReport

KIND = "board-text"
HOST_WITHIN_S = 300.0


@dataclass(frozen=True)
class TextLifecycle:
    """The steps over the agents that they ask."""

    agents: Agents[BoardAgent, BoardReport]

    def lifecycle(self) -> Lifecycle:
        return Lifecycle(KIND, steps_of(self), failed=self.failed)

    @step
    def show(self, run: Run) -> Outcome:
        text = run.data["text"]
        board = self.agents.ask(run.data["host"], lambda agent: agent.show(run.resource_id, text), run)
        if isinstance(board, Silence):
            return board.wait(run, HOST_WITHIN_S, self.failed)
        run.data["board"] = board
        return Goto(self.rest)

    @step
    def rest(self, run: Run) -> Outcome:
        return Wait(f"nothing: board {run.data['board']} shows the text")

    @step
    def failed(self, run: Run) -> Outcome:
        return Wait(f"a person: {run.problem.text}")

    @step(ending=True)
    def take_down(self, run: Run) -> Outcome:
        """A host that is down shows nothing."""
        silence = self.agents.ask(run.data["host"], lambda agent: agent.blank(run.resource_id), run)
        return Done() if silence is None or silence.cause is Cause.DOWN else silence.wait(run)
