"""Which services a cloud carries, from its configuration: their manifests in order, their tables, rules and options.

Only what is enabled is imported. Read next: `catalogue.py` for the list, `gureum/foundation/service.py` for a manifest.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from sqlalchemy import Table

from gureum.foundation.config import Config, ConfigError, RegionConfig, Section, ServicesConfig, load
from gureum.foundation.db.schema import Schema
from gureum.foundation.db.types import Row
from gureum.foundation.policy import Rule
from gureum.foundation.service import Service, in_order
from gureum.roles.catalogue import PROFILES, SERVICES


class Catalogue:
    """The services that there are: `packages` hold a `service.py` each, whose name is the service's."""

    def __init__(
        self, packages: Iterable[str] = SERVICES, profiles: Mapping[str, tuple[str, ...]] | None = None
    ) -> None:
        self.packages = {package.rpartition(".")[2]: package for package in packages}
        self.profiles = {**PROFILES, **(profiles or {})}

    def service(self, name: str) -> Service:
        """The manifest of a service; imports all of it."""
        manifest = import_module(f"{self.packages[name]}.service").SERVICE
        assert isinstance(manifest, Service)
        assert manifest.name == name, f"{self.packages[name]} calls itself {manifest.name}"
        return manifest

    def enabled(self, section: ServicesConfig) -> list[Service]:
        """What a cloud with these options carries, each after those that it needs. Raises ConfigError."""
        if section.profile not in self.profiles:
            raise ConfigError(f"[services] profile: {section.profile!r} is none of {', '.join(self.profiles)}")
        waiting = [*self.profiles[section.profile], *section.enabled]
        if unknown := [name for name in section.enabled if name not in self.packages]:
            raise ConfigError(f"[services] enabled: {unknown[0]!r} is none of {', '.join(self.packages)}")
        services: dict[str, Service] = {}
        while waiting:
            if (name := waiting.pop()) not in services:
                services[name] = self.service(name)
                waiting += [self.offering(need) for need in services[name].needs]
        return in_order(sorted(services.values(), key=lambda service: list(self.packages).index(service.name)))

    def offering(self, facade: type) -> str:
        """The name of the service whose facade this is: it lies in its package."""
        package = facade.__module__.removesuffix(".facade")
        return next(name for name, one in self.packages.items() if one == package)

    def check(self, config: Config) -> list[Service]:
        """The enabled services of a configuration. Raises ConfigError for what in it nobody reads, or cannot be.

        The sections of services that are not enabled may stay.
        """
        services = self.enabled(config.services)
        kinds: list[type[Section]] = [RegionConfig, *(kind for service in services for kind in service.config)]
        sections = {kind.SECTION for kind in kinds}
        if config.tables.keys() - sections or any(self._options_of_others(config, kinds)):
            kinds = [RegionConfig, *(kind for name in self.packages for kind in self.service(name).config)]
        config.check_sections(kinds)
        return services

    @staticmethod
    def _options_of_others(config: Config, kinds: Iterable[type[Section]]) -> Iterable[str]:
        known = {(kind.SECTION, option) for kind in kinds for option in kind.__struct_fields__}
        return (option for name, table in config.tables.items() for option in table if (name, option) not in known)

    def migrations(self) -> dict[str, Path]:
        """Service -> the folder of its migrations, without an import of the service."""
        return {name: _folder(package) / "migrations" for name, package in self.packages.items()}

    def schema(self, services: Iterable[Service]) -> Schema:
        """The tables of these services and of the foundation, and the revisions that lead to them."""
        names = [service.name for service in services]
        owners = ("gureum.foundation.", *(f"{self.packages[name]}." for name in names))
        tables = [
            mapper.local_table
            for mapper in Row.registry.mappers
            if isinstance(mapper.local_table, Table) and mapper.class_.__module__.startswith(owners)
        ]
        return Schema(self.migrations(), names, tables)

    def rules(self, services: Iterable[Service] | None = None) -> tuple[Rule, ...]:
        """The policy rules of these services, or of all that there are."""
        chosen = [self.service(name) for name in self.packages] if services is None else services
        return tuple(rule for service in chosen for rule in service.rules)


def _folder(package: str) -> Path:
    if (module := sys.modules.get(package)) is not None and module.__file__:
        return Path(module.__file__).parent
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


CATALOGUE = Catalogue()


def read_config(file: Path) -> Config:
    """The whole of a configuration file, checked with the sections of the services. Raises ConfigError."""
    config = load(file)
    CATALOGUE.check(config)
    return config
