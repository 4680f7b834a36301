"""The stores of a cloud, by name: which one is the default, which can be written to, in which order copies are read.

Not here: what a store does (`interface.py`) and which image lies where (the image service's database).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from gureum.drivers.image.interface import ImageStore


@dataclass(frozen=True)
class NamedStore:
    """A configured store. `properties` are what administrators may see of its configuration."""

    name: str
    kind: str
    engine: ImageStore
    description: str = ""
    weight: int = 0
    read_only: bool = False
    properties: dict[str, Any] = field(default_factory=dict)


class Stores:
    """Immutable after it is made. Raises ValueError without a store that can be the default."""

    def __init__(self, stores: Iterable[NamedStore], default: str = "") -> None:
        self._stores = {store.name: store for store in stores}
        writable = [store.name for store in self._stores.values() if not store.read_only]
        name = default or next(iter(writable), "")
        if name not in writable:
            raise ValueError(f"the default image store {name!r} is not among the ones that take data: {writable}")
        self.default = self._stores[name]

    def __iter__(self) -> Iterator[NamedStore]:
        return iter(self._stores.values())

    def __len__(self) -> int:
        return len(self._stores)

    def get(self, name: str) -> NamedStore | None:
        return self._stores.get(name)

    def engine(self, name: str) -> ImageStore:
        """Raises KeyError for a store that is not configured any more."""
        return self._stores[name].engine

    @property
    def writable(self) -> list[NamedStore]:
        return [store for store in self._stores.values() if not store.read_only]

    def of_kind(self, kind: str) -> NamedStore | None:
        """The first store of this kind."""
        return next((store for store in self._stores.values() if store.kind == kind), None)

    def ordered(self, names: Iterable[str]) -> list[str]:
        """Heaviest first, then by name; stores that are not configured any more last."""
        return sorted(names, key=self._rank)

    def _rank(self, name: str) -> tuple[bool, int, str]:
        store = self._stores.get(name)
        return (store is None, -store.weight if store else 0, name)
