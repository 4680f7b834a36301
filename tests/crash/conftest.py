"""Every life's undisturbed course, found out once in a session and only for those that are asked for."""

from __future__ import annotations

import shutil
import time
from contextlib import ExitStack, contextmanager

import pytest

pytest.register_assert_rewrite("tests.crash.lives")

from tests.crash.disturbance import Disturbance  # noqa: E402
from tests.crash.lives import LIVES  # noqa: E402

from gureum.foundation import clock  # noqa: E402


class Stage:
    """Where lives are lived. `recorded(name)` is the Disturbance that only recorded the life."""

    def __init__(self, tmp_path_factory, stack):
        self._folders, self._stack = tmp_path_factory, stack
        self._grounds, self._recorded = {}, {}

    @contextmanager
    def life(self, name, hooks):
        """A life that is about to begin, under a clock of its own."""
        module = LIVES[name].module
        ground, prepared = self._ground(module)
        folder = self._folders.mktemp("life") / "state"
        shutil.copytree(prepared, folder)
        moving = clock.VirtualClock(time.time() + 60)
        with clock.use(moving):
            life = module.Life(ground, folder, moving, hooks)
            try:
                yield life
            finally:
                life.close()
                shutil.rmtree(folder)

    def _ground(self, module):
        if module not in self._grounds:
            folder = self._folders.mktemp("ground")
            self._grounds[module] = self._stack.enter_context(module.ground(folder)), folder
        return self._grounds[module]

    def recorded(self, name):
        if name not in self._recorded:
            hooks = Disturbance()
            with self.life(name, hooks) as life:
                life.live(LIVES[name].kind)
                life.assert_clean(LIVES[name].kind)
            self._recorded[name] = hooks
        return self._recorded[name]


@pytest.fixture(scope="session")
def stage(tmp_path_factory):
    with ExitStack() as stack:
        yield Stage(tmp_path_factory, stack)
