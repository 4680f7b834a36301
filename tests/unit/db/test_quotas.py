"""The quota engine against a plain model of it: limits anywhere, use by anyone, requests of any mixture.

The service here is no real one: what it declares is all that a new service has to write.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Integer, String, case, insert, join, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from gureum.foundation.db.engine import Database
from gureum.foundation.errors import OverQuota
from gureum.foundation.quota import (
    EVERY_PROJECT,
    UNLIMITED,
    Overrun,
    QuotaLimit,
    Quotas,
    Rows,
    UnifiedLimit,
    UnifiedLimits,
)


class Sample(DeclarativeBase):
    pass


class Project(Sample):
    __tablename__ = "sample_projects"
    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    domain_id: Mapped[str] = mapped_column(String(36))


class Volume(Sample):
    __tablename__ = "sample_volumes"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    project_id: Mapped[str] = mapped_column(String(36))
    user_id: Mapped[str] = mapped_column(String(36))
    size_gib: Mapped[int]
    kind: Mapped[str] = mapped_column(String(8))
    deleted: Mapped[bool] = mapped_column(default=False)


class Copy(Sample):
    __tablename__ = "sample_copies"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    volume_id: Mapped[int]


class Key(Sample):
    __tablename__ = "sample_keys"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    owner: Mapped[str] = mapped_column(String(36))


DOMAINS = {"p1": "d1", "p2": "d1", "p3": "d2"}
USERS = ("alice", "bob")
DEFAULTS = {"volumes": 3, "gigabytes": 20, "fast_volumes": -1, "copies": 4, "keys": 2, "tags": 5}
UNIFIED_NAMES = {**{name: name for name in DEFAULTS}, "gigabytes": "class:GB"}
VOLUMES = Rows(Volume.project_id, (Volume.deleted.is_(False),), user=Volume.user_id)
QUOTAS = Quotas(
    "sample",
    DEFAULTS,
    {
        "volumes": VOLUMES.count(),
        "gigabytes": VOLUMES.sum(Volume.size_gib),
        "fast_volumes": VOLUMES.sum(case((Volume.kind == "fast", 1), else_=0)),
        "copies": Rows(
            Volume.project_id, source=join(Volume.__table__, Copy.__table__, Copy.volume_id == Volume.id)
        ).count(),
        "keys": Rows(None, user=Key.owner).count(),
    },
    unified_names=UNIFIED_NAMES,
)
OF_PROJECTS = ("volumes", "gigabytes", "fast_volumes", "copies")


class KindQuotas:
    """A family: `kind:fast`, `kind:slow`."""

    prefix = "kind:"

    def count(self, tx, projects, names):
        kinds = tx.scalars(select(Volume.kind).where(projects.hold(Volume.project_id), Volume.deleted.is_(False)))
        used = Counter(kinds)
        return {name: used[name.removeprefix(self.prefix)] for name in names}


@dataclass
class World:
    """What is in the database and in identity's memory; `limits` of the key (project or "*", user or "")."""

    volumes: list = field(default_factory=list)
    copies: list = field(default_factory=list)
    keys: list = field(default_factory=list)
    limits: dict = field(default_factory=dict)
    unified: dict = field(default_factory=dict)
    strict: bool = False

    # -- what identity says ------------------------------------------------------------------------------

    def source(self):
        world = self

        class Source:
            def limits(self, service, project_id):
                assert service == "sample"
                tree = DOMAINS.get(project_id) if world.strict else None
                said = {
                    name: UnifiedLimit(default, own.get(project_id), together.get(tree, default) if tree else UNLIMITED)
                    for name, (default, own, together) in world.unified.items()
                }
                return UnifiedLimits(said, tree)

            projects_of_tree = property(lambda _self: projects_of_tree)

        return Source()

    def store(self, tx):
        for model, rows in (
            (Project, [{"id": id_, "domain_id": domain} for id_, domain in DOMAINS.items()]),
            (Volume, self.volumes),
            (Copy, self.copies),
            (Key, self.keys),
            (QuotaLimit, [
                {"service": "sample", "project_id": project, "user_id": user, "resource": name, "limit": limit}
                for (project, user), limits in self.limits.items()
                for name, limit in limits.items()
            ]),
        ):  # fmt: skip
            if rows:
                tx.execute(insert(model), rows)

    # -- the plain model ---------------------------------------------------------------------------------

    def used(self, name, projects, user=None):
        volumes = [row for row in self.volumes if row["project_id"] in projects]
        volumes = [row for row in volumes if user is None or row["user_id"] == user]
        living = [row for row in volumes if not row["deleted"]]
        if name == "keys":
            return sum(row["owner"] == user for row in self.keys)
        if name == "copies":
            ids = [row["id"] for row in volumes]
            return sum(row["volume_id"] in ids for row in self.copies)
        if name == "gigabytes":
            return sum(row["size_gib"] for row in living)
        kind = {"fast_volumes": "fast", "kind:fast": "fast", "kind:slow": "slow"}.get(name)
        return sum(kind is None or row["kind"] == kind for row in living)

    def limit(self, name, project):
        """The first that is set, from the nearest place to the furthest."""
        default, own, _together = self.unified.get(UNIFIED_NAMES.get(name, name), (None, {}, {}))
        places = (
            self.limits.get((project, ""), {}).get(name),
            own.get(project),
            self.limits.get((EVERY_PROJECT, ""), {}).get(name),
            default,
            DEFAULTS.get(name),
        )
        return next((limit for limit in places if limit is not None), UNLIMITED)

    def tree_limit(self, name, project):
        if not self.strict or UNIFIED_NAMES.get(name, name) not in self.unified:
            return UNLIMITED
        default, _own, together = self.unified[UNIFIED_NAMES.get(name, name)]
        return together.get(DOMAINS[project], default)

    def overruns(self, project, user, requested):
        mine = self.limits.get((project, user), {}) if user else {}
        family = project in DOMAINS and [id_ for id_, domain in DOMAINS.items() if domain == DOMAINS[project]]
        rows = []
        for name in DEFAULTS:
            if name in OF_PROJECTS:
                rows += [
                    (name, self.limit(name, project), self.used(name, [project]), {"holder": project}),
                    (name, self.tree_limit(name, project), self.used(name, family), {"of_tree": True}),
                ]
                if name != "copies":  # these rows belong to no user
                    rows.append((name, mine.get(name, UNLIMITED), self.used(name, [project], user), {"of_user": True}))
            else:
                limit = mine.get(name, self.limit(name, project))
                rows.append((name, limit, self.used(name, [], user) if name == "keys" else 0, {}))
        for name in FAMILY:
            rows += [
                (name, self.limit(name, project), self.used(name, [project]), {}),
                (name, self.tree_limit(name, project), self.used(name, family), {"of_tree": True}),
            ]
        return {
            Overrun(
                name,
                limit,
                used,
                requested[name],
                **{**whose, "holder": DOMAINS[project] if "of_tree" in whose else project},
            )
            for name, limit, used, whose in rows
            if requested.get(name, 0) > 0 and limit != UNLIMITED and used + requested[name] > limit
        }


def projects_of_tree(tree_id):
    return select(Project.id).where(Project.domain_id == tree_id)


FAMILY = ("kind:fast", "kind:slow")


def some(draw, names, value):
    """A dictionary of some of these names."""
    return {name: value() for name in names if draw.random() < 0.6}


def drawn_world(seed):
    """Most places are set to something small. Hypothesis's own dictionaries are mostly too empty to refuse anything."""
    draw = Random(seed)

    def amount():
        return draw.randint(-1, 6)

    def stored():
        return some(draw, DEFAULTS, amount)

    def unified():
        return (amount(), some(draw, ["p1", "p2"], amount), some(draw, ["d1"], amount))

    return World(
        [
            {
                "id": number,
                "project_id": draw.choice(["p1", "p1", "p2", "p3"]),
                "user_id": draw.choice(USERS),
                "size_gib": draw.randint(0, 4),
                "kind": draw.choice(["fast", "slow"]),
                "deleted": draw.random() < 0.3,
            }
            for number in range(draw.randint(0, 8))
        ],
        [{"id": number, "volume_id": draw.randint(0, 6)} for number in range(draw.randint(0, 6))],
        [{"id": number, "owner": draw.choice(USERS)} for number in range(draw.randint(0, 4))],
        some(draw, [(EVERY_PROJECT, ""), ("p1", ""), ("p1", "alice"), ("p1", "bob"), ("p2", "")], stored),
        some(draw, [*UNIFIED_NAMES.values(), *FAMILY, "unknown"], unified),
        strict=draw.random() < 0.6,
    )


def drawn_request(seed):
    """(project, user or "", amounts): of one resource or of many."""
    draw = Random(seed)
    if draw.random() < 0.4:  # what is one statement
        return "p1", "", {draw.choice(OF_PROJECTS): draw.randint(1, 3)}
    names = draw.sample([*DEFAULTS, *FAMILY], draw.choice([1, 3, 5]))
    user = draw.choice(["", "alice", "alice", "bob"])
    return draw.choice(["p1", "p1", "p2"]), user, {name: draw.randint(0, 3) for name in names}


WORLDS = st.integers(0, 2**32).map(drawn_world)
REQUESTS = st.integers(0, 2**32).map(drawn_request)


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def sample(request, tmp_path_factory):
    if request.param == "postgresql":
        database = Database(request.getfixturevalue("postgresql_server").new_database())
    else:
        database = Database(f"sqlite:///{tmp_path_factory.mktemp('quota')}/test.sqlite")
    Sample.metadata.create_all(database.engine)
    QuotaLimit.__table__.create(database.engine)
    yield database
    database.close()


class Done(Exception):  # noqa: N818
    """Rolls a transaction back."""


def within(database, world, work):
    """`work(tx)` in a transaction that leaves nothing behind."""

    def change(tx):
        world.store(tx)
        tx.flush()
        raise Done(work(tx))

    with pytest.raises(Done) as done:
        database.write(change)
    return done.value.args[0]


def bound(world):
    return QUOTAS.following(world.source(), families=(KindQuotas(),))


def refused(quotas, tx, project, user, requested):
    """What `require` refuses, in order."""
    found = []

    def refusal(overruns):
        found.extend(overruns)
        return OverQuota()

    try:
        quotas.require(tx, project, requested, user_id=user, refusal=refusal)
    except OverQuota:
        assert found
    return found


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(WORLDS, REQUESTS)
def test_engine_refuses_what_the_model_refuses(sample, world, request_):
    project, user, requested = request_
    over = within(sample, world, lambda tx: refused(bound(world), tx, project, user, requested))
    assert set(over) == world.overruns(project, user, requested)
    assert len(set(over)) == len(over)
    kinds = [(overrun.resource.startswith("kind:"), overrun.of_tree + 2 * overrun.of_user) for overrun in over]
    assert kinds == sorted(kinds), "the project's limits come first, then its tree's, then the user's"


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(WORLDS, st.sampled_from(list(DOMAINS)), st.sampled_from(USERS))
def test_shown_limits_and_use_are_those_of_the_model(sample, world, project, user):
    quotas = bound(world)
    limits, users, used, of_user = within(
        sample,
        world,
        lambda tx: (
            quotas.limits(tx, project),
            quotas.limits(tx, project, user),
            quotas.usage(tx, project),
            quotas.usage(tx, project, user),
        ),
    )
    assert limits == {name: world.limit(name, project) for name in DEFAULTS}
    assert users == limits | world.limits.get((project, user), {})
    assert used == {name: world.used(name, [project]) for name in OF_PROJECTS}
    counted = {name: world.used(name, [project], user) for name in (*OF_PROJECTS, "keys")}
    del counted["copies"]
    assert of_user == counted


def statements(database, world, requested, user=""):
    """How many a request takes beside those that fill the tables."""

    def work(tx):
        before = database.counters.statements
        refused(bound(world), tx, "p1", user, requested)
        return database.counters.statements - before

    return within(database, world, work)


@pytest.mark.parametrize("strict", [False, True])
def test_limit_and_use_of_one_resource_are_one_statement_and_of_several_two(sample, strict):
    world = World(unified={"volumes": (1, {}, {}), "kind:fast": (1, {}, {})}, strict=strict)
    assert statements(sample, world, {"volumes": 1}) == 1
    assert statements(sample, world, {"volumes": 1, "gigabytes": 1, "copies": 1, "tags": 1}) == 2
    assert statements(sample, world, {"volumes": 1, "keys": 1}, "alice") == 2
    assert statements(sample, world, {"volumes": 0}) == 0
    assert statements(sample, world, {"kind:slow": 1}) == 0, "nobody registered a limit"
    assert statements(sample, world, {"kind:fast": 1}) == 1 + strict


def test_nothing_is_counted_where_nothing_is_limited(sample):
    world = World(limits={("p1", ""): {"volumes": -1, "gigabytes": -1}})
    assert statements(sample, world, {"volumes": 1, "gigabytes": 1, "tags": 1}) == 1, "the limits"


def test_service_without_rows_of_its_own_reads_no_limits(sample):
    quotas = Quotas("plain", {"volumes": 0}, {"volumes": VOLUMES.count()}, stored=False)
    with sample.read() as tx, pytest.raises(OverQuota, match="volumes: 1 requested, 0 of 0 in use"):
        before = sample.counters.statements
        try:
            quotas.require(tx, "p1", {"volumes": 1})
        finally:
            assert sample.counters.statements == before + 1


def test_amounts_that_the_caller_counted_are_compared(sample):
    world = World()
    over = within(
        sample,
        world,
        lambda tx: [level.overruns({"tags": 2}) for level in QUOTAS.levels(tx, "p1", ["tags"], used={"tags": 4})],
    )
    assert over == [[Overrun("tags", 5, 4, 2, holder="p1")]]


def test_limits_are_set_summed_and_cleared(sample):
    def work(tx):
        QUOTAS.set_limits(tx, "p1", {"volumes": 7})
        for user, limit in (("alice", 2), ("bob", 3)):
            QUOTAS.set_limits(tx, "p1", {"volumes": limit}, user)
        QUOTAS.set_limits(tx, EVERY_PROJECT, {"volumes": 9})
        yield QUOTAS.users_limits_together(tx, "p1") == {"volumes": 5}
        yield list(QUOTAS.projects_with_limits(tx)) == ["p1"]
        yield QUOTAS.users_own_limits(tx, "p1", "alice") == {"volumes": 2}
        QUOTAS.clear_limits(tx, "p1", "alice")
        tx.flush()
        yield QUOTAS.limits(tx, "p1", "alice")["volumes"] == 7
        QUOTAS.clear_limits(tx, "p1")
        tx.flush()
        yield QUOTAS.limits(tx, "p1", "bob")["volumes"] == 9
        yield QUOTAS.limits(tx, EVERY_PROJECT)["volumes"] == 9

    assert within(sample, World(), lambda tx: list(work(tx))) == [True] * 6
