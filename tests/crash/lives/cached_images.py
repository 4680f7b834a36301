"""A copy of an image in the cache, from the wish to the copy or to its end."""

from __future__ import annotations

from sqlalchemy import select
from tests.api.image.conftest import IMAGES, active
from tests.crash.lives import image_service
from tests.crash.lives.image_service import DATA, ImageLife

from gureum.foundation.tasks.model import Task
from gureum.services.image.cache.model import CachedImage

KINDS = ("copied", "data lost", "image deleted")

ground = image_service.ground


class Life(ImageLife):
    """One wish for a copy."""

    def live(self, kind):
        self.image = active(self.alice, DATA)
        if kind == "data lost":
            [location] = self.cloud.store.locations()
            self.cloud.store.delete(location)
        self.disturb()
        assert self.root.request("PUT", f"/image/v2/cache/{self.image}").status == 202
        if kind == "image deleted":
            assert self.alice.delete(f"{IMAGES}/{self.image}").status == 204
        self.settle()

    def assert_clean(self, kind):
        with self.database.read() as tx:
            assert tx.scalars(select(Task.kind)).all() == []
        self.clock.advance(3600)
        self.sweep()
        with self.database.read() as tx:
            rows = tx.scalars(select(CachedImage)).all()
        assert [row.location for row in rows] == sorted(self.cloud.cache.locations())
        assert [row.image_id for row in rows] == ([self.image] if kind == "copied" else [])
        if kind == "copied":
            assert b"".join(self.cloud.cache.open(rows[0].location)) == DATA
            assert self.alice.get(f"{IMAGES}/{self.image}/file").content == DATA
        if kind == "image deleted":
            assert list(self.cloud.store.locations()) == []
