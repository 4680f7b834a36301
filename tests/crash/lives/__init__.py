"""The lives that the crash suite disturbs: one module for a resource, one entry of `LIVES` for a way its life can go.

A module has `ground(folder)`, a context in which a folder is prepared once and which gives what its lives share, and a
class: `Life(ground, folder, moving, hooks)` on a copy of that folder, then `live(kind)`, `assert_clean(kind)`, `close()`.
Which points there are to strike is written nowhere: the suite lives each life undisturbed first, and records its steps.
"""

from __future__ import annotations

from types import ModuleType
from typing import NamedTuple

from tests.crash.lives import deleted_projects, imports, other_regions, server_images, servers


class Told(NamedTuple):
    module: ModuleType
    kind: str


LIVES = {
    f"{module.__name__.rpartition('.')[2]}: {kind}": Told(module, kind)
    for module in (servers, server_images, imports, other_regions, deleted_projects)
    for kind in module.KINDS
}
