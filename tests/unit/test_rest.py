"""Memory goes back once work is over, and once only."""

from __future__ import annotations

from gureum.roles.entry import WORK_S, Rest


def test_memory_goes_back_when_work_is_over():
    used, given = [0.0], []
    rest = Rest(lambda: used[0], lambda: given.append(used[0]))

    def second(work_s):
        used[0] += work_s
        rest.look()
        return len(given)

    assert second(WORK_S / 2) == 0, "an idle process has nothing to give"
    assert second(WORK_S * 2) == second(WORK_S * 2) == 0, "it gives nothing while it works"
    assert second(WORK_S / 2) == 1
    assert second(WORK_S / 2) == 1
