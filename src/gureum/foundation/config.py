"""Typed configuration from one TOML file. Unknown keys are refused with the names that exist.

Sections belong to the parts that read them; each stays under 25 options. Defaults run the embedded cloud.
"""

from __future__ import annotations

import ipaddress
import tomllib
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from gureum.foundation.urls import BUSES, DATABASES, kind_of, listening_url


class ConfigError(Exception):
    """The file cannot be used; the text says which key and why."""


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


class NetworkConfig(msgspec.Struct, forbid_unknown_fields=True):
    """A port's MAC begins with the first three octets of `base_mac`, and with the fourth when that is not 00.

    `dns_servers` are the resolvers that guests in subnets without `dns_nameservers` are told of.
    """

    driver: str = "fake"
    northbound: str = ""
    southbound: str = ""
    owner: str = "gureum"
    mtu: int = 1442
    external_mtu: int = 1500
    base_mac: Annotated[str, msgspec.Meta(pattern="^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$")] = "fa:16:3e:00:00:00"
    port_up_timeout_s: float = 120.0
    dns_servers: list[str] = []

    def __post_init__(self) -> None:
        for server in self.dns_servers:
            ipaddress.ip_address(server)


class HypervisorConfig(msgspec.Struct, forbid_unknown_fields=True):
    mode: str = "simulated"
    simulated_hosts: int = 1
    heartbeat_timeout_s: float = 8.0
    boot_timeout_s: float = 300.0
    cpu_ratio: float = 16.0
    ram_ratio: float = 1.0
    disk_ratio: float = 1.0


class ImageStoreConfig(msgspec.Struct, forbid_unknown_fields=True):
    """`[image.stores.NAME]`. `kind` is "file" (a folder), "rbd" (a Ceph pool) or "web" (outside locations, read only).

    Of an image's copies that of the store with the highest `weight` is read first. Of Ceph: the `cluster`'s name,
    `conf` (empty: /etc/ceph/CLUSTER.conf), the `pool`, the `user` whose key opens it, the size of the objects that
    images are cut into; how long a question may take, and how long a stream may stand still.
    """

    kind: Literal["file", "web", "rbd"] = "file"
    folder: str = ""
    pool: str = "images"
    user: str = "gureum"
    cluster: str = "ceph"
    conf: str = ""
    chunk_mib: int = 8
    answer_s: float = 15.0
    stall_s: float = 60.0
    description: str = ""
    weight: int = 0


class ImageWebConfig(msgspec.Struct, forbid_unknown_fields=True):
    """`[image.web]`: which outside places image data may come from. Empty `hosts` allows all but `refused_hosts`.

    Addresses that are not of the public internet are refused whatever a name says, except those in `networks`.
    """

    schemes: list[Literal["http", "https"]] = msgspec.field(default_factory=lambda: ["http", "https"])
    hosts: list[str] = []
    refused_hosts: list[str] = []
    ports: list[int] = msgspec.field(default_factory=lambda: [80, 443])
    refused_ports: list[int] = []
    networks: list[str] = []
    idle_s: float = 30.0


class ImagePropertyConfig(msgspec.Struct, forbid_unknown_fields=True):
    """`[[image.properties]]`: roles that may handle image properties whose whole name `pattern` matches.

    The first entry that matches decides; "@" is everyone. Once there is an entry, a property that none matches is
    nobody's.
    """

    pattern: str
    create: list[str] = []
    read: list[str] = []
    update: list[str] = []
    delete: list[str] = []


class ImageQuotaConfig(msgspec.Struct, forbid_unknown_fields=True):
    """`[image.quota]`: what a project has without a limit of its own; -1 is no limit. Totals are in MiB."""

    image_size_total: int = -1
    image_stage_total: int = -1
    image_count_total: int = -1
    image_count_uploading: int = -1


class ImageConfig(msgspec.Struct, forbid_unknown_fields=True):
    """Without `stores` there is one, "file", in `folder`. `cache` names the folder of the image cache, empty: none;
    `cache_node` whose cache it is, empty: this machine's.

    `convert_to` is the format that imports are brought to, empty: none. `show_locations` lets owners see and set
    where data is. Limits of one image: `max_bytes`, `max_properties`, `max_tags`, `max_members`. Who sends or takes
    image data at less than `minimum_rate_kib_s` is cut off; a project makes `uploads_of_project` uploads at a time.
    """

    folder: str = "images"
    max_bytes: int = 1 << 40
    stores: dict[str, ImageStoreConfig] = {}
    default_store: str = ""
    scratch: str = "images-scratch"
    cache: str = ""
    cache_node: str = ""
    cache_bytes: int = 10 << 30
    convert_to: Literal["", "raw", "qcow2"] = ""
    show_locations: bool = False
    secure_hash: bool = True
    max_properties: int = 128
    max_tags: int = 128
    max_members: int = 128
    minimum_rate_kib_s: Annotated[int, msgspec.Meta(ge=0)] = 16
    uploads_of_project: Annotated[int, msgspec.Meta(ge=1)] = 32
    web: ImageWebConfig = msgspec.field(default_factory=ImageWebConfig)
    properties: list[ImagePropertyConfig] = []
    quota: ImageQuotaConfig = msgspec.field(default_factory=ImageQuotaConfig)


class AuthConfig(msgspec.Struct, forbid_unknown_fields=True):
    """`hash` is how new passwords are kept; `hash_time_cost` its passes or rounds, 0 for what is usual for it."""

    keys: str = "keys"
    token_lifetime_s: int = 3600
    hash: Literal["argon2id", "bcrypt", "pbkdf2"] = "argon2id"
    hash_time_cost: Annotated[int, msgspec.Meta(ge=0, le=10_000_000)] = 0
    hash_memory_kib: Annotated[int, msgspec.Meta(ge=8)] = 19456


class IdentityConfig(msgspec.Struct, forbid_unknown_fields=True):
    """Rules for accounts; 0 turns a number off, as all but the lock-out are by default.

    A user is locked out for `lockout_duration_s` after `lockout_failure_attempts` wrong secrets in a row: passwords,
    pass codes and chosen secrets of application credentials count together.
    `unique_last_password_count` counts the present password. A user that does nothing for
    `disable_user_account_days_inactive` days is disabled. `trust_depth` bounds redelegations.
    """

    lockout_failure_attempts: int = 10
    lockout_duration_s: int = 300
    password_expires_days: int = 0
    unique_last_password_count: int = 0
    minimum_password_age_days: int = 0
    password_regex: str = ""
    password_regex_description: str = ""
    change_password_upon_first_use: bool = False
    disable_user_account_days_inactive: int = 0
    trust_depth: int = 3
    project_depth: int = 5
    receipt_lifetime_s: int = 300
    signature_window_s: int = 900
    limit_model: Literal["flat", "strict_two_level"] = "flat"


class BootstrapConfig(msgspec.Struct, forbid_unknown_fields=True):
    admin_password: str = ""
    demo_password: str = ""
    guest_image: str = ""
    external_cidr: str = "198.18.0.0/24"
    region: str = "RegionOne"


class LogConfig(msgspec.Struct, forbid_unknown_fields=True):
    file: str = ""
    level: str = "INFO"


class PolicyConfig(msgspec.Struct, forbid_unknown_fields=True):
    file: str = ""


class Config(msgspec.Struct, forbid_unknown_fields=True):
    """The whole file. Relative paths are relative to `state`."""

    state: str = "."
    api: ApiConfig = msgspec.field(default_factory=ApiConfig)
    database: DatabaseConfig = msgspec.field(default_factory=DatabaseConfig)
    bus: BusConfig = msgspec.field(default_factory=BusConfig)
    tasks: TasksConfig = msgspec.field(default_factory=TasksConfig)
    worker: WorkerConfig = msgspec.field(default_factory=WorkerConfig)
    network: NetworkConfig = msgspec.field(default_factory=NetworkConfig)
    hypervisor: HypervisorConfig = msgspec.field(default_factory=HypervisorConfig)
    image: ImageConfig = msgspec.field(default_factory=ImageConfig)
    auth: AuthConfig = msgspec.field(default_factory=AuthConfig)
    identity: IdentityConfig = msgspec.field(default_factory=IdentityConfig)
    bootstrap: BootstrapConfig = msgspec.field(default_factory=BootstrapConfig)
    log: LogConfig = msgspec.field(default_factory=LogConfig)
    policy: PolicyConfig = msgspec.field(default_factory=PolicyConfig)

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


def load(file: Path) -> Config:
    """Read and check a configuration file."""
    try:
        config = msgspec.convert(tomllib.loads(file.read_text()), Config)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, OSError) as error:
        raise ConfigError(f"{file}: {error}") from error
    for section, url, kinds, usual in (
        ("database", config.database.url, DATABASES, "postgresql+psycopg://USER:PASSWORD@HOST/NAME or sqlite:///FILE"),
        ("bus", config.bus.url, BUSES, "amqp://USER:PASSWORD@HOST, unix:/PATH or inprocess:"),
    ):
        if kind_of(url) not in kinds:
            raise ConfigError(f"{file}: [{section}] url: {kind_of(url)}: cannot be used here; write {usual}")
    return config
