"""Bringing staged data to the operator's format, on a scratch folder, by the converter that the role gave.

Discs (iso) stay as they are: they are booted as discs. What an image is was settled by the inspector before.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gureum.drivers.image.errors import ImageStoreError
from gureum.drivers.image.ingest import Ingest
from gureum.drivers.image.inspector import qemu_driver
from gureum.drivers.image.interface import Look
from gureum.services.image.deps import ImageDeps
from gureum.services.image.imports.staged import Staged

_CHUNK_BYTES = 1 << 20
_KEPT_AS_THEY_ARE = ("iso", "luks")


def is_wanted(deps: ImageDeps, staged: Staged) -> bool:
    wanted = deps.config.convert_to
    return bool(wanted) and deps.converter is not None and staged.format not in (wanted, *_KEPT_AS_THEY_ARE)


def converted(deps: ImageDeps, image_id: str, staged: Staged, look: Look) -> Staged:
    """The same disk in the wanted format, on the stage. Raises ImageStoreError, and what `look` raises."""
    assert deps.converter is not None
    wanted = deps.config.convert_to
    deps.scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="convert-", dir=deps.scratch))
    try:
        with _as_file(deps, staged, folder) as source:
            target = folder / "target"
            deps.converter.convert(source, qemu_driver(staged.format), target, wanted, look=look)
        return _taken_in(deps, image_id, target, wanted)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _as_file(deps: ImageDeps, staged: Staged, folder: Path) -> Iterator[Path]:
    engine = deps.stores.engine(staged.store)
    path = engine.local_path(staged.location)
    if path is None:
        path = folder / "source"
        with path.open("wb") as file:
            for chunk in engine.open(staged.location):
                file.write(chunk)
    yield path


def _taken_in(deps: ImageDeps, image_id: str, target: Path, wanted: str) -> Staged:
    store = deps.stores.default
    try:
        with Ingest(store.engine.create(image_id), declared_format=wanted) as ingest, target.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                ingest.feed(chunk)
            return Staged.of(store.name, ingest.finish())
    except OSError as error:
        raise ImageStoreError(f"the converted image cannot be read: {error}") from error
