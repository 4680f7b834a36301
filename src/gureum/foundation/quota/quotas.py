"""The quotas of one service: what it limits, declared once, and everything that it asks of them.

A service declares its resources, their defaults and what counts against them; `following` binds that to identity, which
keeps the unified limits. `require` is asked in the transaction that adds the rows. The levels of a request are the
limits that hold beside each other: the project's, its tree's, those of one user in the project.
Not here: routes, and what a refusal says, which are each API's own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from gureum.foundation.db.engine import Tx
from gureum.foundation.errors import ApiError, OverQuota
from gureum.foundation.quota.counting import Count, Family, OneResource, Projects, count, limit_and_use
from gureum.foundation.quota.limits import (
    NO_UNIFIED_LIMITS,
    PROJECT_ITSELF,
    UNLIMITED,
    Overrun,
    StoredLimits,
    UnifiedLimits,
    UnifiedSource,
    clear_limits,
    in_force,
    overruns,
    projects_with_limits,
    set_limits,
    stored_limits,
    users_limits_together,
)

Refusal = Callable[[Sequence[Overrun]], ApiError]


@dataclass(frozen=True, slots=True)
class Level:
    """Limits that `projects` have together, or with `of_user` one user in the project, beside what they use."""

    projects: Projects
    limits: Mapping[str, int]
    used: Mapping[str, int]
    of_user: bool = False

    def overruns(self, requested: Mapping[str, int]) -> list[Overrun]:
        projects = self.projects
        of_tree, holder = projects.are_a_tree, projects.id
        return overruns(self.limits, self.used, requested, of_tree=of_tree, of_user=self.of_user, holder=holder)


def _exceeded(over: Sequence[Overrun]) -> ApiError:
    return OverQuota(f"Quota exceeded: {'; '.join(map(str, over))}.")


@dataclass(frozen=True)
class Quotas:
    """`defaults` name every resource; one without a counter limits each request by itself (use is 0).

    A user's own limit holds beside the project's where the counted rows have a user, and in its place where nothing is
    counted for projects; for other resources it means nothing.

    `unified_names` are the names of the unified limits where they differ; what it leaves out has none. `families` are
    quotas that exist as unified limits only. A service without routes to set limits has no rows: `stored` is False.
    `refusal` makes the error of a request that does not fit.
    """

    service: str
    defaults: Mapping[str, int]
    counters: Mapping[str, Count] = field(default_factory=dict)
    unified_names: Mapping[str, str] | None = None
    families: tuple[Family, ...] = ()
    stored: bool = True
    refusal: Refusal = _exceeded
    source: UnifiedSource | None = None

    def following(
        self,
        source: UnifiedSource | None,
        *,
        defaults: Mapping[str, int] | None = None,
        families: tuple[Family, ...] = (),
    ) -> Quotas:
        """These quotas under the unified limits of `source`, None for none, and with what only start-up knows."""
        return replace(self, source=source, defaults=defaults or self.defaults, families=families or self.families)

    # -- limits ------------------------------------------------------------------------------------------

    def limits(self, tx: Tx, project_id: str, user_id: str = PROJECT_ITSELF) -> dict[str, int]:
        """The limit in force of every resource for a project, or for a user in it: the user's own, else the project's.

        For `EVERY_PROJECT` those of a project of which nothing is said.
        """
        rows = self._stored(tx, project_id, user_id)
        return {**self._in_force(self._unified(project_id), rows), **rows.user}

    def users_own_limits(self, tx: Tx, project_id: str, user_id: str) -> dict[str, int]:
        """The limits that are set for one user in a project, without those that are not."""
        return dict(self._stored(tx, project_id, user_id).user)

    def users_limits_together(self, tx: Tx, project_id: str) -> dict[str, int]:
        """For each resource, the sum of the limits of the project's users, without unlimited ones."""
        return users_limits_together(tx, self.service, project_id)

    def projects_with_limits(self, tx: Tx) -> Sequence[str]:
        return projects_with_limits(tx, self.service)

    def set_limits(self, tx: Tx, project_id: str, limits: Mapping[str, int], user_id: str | None = None) -> None:
        """For `EVERY_PROJECT` the operator's defaults. The caller has checked names and bounds."""
        set_limits(tx, self.service, project_id, limits, user_id or PROJECT_ITSELF)

    def clear_limits(self, tx: Tx, project_id: str, user_id: str | None = None) -> None:
        """Back to the defaults, for one user or for the project and all of its users."""
        clear_limits(tx, self.service, project_id, user_id)

    # -- use ---------------------------------------------------------------------------------------------

    def usage(self, tx: Tx, project_id: str, user_id: str = PROJECT_ITSELF) -> dict[str, int]:
        """What a project uses of each counted resource, or one user in it. One statement.

        What is counted for users alone is left out of a project's use.
        """
        if user_id:
            return count(tx, self.counters, project_id, user_id).user
        return count(tx, self._counted_for_projects(self.counters, self.counters), project_id).project

    # -- requests ----------------------------------------------------------------------------------------

    def require(
        self,
        tx: Tx,
        project_id: str,
        requested: Mapping[str, int],
        *,
        user_id: str = PROJECT_ITSELF,
        used: Mapping[str, int] | None = None,
        refusal: Refusal | None = None,
    ) -> None:
        """Whether a user may have these amounts more in a project. Raises what `refusal` makes of what does not fit.

        `used` is what the caller counted itself, of resources without a counter.
        """
        more = {name: amount for name, amount in requested.items() if amount > 0}
        levels = self.levels(tx, project_id, more, user_id, used)
        over = [overrun for level in levels for overrun in level.overruns(more)]
        if over:
            raise (refusal or self.refusal)(over)

    def levels(
        self,
        tx: Tx,
        project_id: str,
        resources: Collection[str],
        user_id: str = PROJECT_ITSELF,
        used: Mapping[str, int] | None = None,
    ) -> list[Level]:
        """The limits that hold for these resources beside what is used of each; the project's own first.

        One statement for one resource of a project; else one for limits, and one for use unless nothing is limited.
        """
        unified = self._source_limits(project_id)
        listed = [name for name in resources if name in self.defaults]
        if len(listed) == 1 and not user_id and self.stored and self._counted_for_projects(self.counters, listed):
            levels = self._levels_of_one(tx, project_id, listed[0], self._named(unified))
        elif listed:
            levels = self._levels_of_several(tx, project_id, listed, user_id, used or {})
        else:
            levels = []
        for family in self.families:
            levels += self._levels_of_family(tx, project_id, family, resources, unified)
        return levels

    def _levels_of_one(self, tx: Tx, project_id: str, name: str, unified: UnifiedLimits) -> list[Level]:
        said = unified.by_resource.get(name)
        tree = self._tree(unified, (name,))
        known = (said.own, said.default) if said else (None, self.defaults[name])
        resource = OneResource(self.service, name, self.counters[name])
        limit, used, together = limit_and_use(tx, resource, project_id, known, tree)
        levels = [Level(Projects(project_id), {name: limit}, {name: used})]
        return levels if tree is None else [*levels, Level(tree, unified.tree(), {name: together})]

    def _levels_of_several(
        self, tx: Tx, project_id: str, names: Collection[str], user_id: str, used: Mapping[str, int]
    ) -> list[Level]:
        unified, rows = self._unified(project_id), self._stored(tx, project_id, user_id)
        counters = {name: self.counters[name] for name in names if name in self.counters}
        of_projects = self._counted_for_projects(counters, names)
        tree = self._tree(unified, of_projects)
        of_users = {name for name, counter in of_projects.items() if counter.rows.user is not None}
        own = {name: limit for name, limit in rows.user.items() if name in of_users and limit != UNLIMITED}
        limits = self._in_force(unified, rows)
        limits |= {name: limit for name, limit in rows.user.items() if name not in of_projects}
        limited = tree is not None or own or any(limits[name] != UNLIMITED for name in counters)
        whose = user_id if own or len(of_projects) < len(counters) else PROJECT_ITSELF
        amounts = count(tx, counters if limited else {}, project_id, whose, tree)
        levels = [Level(Projects(project_id), limits, {**used, **amounts.project})]
        if tree is not None:
            together = {name: limit for name, limit in unified.tree().items() if name in of_projects}
            levels.append(Level(tree, together, amounts.tree))
        if own:
            levels.append(Level(Projects(project_id), own, amounts.user, of_user=True))
        return levels

    def _levels_of_family(
        self, tx: Tx, project_id: str, family: Family, resources: Collection[str], unified: UnifiedLimits
    ) -> list[Level]:
        known = {name: unified.by_resource[name] for name in resources if name in unified.by_resource}
        known = {name: limit for name, limit in known.items() if name.startswith(family.prefix)}
        own = {name: limit.default if limit.own is None else limit.own for name, limit in known.items()}
        found = [(Projects(project_id), own)]
        tree = self._tree(unified, known)
        if tree is not None:
            found.append((tree, {name: limit.tree for name, limit in known.items()}))
        levels = []
        for projects, limits in found:
            limited = {name: limit for name, limit in limits.items() if limit != UNLIMITED}
            if limited:
                levels.append(Level(projects, limited, family.count(tx, projects, list(limited))))
        return levels

    # -- what is in force --------------------------------------------------------------------------------

    def _source_limits(self, project_id: str) -> UnifiedLimits:
        return NO_UNIFIED_LIMITS if self.source is None else self.source.limits(self.service, project_id)

    def _named(self, unified: UnifiedLimits) -> UnifiedLimits:
        return unified if self.unified_names is None else unified.named(self.unified_names)

    def _unified(self, project_id: str) -> UnifiedLimits:
        """The project's unified limits under the service's own names."""
        return self._named(self._source_limits(project_id))

    def _tree(self, unified: UnifiedLimits, names: Collection[str]) -> Projects | None:
        """The tree that limits one of these resources, or None."""
        if self.source is None or unified.tree_id is None or unified.tree().keys().isdisjoint(names):
            return None
        return Projects(unified.tree_id, self.source.projects_of_tree)

    def _stored(self, tx: Tx, project_id: str, user_id: str) -> StoredLimits:
        return stored_limits(tx, self.service, project_id, user_id) if self.stored else StoredLimits()

    def _in_force(self, unified: UnifiedLimits, rows: StoredLimits) -> dict[str, int]:
        return in_force(self.defaults, unified.by_resource, rows.operator, rows.own)

    @staticmethod
    def _counted_for_projects(counters: Mapping[str, Count], names: Collection[str]) -> dict[str, Count]:
        """Of `names`, those with a counter that is not of users alone."""
        return {
            name: counter for name, counter in counters.items() if name in names and counter.rows.project is not None
        }
