"""Deleted projects whose resources are still there: which, how many of what, and the task that deletes them.

Deleting a project deletes no resource: its servers run on. The operator sees what is left (`./gureum project
leftovers`) and has it deleted (`./gureum project clean`). A service takes part by `Mounted.resources`. Resources may
appear after the deletion: of a request under way, of a token that another process takes for valid a moment longer. So
a deleted project is remembered for a day at least, and until every service that is enabled counts nothing.

Cleaning is one durable task for each project. It goes from the service that others do not need to those that they need
(compute before network before identity) and comes back to each until it counts nothing, so that dying at any point
loses nothing.
Decision: docs/decisions/0027-events-and-what-a-deleted-project-leaves.md.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from gureum.foundation import clock
from gureum.foundation.db.engine import Database, Tx
from gureum.foundation.db.failures import DatabaseFailure, failure_of, is_busy
from gureum.foundation.leftovers.model import DeletedProject
from gureum.foundation.tasks.lifecycle import Done, Lifecycle, Outcome, Reconciler, Run, Sleep
from gureum.foundation.tasks.steps import steps_of, transactional
from gureum.foundation.tasks.store import Tasks

log = logging.getLogger("gureum.leftovers")

KIND = "project-cleaning"
FORGET_AFTER = timedelta(days=1)
FORGET_EVERY_S = 3600.0
LOOK_AGAIN_S = 1.0
GIVE_UP_AFTER = 600
"""So often a round may find as much as the round before; then somebody else uses what is left, and it stays listed."""


@dataclass(frozen=True, slots=True)
class ProjectResources:
    """What a service holds of a project.

    `count` says how many of each kind there are; kinds without any are left out. `clean` deletes what can be deleted
    now, a bounded number, or begins to; it is called until `count` finds nothing. It never raises because something is
    in use. When it raises, what it wrote in that call is undone, and the services after it go on.
    """

    count: Callable[[Tx, str], Mapping[str, int]]
    clean: Callable[[Tx, str], None]


class Leftover(msgspec.Struct, frozen=True):
    """A deleted project and what is left of it: service -> kind -> number."""

    id: str
    name: str
    domain_id: str
    deleted_at: datetime
    left: dict[str, dict[str, int]]
    cleaning: bool


class DeletedProjects:
    """One per process. Services are added in the order in which they are built: each after those that it needs."""

    def __init__(self, tasks: Tasks | None = None) -> None:
        self._tasks = tasks or Tasks()
        self._services: dict[str, ProjectResources] = {}

    def add(self, service: str, resources: ProjectResources) -> None:
        """This service holds resources of projects."""
        self._services[service] = resources

    def remember(self, tx: Tx, project_id: str, name: str, domain_id: str) -> None:
        """The project is deleted in this transaction."""
        tx.add(DeletedProject(id=project_id, name=name, domain_id=domain_id, deleted_at=clock.utcnow()))

    def review(self, tx: Tx, project_id: str) -> None:
        """Tell the operator in the log what a deleted project left."""
        if left := self.left(tx, project_id):
            log.warning("the deleted project %s left %s; see ./gureum project leftovers", project_id, in_words(left))

    def reconciler(self, database: Database) -> Reconciler:
        """Forgets deleted projects of which nothing is left."""
        return Reconciler("forget-deleted-projects", FORGET_EVERY_S, lambda: self.forget(database))

    def forget(self, database: Database) -> None:
        """Drop the rows older than `FORGET_AFTER` of which nothing is left, each in a transaction of its own."""
        old = select(DeletedProject.id).where(DeletedProject.deleted_at < clock.utcnow() - FORGET_AFTER)
        with database.read() as tx:
            empty = [project_id for project_id in tx.scalars(old).all() if not self.left(tx, project_id)]
        for project_id in empty:
            database.write(partial(self._forget, project_id))

    def _forget(self, project_id: str, tx: Tx) -> None:
        if not self.left(tx, project_id):
            tx.execute(delete(DeletedProject).where(DeletedProject.id == project_id))

    def left(self, tx: Tx, project_id: str) -> dict[str, dict[str, int]]:
        """Service -> kind -> number, those without any left out."""
        counts = {name: _counted(tx, name, service, project_id) for name, service in self._services.items()}
        return {name: kinds for name, kinds in counts.items() if kinds}

    def all(self, tx: Tx) -> list[Leftover]:
        """Every deleted project of which something is left, the oldest deletion first."""
        rows = tx.scalars(select(DeletedProject).order_by(DeletedProject.deleted_at, DeletedProject.id)).all()
        return [
            Leftover(row.id, row.name, row.domain_id, row.deleted_at, left, self._tasks.exists(tx, KIND, row.id))
            for row in rows
            if (left := self.left(tx, row.id))
        ]

    def begin_cleaning(self, tx: Tx, project_id: str) -> bool:
        """Have everything of a deleted project deleted. False for a project that is not, or that left nothing."""
        if tx.get(DeletedProject, project_id) is None or not self.left(tx, project_id):
            return False
        if not self._tasks.exists(tx, KIND, project_id):
            self._tasks.create(tx, KIND, project_id, self.clean, project_id=project_id)
        return True

    # -- the task ----------------------------------------------------------------------------------------

    def lifecycle(self) -> Lifecycle:
        return Lifecycle(KIND, steps_of(self), failed=self.clean)

    @transactional(ending=True)
    def clean(self, run: Run, tx: Tx) -> Outcome:
        """One round: the outermost service that still holds something, and is able to, deletes some of it."""
        project_id, stuck = run.resource_id, run.data.setdefault("stuck", [])
        failing = {}
        for name, service in reversed(self._services.items()):
            before = _counted(tx, name, service, project_id) if name not in stuck else {}
            if before and self._stands_still(run, name, before):
                log.error("%s of the deleted project %s cannot be deleted", in_words({name: before}), project_id)
                stuck.append(name)
            elif before and before != UNCOUNTED and _cleaned(tx, name, service, project_id):
                return Sleep(LOOK_AGAIN_S, f"{in_words({name: before})} to be deleted")
            elif before:
                failing[name] = before
        return Sleep(LOOK_AGAIN_S, f"{in_words(failing)} to be deleted, which failed") if failing else Done()

    def _stands_still(self, run: Run, name: str, counts: Mapping[str, int]) -> bool:
        still = run.data.setdefault("still", {}).setdefault(name, {})
        still["rounds"] = still["rounds"] + 1 if still.get("counts") == counts else 0
        still["counts"] = dict(counts)
        return bool(still["rounds"] >= GIVE_UP_AFTER)


UNCOUNTED = {"resources, which could not be counted": 1}


def _counted(tx: Tx, name: str, service: ProjectResources, project_id: str) -> dict[str, int]:
    """What the service holds. `UNCOUNTED` when it raises: then the project stays listed, and others are still asked.

    Raises what says that the database failed, or wants the transaction to be repeated.
    """
    try:
        with tx.begin_nested():
            return dict(service.count(tx, project_id))
    except Exception as error:
        if _is_of_the_database(error):
            raise
        log.exception("counting what the deleted project %s left in %s failed", project_id, name)
        return UNCOUNTED


def _cleaned(tx: Tx, name: str, service: ProjectResources, project_id: str) -> bool:
    """Have the service delete some. False, with nothing of that written, when it raises: others go on in this round.

    Raises what says that the database failed, or wants the transaction to be repeated.
    """
    try:
        with tx.begin_nested():
            service.clean(tx, project_id)
    except Exception as error:
        if _is_of_the_database(error):
            raise
        log.exception("cleaning what the deleted project %s left in %s failed; it is tried again", project_id, name)
        return False
    return True


def _is_of_the_database(error: Exception) -> bool:
    """Whether the database failed, or wants the transaction to be repeated: no fault of the service."""
    if isinstance(error, SQLAlchemyError):
        return bool(failure_of(error)) or (isinstance(error, DBAPIError) and is_busy(error))
    return isinstance(error, DatabaseFailure)


def in_words(left: Mapping[str, Mapping[str, int]]) -> str:
    """`compute: servers 3; network: ports 4, networks 1`."""
    services = [(name, [f"{kind} {number}" for kind, number in kinds.items()]) for name, kinds in left.items()]
    return "; ".join(f"{name}: {', '.join(kinds)}" for name, kinds in services)
