"""The one error of the lab and the CLI that people see: a sentence that says what is wrong, and one that mends it."""

from __future__ import annotations


class Refusal(Exception):
    """Something on this machine is in the way. `remedy` is what the reader does about it."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem} {self.remedy}".strip()
