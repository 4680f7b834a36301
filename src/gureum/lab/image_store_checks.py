"""What can be in the way of the image stores that a configuration names: `doctor`'s findings, one for each store.

Nothing is made or changed here; a question to Ceph ends within `MOST_ANSWER_S`. Not the checks that stop a control
plane from starting, which are `gureum.roles.drivers.image`'s own: this asks more, and has an answer for every store.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from gureum.drivers.image.rbd.command import PROGRAMS
from gureum.drivers.image.rbd.store import RbdImageStore
from gureum.foundation.config import Config, ConfigError
from gureum.lab.checks import GIB, Finding
from gureum.roles.assembly import read_config
from gureum.roles.drivers.image import configured_stores, folder_of, pool_of
from gureum.services.image.config import ImageConfig, ImageStoreConfig

MOST_ANSWER_S = 10.0
LEAST_BYTES = GIB
_SUBJECT = "image store"


def image_stores(file: Path | None, state: Path) -> Iterator[Finding]:
    """A finding for each store of the configuration in `file`, or of the one that a new cloud in `state` has."""
    try:
        config = read_config(file) if file else Config(state=str(state))
    except ConfigError as error:
        yield Finding(_SUBJECT, "bad", str(error), "Correct the file.")
        return
    stores = configured_stores(config)
    chosen = config.section(ImageConfig).default_store
    if chosen and chosen not in stores:
        yield Finding(
            _SUBJECT,
            "bad",
            f"[image] default_store names {chosen!r}, which is no store",
            f"Name one of: {' '.join(stores)}",
        )
    for name, one in stores.items():
        if one.kind == "rbd":
            yield _pool(config, name, one)
        elif one.kind == "file":
            yield _folder(name, folder_of(config, name, one).absolute())
        else:
            yield Finding(_SUBJECT, "good", f"{name}: outside places, asked when an image names them")


def _folder(name: str, folder: Path) -> Finding:
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    quoted = shlex.quote(str(folder))
    if not there.is_dir():
        remedy = f"Name another folder, or: mv {shlex.quote(str(there))} {shlex.quote(f'{there}.old')}"
        return Finding(_SUBJECT, "bad", f"{name}: {there} is not a folder", remedy)
    if not os.access(there, os.W_OK | os.X_OK):
        missing = f"is not there, and this user may not make it in {there}" if there != folder else "is not writable"
        remedy = f"install -d -m 700 -o USER {quoted}, where USER runs the control plane"
        return Finding(_SUBJECT, "bad", f"{name}: {folder} {missing} for this user", remedy)
    free = shutil.disk_usage(there).free
    if free < LEAST_BYTES:
        return Finding(
            _SUBJECT,
            "bad",
            f"{name}: the disk of {folder} has {free / GIB:.1f} GiB free",
            f"Free some: df -h {shlex.quote(str(there))}",
        )
    made = "" if there == folder else ", made at the start"
    return Finding(_SUBJECT, "good", f"{name}: {folder}{made}, {free / GIB:.0f} GiB free")


def _pool(config: Config, name: str, one: ImageStoreConfig) -> Finding:
    absent = [program for program in PROGRAMS if shutil.which(program) is None]
    if absent:
        return Finding(_SUBJECT, "bad", f"{name}: missing programs: {' '.join(absent)}", "apt-get install ceph-common")
    try:
        pool = pool_of(config, one)
        problem = RbdImageStore(replace(pool, answer_s=min(pool.answer_s, MOST_ANSWER_S))).problem()
    except ValueError as error:
        return Finding(_SUBJECT, "bad", f"{name}: {error}", f"Correct [image.stores.{name}], or that file.")
    if problem is not None:
        return Finding(_SUBJECT, "bad", f"{name}: {problem.text}", problem.remedy)
    return Finding(_SUBJECT, "good", f"{name}: the Ceph pool {pool.pool} is open to client.{pool.user}")
