"""Typed configuration from one TOML file. Unknown keys are refused with the names that exist.

Here are the sections of the foundation. A service declares its own in its folder as a `Section` and names it in its
manifest (`service.py`). Each stays under 25 options. Defaults run the embedded cloud.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import msgspec

from gureum.foundation.shapes import converted
from gureum.foundation.urls import BUSES, DATABASES, kind_of, listening_url


class ConfigError(Exception):
    """The file cannot be used; the text says which key and why."""


class Section(msgspec.Struct):
    """Options of the table [SECTION] of the file. Several kinds may share a table, each has keys of its own there."""

    SECTION: ClassVar[str]


S = TypeVar("S", bound=Section)


class ApiConfig(msgspec.Struct, forbid_unknown_fields=True):
    """`threads` run transactions; 0 means 2 on SQLite, where more only contend for the interpreter, else 8.

    Open connections of one process: `connections` in all, `connections_per_address` of one address (IPv6: one /64),
    which those in the networks `proxies` are not held to; 0 is no limit.
    """

    host: str = "127.0.0.1"
    port: int = 8774
    public_url: str = ""
    threads: int = 0
    max_body_bytes: int = 1 << 20
    connections: Annotated[int, msgspec.Meta(ge=0)] = 4096
    connections_per_address: Annotated[int, msgspec.Meta(ge=0)] = 256
    proxies: list[str] = msgspec.field(default_factory=lambda: ["127.0.0.0/8", "::1/128"])


class DatabaseConfig(msgspec.Struct, forbid_unknown_fields=True):
    """`durability`: "full" answers a write when it survives a power cut; "fast" may lose the last ones then, never half
    of one. docs/operate/performance.md has what it costs.
    """

    url: str = "sqlite:///gureum.sqlite"
    pool_size: int = 16
    durability: Literal["full", "fast"] = "full"


class BusConfig(msgspec.Struct, forbid_unknown_fields=True):
    url: str = "inprocess:"


class TasksConfig(msgspec.Struct, forbid_unknown_fields=True):
    """`workers` run what is short, `transfers` what moves data: for one project `transfers_of_project` of them."""

    workers: int = 4
    transfers: Annotated[int, msgspec.Meta(ge=1)] = 16
    transfers_of_project: Annotated[int, msgspec.Meta(ge=1)] = 4
    lease_s: float = 30.0
    poll_s: float = 1.0


class WorkerConfig(msgspec.Struct, forbid_unknown_fields=True):
    """Where a worker tells its health and its counts; port 0: nowhere. Each worker of a machine takes the first free
    one of `ports` ports from `port` on.
    """

    listen: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    ports: Annotated[int, msgspec.Meta(ge=1, le=64)] = 8


class EventsConfig(msgspec.Struct, forbid_unknown_fields=True):
    """How many days events stay after every subscriber has read them, and which kinds are written although no
    subscriber reads them: "*" for all.
    """

    keep_days: Annotated[int, msgspec.Meta(ge=1)] = 7
    record: list[str] = msgspec.field(default_factory=lambda: ["project.deleted"])


class ServicesConfig(msgspec.Struct, forbid_unknown_fields=True):
    """Which services this cloud carries: those of `profile` and those `enabled` beside it, with all that they need."""

    profile: str = "core"
    enabled: list[str] = []


class LogConfig(msgspec.Struct, forbid_unknown_fields=True):
    file: str = ""
    level: str = "INFO"


class PolicyConfig(msgspec.Struct, forbid_unknown_fields=True):
    file: str = ""


class RegionConfig(Section):
    """Of the section [bootstrap]: the region that this cloud is."""

    SECTION: ClassVar[str] = "bootstrap"

    region: str = "RegionOne"


class _OfTheFoundation(msgspec.Struct):
    """What the file says of the foundation; the tables beside are the services'."""

    state: str = "."
    api: ApiConfig = msgspec.field(default_factory=ApiConfig)
    database: DatabaseConfig = msgspec.field(default_factory=DatabaseConfig)
    bus: BusConfig = msgspec.field(default_factory=BusConfig)
    tasks: TasksConfig = msgspec.field(default_factory=TasksConfig)
    worker: WorkerConfig = msgspec.field(default_factory=WorkerConfig)
    events: EventsConfig = msgspec.field(default_factory=EventsConfig)
    services: ServicesConfig = msgspec.field(default_factory=ServicesConfig)
    log: LogConfig = msgspec.field(default_factory=LogConfig)
    policy: PolicyConfig = msgspec.field(default_factory=PolicyConfig)


FOUNDATION_SECTIONS = tuple(field.name for field in msgspec.structs.fields(_OfTheFoundation))
"""Top-level keys of the file that belong to the foundation."""


class Config(_OfTheFoundation):
    """The whole file. Relative paths are relative to `state`.

    `tables` are the sections that services read, as the file has them: section name -> option -> value. `section` gives
    one with its types; `file` is where they come from, for messages.
    """

    tables: dict[str, dict[str, Any]] = {}
    file: str = "the configuration"

    def section(self, kind: type[S]) -> S:
        """The options of `kind`, defaults included. Raises ConfigError for a value that does not fit."""
        names = _options(kind)
        table = {name: value for name, value in self.tables.get(kind.SECTION, {}).items() if name in names}
        try:
            return converted(table, kind)
        except msgspec.ValidationError as error:
            raise ConfigError(f"{self.file}: {_placed(error, kind.SECTION)}") from error

    def with_sections(self, *sections: Section) -> Config:
        """A copy whose options of these kinds are these."""
        tables = {name: dict(table) for name, table in self.tables.items()}
        for section in sections:
            tables.setdefault(section.SECTION, {}).update(msgspec.to_builtins(section))
        return msgspec.structs.replace(self, tables=tables)

    def check_sections(self, kinds: Iterable[type[Section]]) -> None:
        """Raises ConfigError for a section or option that none of `kinds` knows, and for a value that does not fit."""
        known: dict[str, set[str]] = {}
        for kind in kinds:
            known.setdefault(kind.SECTION, set()).update(_options(kind))
            self.section(kind)
        for name, table in self.tables.items():
            if name not in known:
                raise ConfigError(f"{self.file}: there is no section [{name}]")
            if unknown := sorted(table.keys() - known[name]):
                raise ConfigError(
                    f"{self.file}: [{name}] has no option {unknown[0]!r}; there are {', '.join(sorted(known[name]))}"
                )

    def path(self, name: str) -> Path:
        """`name` as a path, relative to the state folder unless absolute."""
        return Path(self.state, name)

    def absolute(self, url: str) -> str:
        """A URL of the file; those of files are relative to `state`."""
        for scheme in ("sqlite:///", "unix:"):
            rest = url.removeprefix(scheme)
            if rest != url and not rest.startswith("/"):
                return scheme + str(self.path(rest).absolute())
        return url

    @property
    def public_url(self) -> str:
        """Where clients reach the API, without a path."""
        return self.api.public_url or listening_url(self.api.host, self.api.port)

    @property
    def region(self) -> str:
        return self.section(RegionConfig).region


def load(file: Path) -> Config:
    """Read a configuration file and check what belongs to the foundation; `Config.check_sections` does the rest."""
    try:
        tables = tomllib.loads(file.read_text())
        own = {name: tables.pop(name) for name in FOUNDATION_SECTIONS if name in tables}
        for name, table in tables.items():
            if not isinstance(table, dict):
                raise ConfigError(f"{file}: there is no option {name!r} outside of sections")
        config = msgspec.convert({**own, "tables": tables, "file": str(file)}, Config)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, OSError) as error:
        raise ConfigError(f"{file}: {error}") from error
    for section, url, kinds, usual in (
        ("database", config.database.url, DATABASES, "postgresql+psycopg://USER:PASSWORD@HOST/NAME or sqlite:///FILE"),
        ("bus", config.bus.url, BUSES, "amqp://USER:PASSWORD@HOST, unix:/PATH or inprocess:"),
    ):
        if kind_of(url) not in kinds:
            raise ConfigError(f"{file}: [{section}] url: {kind_of(url)}: cannot be used here; write {usual}")
    return config


def _options(kind: type[Section]) -> set[str]:
    return {field.name for field in msgspec.structs.fields(kind)}


def _placed(error: msgspec.ValidationError, section: str) -> str:
    """msgspec's message with the path in the file: `$.image.cache_bytes` for `$.cache_bytes`."""
    return str(error).replace("`$", f"`$.{section}")
