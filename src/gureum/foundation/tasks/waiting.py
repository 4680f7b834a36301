"""Tasks that wait for a thread: oldest first, or projects in turn with a bound on what runs for each.

Not here: what a task does (`engine.py`). Invariant: a task is in at most one place, waiting or running, and the place
that it takes of its project's is free again after `done`.
"""

from __future__ import annotations

import threading
from collections import Counter

from gureum.foundation import log
from gureum.foundation.tasks.model import Claimed

_EVERYBODY = ""


class WaitingTasks:
    """Threads `get` what others `put`. With `most_of_project`, so many tasks of a project run at the same time."""

    def __init__(self, most_of_project: int | None = None) -> None:
        self._most_of_project = most_of_project
        self._condition = threading.Condition()
        self._waiting: dict[str, dict[str, Claimed]] = {}
        self._running: dict[str, str] = {}
        self._of_project: Counter[str] = Counter()
        self._closed = False

    def put(self, task: Claimed) -> None:
        with self._condition:
            self._waiting.setdefault(self._project_of(task), {})[task.id] = task
            self._condition.notify()

    def get(self) -> Claimed | None:
        """The next task that may run, waited for; None once it is closed. End it with `done`."""
        with self._condition:
            while not self._closed:
                for project in self._waiting:
                    if self._most_of_project is None or self._of_project[project] < self._most_of_project:
                        return self._take(project)
                self._condition.wait()
        return None

    def _take(self, project: str) -> Claimed:
        tasks = self._waiting.pop(project)
        task = tasks.pop(next(iter(tasks)))
        if tasks:
            self._waiting[project] = tasks  # behind the other projects
        self._running[task.id] = project
        self._of_project[project] += 1
        return task

    def done(self, task: Claimed) -> None:
        """The thread that got the task is free again."""
        with self._condition:
            project = self._running.pop(task.id)
            self._of_project[project] -= 1
            if not self._of_project[project]:
                del self._of_project[project]
            self._condition.notify()

    def take_all(self) -> list[Claimed]:
        """All that wait, whatever the bounds, for a caller that runs one after the other."""
        with self._condition:
            tasks = [task for of_project in self._waiting.values() for task in of_project.values()]
            self._waiting.clear()
            return tasks

    def withdraw(self, task: Claimed) -> bool:
        """Drop an older copy of this task that still waits. False when none does."""
        with self._condition:
            for project, tasks in self._waiting.items():
                if task.id in tasks and tasks[task.id].signals <= task.signals:
                    del tasks[task.id]
                    if not tasks:
                        del self._waiting[project]
                    return True
        return False

    def holds(self, task_id: str) -> bool:
        """Whether the task waits here."""
        with self._condition:
            return any(task_id in tasks for tasks in self._waiting.values())

    def empty(self) -> bool:
        with self._condition:
            return not self._waiting

    def close(self) -> None:
        """No task is given out any more."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    def _project_of(self, task: Claimed) -> str:
        return _EVERYBODY if self._most_of_project is None else log.Origin.of(task.origin).project_id
