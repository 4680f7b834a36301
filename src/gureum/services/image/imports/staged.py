"""Data on the stage: whole, hashed and inspected, in a store, but no image's yet.

Invariant: whoever records a `Staged` in the database owns its blob, and removes it or makes it an image's location.
"""

from __future__ import annotations

from typing import Any

import msgspec

from gureum.drivers.image.ingest import Ingested
from gureum.drivers.image.inspector import Inspection, mismatch
from gureum.foundation.http.views import JsonValue
from gureum.foundation.shapes import converted


class Staged(msgspec.Struct, frozen=True):
    """`format`, `problems` and `table` are the inspector's words for the content."""

    store: str
    location: str
    size: int
    md5: str
    sha512: str
    format: str
    virtual_size: int
    problems: tuple[str, ...] = ()
    table: str | None = None

    @classmethod
    def of(cls, store: str, found: Ingested) -> Staged:
        seen = found.inspection
        return cls(
            store,
            found.blob.location,
            found.size,
            found.md5_hex,
            found.sha512_hex,
            seen.format,
            seen.virtual_size_bytes,
            seen.problems,
            seen.partition_table,
        )

    def refusals(self, declared_format: str) -> tuple[str, ...]:
        """Why this must not become an image of the declared format; empty when it may."""
        found = mismatch(declared_format, self.inspection)
        return tuple(reason for reason in (found, *self.problems) if reason)

    @property
    def inspection(self) -> Inspection:
        return Inspection(self.format, self.virtual_size, self.problems, self.table)

    def as_json(self) -> dict[str, JsonValue]:
        document: dict[str, JsonValue] = msgspec.to_builtins(self)
        return document


def staged_of(data: dict[str, Any] | None) -> Staged | None:
    return None if data is None else converted(data, Staged)
