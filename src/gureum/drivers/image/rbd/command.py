"""Ceph's own programs as child processes: words that we made, an environment that we made, a time that ends.

Not Ceph's Python bindings, which exist for one Python of one distribution only. Not here: what a blob is (`store.py`).
Invariant: no child outlives its time. A cluster that is gone costs `answer_s` for a question and `stall_s` for a
stream that does not move, then an ImageStoreError.
Sources: rbd(8), rados(8), ceph.conf's options of clients.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from gureum.drivers.image.errors import ImageStoreError, StoreFull

PROGRAMS = ("rbd", "rados")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")
_FSID = re.compile(r"(?mi)^\s*fsid\s*=\s*([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\s*$")
_SAID_CHARACTERS = 500
_PIPE_BYTES = 1 << 20
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "TZ": "UTC", "HOME": "/nonexistent"}
_ENOENT, _ENOSPC, _ETIMEDOUT, _EDQUOT = 2, 28, 110, 122


class Missing(ImageStoreError):
    """The pool has no image, snapshot or object of this name."""


class ClusterSilent(ImageStoreError):
    """Nothing came back in time."""


@dataclass(frozen=True)
class RbdPool:
    """A pool as one user sees it. `chunk_bytes` is a power of two: the size of the objects that images are cut into.

    Raises ValueError for names or sizes that Ceph would take for something else.
    """

    pool: str
    user: str
    conf: Path
    chunk_bytes: int = 8 << 20
    answer_s: float = 15.0
    stall_s: float = 60.0

    def __post_init__(self) -> None:
        for what, name in (("pool", self.pool), ("user", self.user)):
            if not _NAME.match(name):
                raise ValueError(f"{name!r} cannot name a Ceph {what}")
        if self.chunk_bytes & (self.chunk_bytes - 1) or not 4096 <= self.chunk_bytes <= 32 << 20:
            raise ValueError("a chunk is a power of two from 4 KiB to 32 MiB")

    def fsid(self) -> str:
        """The cluster's id as its configuration file says. Raises ValueError without one."""
        try:
            found = _FSID.search(self.conf.read_text())
        except OSError as error:
            raise ValueError(f"{self.conf} cannot be read: {error.strerror}") from error
        if found is None:
            raise ValueError(f"{self.conf} names no fsid: add the line `fsid = ...` that `ceph fsid` prints")
        return found[1].lower()

    def words(self, program: str, *words: str) -> list[str]:
        """A whole command line. A client that finds no monitor gives up by itself too."""
        mount = f"--client-mount-timeout={max(1, int(self.answer_s))}"
        return [program, "-c", str(self.conf), "--id", self.user, mount, *words]

    def spec(self, image: str) -> str:
        return f"{self.pool}/{image}"

    def ask(self, program: str, *words: str) -> bytes:
        """Run to the end; its output. Raises Missing, StoreFull, ClusterSilent, ImageStoreError."""
        try:
            done = subprocess.run(
                self.words(program, *words),
                env=_ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=self.answer_s,
                start_new_session=True,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ClusterSilent(f"the Ceph cluster of {self.conf} did not answer in {self.answer_s:g} s") from error
        except OSError as error:
            raise ImageStoreError(f"{program} cannot be started: {error.strerror} (package ceph-common)") from error
        if done.returncode:
            raise refusal(program, done.returncode, done.stderr.decode(errors="replace"))
        return done.stdout


def refusal(program: str, code: int, said: str) -> ImageStoreError:
    """What a program's end means. rbd's exit status is the error's number; rados says it in its text."""
    if code == _ETIMEDOUT or f"({_ETIMEDOUT})" in said:
        return ClusterSilent(f"the Ceph cluster did not answer {program} in time")
    text = f"{program} ended with {code}: {said.strip()[-_SAID_CHARACTERS:]}"
    if (code == _ENOENT or f"({_ENOENT})" in said) and "opening pool" not in said and "keyring" not in said:
        return Missing(text)
    if code in (_ENOSPC, _EDQUOT) or f"({_ENOSPC})" in said or f"({_EDQUOT})" in said:
        return StoreFull(text)
    return ImageStoreError(text)


class Stream:
    """A child that takes or gives a stream of bytes. Used by one thread at a time."""

    def __init__(self, pool: RbdPool, program: str, *words: str, feeds: bool) -> None:
        """`feeds`: we write to it; else we read from it. Raises ImageStoreError."""
        self.silent = False
        """Whether the cluster was given up."""
        self._program = program
        self._stall_s = pool.stall_s
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the child
        try:
            self._child = subprocess.Popen(
                pool.words(program, *words),
                env=_ENVIRONMENT,
                stdin=subprocess.PIPE if feeds else subprocess.DEVNULL,
                stdout=subprocess.DEVNULL if feeds else subprocess.PIPE,
                stderr=self._said,
                start_new_session=True,
                pipesize=_PIPE_BYTES,
                bufsize=0,
            )
        except OSError as error:
            self._said.close()
            raise ImageStoreError(f"{program} cannot be started: {error.strerror} (package ceph-common)") from error
        pipe = self._child.stdin if feeds else self._child.stdout
        assert pipe is not None
        self._pipe = pipe
        os.set_blocking(pipe.fileno(), False)

    def write(self, data: memoryview) -> None:
        """All of it. Raises what `end` raises when the child left, ClusterSilent when it takes nothing."""
        while data:
            self._wait(select.POLLOUT)
            try:
                data = data[os.write(self._pipe.fileno(), data) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                self.end()
                raise ImageStoreError(f"{self._program} took no more data") from None

    def read(self, most: int) -> bytes:
        """Some bytes; none at the end, when the child said that it was whole. Raises what `end` raises."""
        while True:
            self._wait(select.POLLIN)
            try:
                chunk = os.read(self._pipe.fileno(), most)
            except BlockingIOError:
                continue
            if not chunk:
                self.end()
            return chunk

    def end(self) -> None:
        """Close the pipe and wait for a good end. Raises ClusterSilent, or what the child's end means."""
        self._pipe.close()
        try:
            code = self._child.wait(self._stall_s)
        except subprocess.TimeoutExpired:
            self.silent = True
            self.kill()
            raise ClusterSilent(f"{self._program} did not end in {self._stall_s:g} s") from None
        if self._said.closed:
            return
        with self._said:
            self._said.seek(max(0, self._said.seek(0, os.SEEK_END) - 4096))
            said = self._said.read().decode(errors="replace")
        if code:
            raise refusal(self._program, code, said)

    def kill(self) -> None:
        """At once. Safe to repeat."""
        self._pipe.close()
        if self._child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)
            self._child.wait()
        self._said.close()

    def _wait(self, event: int) -> None:
        poll = select.poll()
        poll.register(self._pipe.fileno(), event)
        if not poll.poll(self._stall_s * 1000):
            self.silent = True
            self.kill()
            raise ClusterSilent(f"the Ceph cluster moved no data for {self._stall_s:g} s")
