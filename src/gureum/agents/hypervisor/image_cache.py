"""Images on this host, each fetched, checked and (if it must be) converted once, then shared by all overlays.

A base is `<image id>.<qcow2|raw>` beside `<image id>.json`, which is written last: a base without it is half-made.
A file of the image store on the same file system is hard-linked, never opened for writing: deleting the image
leaves the inode to the guests that stand on it.
Invariant: a base in use is neither changed nor removed, and nothing untrusted reaches qemu-img before the inspector.
Read next: `gureum.drivers.image.inspector`.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from gureum.agents.hypervisor.files import PART, is_safe_name, move_into_place, part_of, write_whole
from gureum.agents.hypervisor.image_fetch import CheckFailed, Sink, copy_file, download, hash_file
from gureum.agents.hypervisor.protocol import ImageSource
from gureum.agents.hypervisor.rbd_fetch import SCHEME, CephAccess, fetch_rbd
from gureum.agents.hypervisor.tools import Limits, ToolFailed, run_tool
from gureum.foundation.fleet.failure import AgentFailure
from gureum.foundation.shapes import json_decoder

_log = logging.getLogger("gureum.agents.hypervisor.images")

NOT_WHAT_IT_SAYS = "The image is not what it says it is."
_CONVERT_TIMEOUT_S = 1800.0


@dataclass(frozen=True, slots=True)
class BaseImage:
    """A read-only image that overlays stand on; `format` is "qcow2" or "raw"."""

    path: Path
    format: str
    virtual_size_bytes: int


class _Label(msgspec.Struct, frozen=True):
    """What is written beside a base once it is complete. The file's modification time is its last use."""

    file: str
    format: str
    virtual_size_bytes: int


class ImageCache:
    """Safe to use from several threads; one fetch at a time for each image.

    `store` is the only folder that images are taken from by path; None: from anywhere. `ceph` opens images in Ceph.
    """

    def __init__(
        self,
        folder: Path,
        limits: Limits | None = None,
        store: Path | None = None,
        ceph: CephAccess | None = None,
    ) -> None:
        self._folder = folder
        self._store = store.resolve() if store is not None else None
        self._limits = limits or Limits()
        self._ceph = ceph
        self._lock = threading.Lock()
        self._users: dict[str, int] = {}
        self._fetching: dict[str, threading.Lock] = {}
        folder.mkdir(parents=True, exist_ok=True, mode=0o711)
        for leftover in folder.glob("*" + PART):
            leftover.unlink()

    @contextmanager
    def base(self, image: ImageSource, cancelled: Callable[[], None] = lambda: None) -> Iterator[BaseImage]:
        """The image's base, fetched if it is not here; it is not swept while the block runs.

        `cancelled` is called between pieces and raises to stop. Raises AgentFailure (retry is false when the image
        is not what it says) and OSError.
        """
        if not is_safe_name(image.image_id):
            raise AgentFailure(f"image id {image.image_id!r} is no id", retry=False)
        with self._lock:
            self._users[image.image_id] = self._users.get(image.image_id, 0) + 1
            fetching = self._fetching.setdefault(image.image_id, threading.Lock())
        try:
            with fetching:
                base = self._cached(image.image_id) or self._fetch(image, cancelled)
            yield base
        finally:
            with self._lock:
                self._users[image.image_id] -= 1
                if not self._users[image.image_id]:
                    del self._users[image.image_id], self._fetching[image.image_id]

    def sweep(self, in_use: set[str], unused_s: float, now: float | None = None) -> list[str]:
        """Remove bases that no disk stands on and that were not used for `unused_s` seconds; their image ids."""
        moment = time.time() if now is None else now
        removed = []
        for label_path in self._folder.glob("*.json"):
            image_id = label_path.stem
            with self._lock:
                label = _read_label(label_path)
                if image_id in self._users or (label and label.file in in_use):
                    continue
                if moment - label_path.stat().st_mtime < unused_s:
                    continue
                label_path.unlink()
                for path in self._folder.glob(image_id + ".*"):
                    path.unlink()
                removed.append(image_id)
        return removed

    def _cached(self, image_id: str) -> BaseImage | None:
        label_path = self._folder / f"{image_id}.json"
        label = _read_label(label_path)
        if label is None or not (self._folder / label.file).exists():
            return None
        os.utime(label_path)
        return BaseImage(self._folder / label.file, label.format, label.virtual_size_bytes)

    def _fetch(self, image: ImageSource, cancelled: Callable[[], None]) -> BaseImage:
        raw_copy = self._folder / f"{image.image_id}.source{PART}"
        began = time.monotonic()
        try:
            self._bring(image, raw_copy, cancelled)
            base = self._settle(image, raw_copy)
        except CheckFailed as error:
            raise AgentFailure(f"image {image.image_id}: {error}", public=NOT_WHAT_IT_SAYS, retry=False) from error
        except ToolFailed as error:
            raise AgentFailure(f"image {image.image_id}: {error}", public="The image cannot be converted.") from error
        finally:
            raw_copy.unlink(missing_ok=True)
        label = _Label(base.path.name, base.format, base.virtual_size_bytes)
        write_whole(self._folder / f"{image.image_id}.json", msgspec.json.encode(label))
        _log.info("image %s is here after %.2f s", image.image_id, time.monotonic() - began)
        return base

    def _bring(self, image: ImageSource, target: Path, cancelled: Callable[[], None]) -> None:
        """The image's bytes at `target`, with the size and hash that were promised."""
        digest = hashlib.sha512()
        target.unlink(missing_ok=True)
        if image.path:
            source = Path(image.path).resolve()
            if self._store is not None and not source.is_relative_to(self._store):
                raise AgentFailure(f"image {image.image_id}: {image.path} is not in {self._store}", retry=False)
            try:
                if _link(source, target):
                    size = hash_file(target, digest, cancelled)
                else:
                    size = copy_file(source, Sink(target, digest, cancelled))
            except FileNotFoundError as error:
                raise AgentFailure(f"image {image.image_id} is not at {image.path}") from error
        elif image.url.startswith(SCHEME):
            sink = Sink(target, digest, cancelled)
            size = fetch_rbd(image.url, sink, self._ceph, limit_bytes=image.size_bytes)
        elif image.url:
            size = download(image.url, Sink(target, digest, cancelled), limit_bytes=image.size_bytes)
        else:
            raise AgentFailure(f"image {image.image_id} comes without a path or URL", retry=False)
        if image.size_bytes and size != image.size_bytes:
            raise CheckFailed(f"it has {size} bytes, not {image.size_bytes}")
        if image.sha512 and digest.hexdigest() != image.sha512.lower():
            raise CheckFailed("its SHA-512 differs")

    def _settle(self, image: ImageSource, source: Path) -> BaseImage:
        """Inspect what came, and give it (or its conversion) the base's name."""
        from gureum.drivers.image.inspector import inspect_file, mismatch, qemu_driver

        found = inspect_file(source)
        if found.problems:
            raise CheckFailed("; ".join(found.problems))
        wrong = mismatch(image.disk_format, found)
        if wrong:
            raise CheckFailed(wrong)
        driver = qemu_driver(found.format)
        kept = driver if driver in {"raw", "qcow2"} else "qcow2"
        path = self._folder / f"{image.image_id}.{kept}"
        if driver == kept:
            move_into_place(source, path)
            return BaseImage(path, kept, found.virtual_size_bytes)
        part = part_of(path)
        try:
            command = ["qemu-img", "convert", "-f", driver, "-O", kept, str(source), str(part)]
            run_tool(command, timeout_s=_CONVERT_TIMEOUT_S, limits=self._limits)
            size = inspect_file(part).virtual_size_bytes
            move_into_place(part, path)
        finally:
            part.unlink(missing_ok=True)
        return BaseImage(path, kept, size)


def _link(source: Path, target: Path) -> bool:
    """A second name for the store's file; false where the two are on different file systems or links are refused."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno in {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EACCES, errno.EOPNOTSUPP}:
            return False
        raise
    return True


def _read_label(path: Path) -> _Label | None:
    try:
        return json_decoder(_Label).decode(path.read_bytes())
    except (OSError, ValueError):
        return None
