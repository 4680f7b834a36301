"""Which engine stands behind each interface: the one place, besides tests, that chooses concrete drivers.

`roles/drivers/NAME.py` belongs to the service NAME. Its `DRIVERS` maps an interface to a function that makes the engine
from the configuration; it is imported only when that service is enabled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any, TypeVar, cast

from gureum.foundation.bus.interface import Bus
from gureum.foundation.config import Config
from gureum.foundation.service import ContractError, Service, Start

T = TypeVar("T")
Make = Callable[["Drivers"], Any]


class Drivers:
    """The engines of one process, each made when it is first asked for.

    `alone` says that no other process carries this cloud: simulated hosts live in this one then. `starts` is what
    engines want started with the process. `overrides` are used as they are.
    """

    def __init__(
        self,
        config: Config,
        bus: Bus,
        services: Iterable[Service],
        *,
        alone: bool,
        overrides: Mapping[type, object] | None = None,
    ) -> None:
        self.config = config
        self.bus = bus
        self.alone = alone
        self.starts: list[Start] = []
        self._made: dict[type, object] = dict(overrides or {})
        self._makers: dict[type, Make] = {}
        for service in services:
            if any(interface not in self._made for interface in service.drivers):
                self._makers |= import_module(f"{__name__}.{service.name}").DRIVERS

    def get(self, interface: type[T]) -> T:
        """The engine behind `interface`. Raises ConfigError for one that cannot be used."""
        if interface not in self._made:
            if interface not in self._makers:
                raise ContractError(f"no driver is known for {interface.__name__}")
            self._made[interface] = self._makers[interface](self)
        return cast("T", self._made[interface])
