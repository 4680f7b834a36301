"""The keeper of a node's image cache ends before and after each of its writes; the next one leaves nothing undone.

The keeper is no durable task: it compares its rows with its store in every round. So each point is a call that changes
one of the two, counted in an undisturbed round.
"""

from __future__ import annotations

import dataclasses
import shutil
from contextlib import contextmanager

import pytest
from tests.api.image.conftest import IMAGES, active, cloud_on

from gureum.foundation.db.engine import Database
from gureum.foundation.db.types import Row
from gureum.services.image.cache.keeper import Keeper
from gureum.services.image.cache.node import NodeCache

CACHE = "/image/v2/cache"
DATA = bytes(range(256)) * 64


class KilledError(BaseException):
    """The end of a process: nothing may catch it."""


class Strikes:
    """Counts the calls that pass, and kills before or after one of them."""

    def __init__(self, at=None, when="before"):
        self.count, self._at, self._when = 0, at, when

    def through(self, call):
        def struck(*given, **named):
            mine, self.count = self.count, self.count + 1
            if mine == self._at and self._when == "before":
                raise KilledError
            result = call(*given, **named)
            if mine == self._at:
                raise KilledError
            return result

        return struck


class Struck:
    """Something whose calls of these names may be the last."""

    def __init__(self, inner, strikes, *names):
        self._inner, self._strikes, self._names = inner, strikes, names

    def __getattr__(self, name):
        found = getattr(self._inner, name)
        if name == "create":
            return lambda image_id: Struck(found(image_id), self._strikes, "write", "commit")
        return self._strikes.through(found) if name in self._names else found


def keeper_struck(cloud, strikes):
    cache = cloud.deps.cache
    store = Struck(cache.store, strikes, "delete")
    database = Struck(cloud.database, strikes, "write")
    return Keeper(dataclasses.replace(cloud.deps, database=database, cache=NodeCache(cache.node, store, cache.lock)))


def arrange(cloud):
    """One image to fetch, one whose copy is to go, one whose copy is lost, and a copy that nobody recorded."""
    alice, root = cloud.as_("alice"), cloud.as_("root")
    wanted, unwanted, lost = (active(alice, DATA) for _ in range(3))
    for image_id in (unwanted, lost):
        assert root.put(f"{CACHE}/{image_id}").status == 202
    cloud.keeper.tend()
    assert root.put(f"{CACHE}/{wanted}").status == 202
    assert root.delete(f"{CACHE}/{unwanted}").status == 204
    location = next(one for one in cloud.cache.locations() if one.startswith(lost))
    cloud.cache.delete(location)
    writer = cloud.cache.create(lost)
    writer.write(b"what a killed process finished")
    writer.commit()
    return wanted, lost


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """A database with every table and no row: copying it is quicker than making it."""
    file = tmp_path_factory.mktemp("empty") / "test.sqlite"
    database = Database(f"sqlite:///{file}")
    Row.metadata.create_all(database.engine)
    database.close()
    return file


@contextmanager
def fresh_cloud(empty, folder):
    folder.mkdir()
    database = Database(f"sqlite:///{shutil.copy(empty, folder)}")
    yield cloud_on(database, folder)
    database.close()


def two_rounds(cloud, strikes):
    keeper = keeper_struck(cloud, strikes)
    keeper.tend()
    keeper.tend()


@pytest.mark.parametrize("when", ["before", "after"])
def test_whatever_a_killed_keeper_left_the_next_one_finishes(subtests, empty, tmp_path, when):
    undisturbed = Strikes()
    with fresh_cloud(empty, tmp_path / "undisturbed") as cloud:
        arrange(cloud)
        two_rounds(cloud, undisturbed)
    assert undisturbed.count >= 8
    for at in range(undisturbed.count):
        with subtests.test(f"killed {when} call {at}"), fresh_cloud(empty, tmp_path / str(at)) as cloud:
            wanted, lost = arrange(cloud)
            with pytest.raises(KilledError):
                two_rounds(cloud, Strikes(at, when))
            for _ in range(2):
                Keeper(cloud.deps).tend()
            assert_clean(cloud, wanted, lost)


def assert_clean(cloud, wanted, lost):
    shown = cloud.as_("root").get(CACHE).json()
    assert shown["queued_images"] == []
    assert {one["image_id"] for one in shown["cached_images"]} == {wanted, lost}
    assert sorted(location.partition(".")[0] for location in cloud.cache.locations()) == sorted((wanted, lost))
    for location in list(cloud.store.locations()):
        cloud.store.delete(location)
    for image_id in (wanted, lost):
        assert cloud.as_("alice").get(f"{IMAGES}/{image_id}/file").content == DATA
