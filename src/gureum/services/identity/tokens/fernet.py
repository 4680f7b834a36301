"""Sealed texts, tokens among them: Fernet keys that every process reads from one folder.

The folder holds files named by numbers: the highest is the primary that encrypts, 0 is staged to become it,
the others still decrypt. A rotation while running is seen within seconds. Source: the Fernet specification,
keystone's key repository layout.
"""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path
from typing import TypeVar

import msgspec
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from gureum.foundation import clock
from gureum.foundation.errors import Unauthorized
from gureum.foundation.shapes import packed_decoder

LOOK_EVERY_S = 2.0


class TokenPayload(msgspec.Struct, array_like=True, frozen=True):
    """All that a token says; names and roles are read when it is checked. Times are seconds since the epoch."""

    user_id: str
    methods: tuple[str, ...]
    issued_at: float
    expires_at: float
    audit_ids: tuple[str, ...]
    project_id: str | None = None
    domain_id: str | None = None
    system: bool = False
    application_credential_id: str | None = None
    trust_id: str | None = None
    access_token_id: str | None = None


class SealingKeys:
    """Encrypts and decrypts texts. Makes the first keys when the folder is empty."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._looked = 0.0
        self._stamp: tuple[tuple[str, int], ...] = ()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not any(path.name.isdigit() for path in folder.iterdir()):
            for name in ("1", "0"):
                self._write(name)
        self._load()

    def _write(self, name: str) -> None:
        """A new key under this name. One that is there stays: of processes that start together, the first makes it."""
        descriptor, temporary = tempfile.mkstemp(prefix=".new-", dir=self._folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(Fernet.generate_key())
            os.link(temporary, self._folder / name)
        except FileExistsError:
            pass
        finally:
            Path(temporary).unlink()

    def rotate(self, keep: int = 3) -> None:
        """The staged key becomes primary, a new one is staged, the oldest beyond `keep` go."""
        self._write("0")
        numbers = sorted(int(path.name) for path in self._folder.iterdir() if path.name.isdigit())
        (self._folder / "0").rename(self._folder / str(numbers[-1] + 1))
        self._write("0")
        for number in [n for n in numbers if n > 0][: max(0, len(numbers) - keep)]:
            (self._folder / str(number)).unlink()
        self._load()

    def _load(self) -> None:
        """Read the keys if the folder changed. A rotation under way takes files from under a reader: it looks again."""
        for _ in range(100):
            try:
                paths = [path for path in self._folder.iterdir() if path.name.isdigit()]
                stamp = tuple(sorted((path.name, path.stat().st_mtime_ns) for path in paths))
                keys = {int(path.name): path.read_bytes() for path in paths} if stamp != self._stamp else {}
                break
            except FileNotFoundError:
                continue
        else:
            raise FileNotFoundError(f"the keys in {self._folder} keep changing")
        with self._lock:
            self._looked = clock.now()
            if keys:
                self._fernet = MultiFernet([Fernet(keys[number]) for number in sorted(keys, reverse=True)])
                self._stamp = stamp

    def _current(self) -> MultiFernet:
        if clock.now() - self._looked > LOOK_EVERY_S:
            self._load()
        return self._fernet

    def seal_text(self, text: str) -> str:
        return self._current().encrypt(text.encode()).decode()

    def open_text(self, sealed: str) -> str:
        """Raises InvalidToken when the key is gone: what it sealed is lost."""
        return self._current().decrypt(sealed.encode("ascii")).decode()


class ReceiptPayload(msgspec.Struct, array_like=True, frozen=True, tag="receipt"):
    """What a first factor proved. Its tag keeps it from being taken for a token, and a token for it."""

    user_id: str
    methods: tuple[str, ...]
    issued_at: float
    expires_at: float


T = TypeVar("T", TokenPayload, ReceiptPayload)


class TokenKeys(SealingKeys):
    """Seals payloads as token texts."""

    def seal(self, payload: TokenPayload | ReceiptPayload) -> str:
        return self._current().encrypt(msgspec.msgpack.encode(payload)).decode().rstrip("=")

    def open(self, token: str) -> TokenPayload:
        """Raises Unauthorized for a text that is not one of our tokens."""
        return self.open_as(TokenPayload, token)

    def open_as(self, kind: type[T], token: str) -> T:
        """Raises Unauthorized for a text that is not ours or not of this kind."""
        padded = token + "=" * (-len(token) % 4)
        try:
            return packed_decoder(kind).decode(self._current().decrypt(padded.encode("ascii")))
        except (InvalidToken, ValueError, msgspec.DecodeError) as error:
            raise Unauthorized from error
