"""The image service's outside: stores, fetcher, cache and converter, built from the configuration."""

from __future__ import annotations

import ipaddress
import logging
import re
import shutil
import socket
from pathlib import Path

from gureum.drivers.image.file.store import FileImageStore
from gureum.drivers.image.interface import ImageStore
from gureum.drivers.image.pace import MinimumRate
from gureum.drivers.image.qemu import QemuConverter
from gureum.drivers.image.rbd.command import PROGRAMS, RbdPool
from gureum.drivers.image.rbd.store import RbdImageStore
from gureum.drivers.image.stores import NamedStore, Stores
from gureum.drivers.image.web.fetch import WebFetcher
from gureum.drivers.image.web.guard import Allowed
from gureum.drivers.image.web.store import WebImageStore
from gureum.foundation.config import Config, ConfigError
from gureum.roles.drivers import Drivers
from gureum.services.image.cache.node import NodeCache
from gureum.services.image.config import ImageConfig, ImageStoreConfig
from gureum.services.image.outside import ImageOutside

log = logging.getLogger("gureum.image")


def image_outside(config: Config) -> ImageOutside:
    """Raises ConfigError for what cannot be."""
    section = config.section(ImageConfig)
    minimum_rate = MinimumRate(section.minimum_rate_kib_s << 10)
    fetcher = WebFetcher(allowed_places(config), section.web.idle_s, minimum_rate=minimum_rate)
    configured = [_store(config, name, one, fetcher) for name, one in configured_stores(config).items()]
    try:
        stores = Stores(configured, section.default_store)
    except ValueError as error:
        raise ConfigError(f"[image]: {error}") from error
    program = shutil.which("qemu-img")
    if section.convert_to and program is None:
        raise ConfigError("[image] convert_to needs qemu-img: install qemu-utils")
    converter = QemuConverter(program) if program is not None else None
    return ImageOutside(stores, fetcher, _cache(config), converter)


def _cache(config: Config) -> NodeCache | None:
    """Each node has a folder of its own inside, so that nodes which share `cache` by mistake do not meet."""
    section = config.section(ImageConfig)
    if not section.cache:
        return None
    node = section.cache_node or socket.gethostname()
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", node):
        raise ConfigError(f"[image] cache_node: {node!r} is not 1 to 64 letters, digits, '.', '_' or '-'")
    folder = config.path(section.cache)
    return NodeCache(node, FileImageStore(folder / node), folder / f"{node}.lock")


def _store(config: Config, name: str, one: ImageStoreConfig, fetcher: WebFetcher) -> NamedStore:
    if not name or "," in name or len(name) > 64:
        raise ConfigError(f"[image.stores]: {name!r} cannot name a store")
    engine: ImageStore
    properties: dict[str, object]
    if one.kind == "rbd":
        engine, properties = _rbd(config, name, one)
    elif one.kind == "web":
        engine, properties = WebImageStore(fetcher), {}
    else:
        folder = folder_of(config, name, one)
        engine, properties = FileImageStore(folder), {"folder": str(folder)}
    return NamedStore(name, one.kind, engine, one.description, one.weight, one.kind == "web", properties)


def _rbd(config: Config, name: str, one: ImageStoreConfig) -> tuple[ImageStore, dict[str, object]]:
    """Raises ConfigError for what cannot work; what may come back is told to the log, and the cloud starts."""
    where = f"[image.stores.{name}]"
    if missing := [program for program in PROGRAMS if shutil.which(program) is None]:
        raise ConfigError(f"{where}: the program {missing[0]} is missing. Run: apt-get install ceph-common")
    try:
        pool = pool_of(config, one)
        store = RbdImageStore(pool)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from error
    if problem := store.problem():
        log.error("%s cannot be used for now: %s", where, problem)
    return store, {"pool": pool.pool, "user": pool.user, "chunk_size": pool.chunk_bytes, "thin_provisioning": True}


def pool_of(config: Config, one: ImageStoreConfig) -> RbdPool:
    """Raises ValueError for names and sizes that Ceph would not take."""
    conf = config.path(one.conf) if one.conf else Path(f"/etc/ceph/{one.cluster}.conf")
    return RbdPool(one.pool, one.user, conf.absolute(), one.chunk_mib << 20, one.answer_s, one.stall_s)


def configured_stores(config: Config) -> dict[str, ImageStoreConfig]:
    """Name -> store; the one that there is when none is named."""
    section = config.section(ImageConfig)
    return section.stores or {"file": ImageStoreConfig(folder=section.folder)}


def folder_of(config: Config, name: str, one: ImageStoreConfig) -> Path:
    """Where a store of the kind "file" keeps its data."""
    return config.path(one.folder or f"images-{name}")


def allowed_places(config: Config) -> Allowed:
    """Raises ConfigError for a network that is none."""
    web = config.section(ImageConfig).web
    try:
        networks = tuple(ipaddress.ip_network(one) for one in web.networks)
    except ValueError as error:
        raise ConfigError(f"[image.web] networks: {error}") from error
    return Allowed(
        tuple(web.schemes),
        frozenset(host.lower() for host in web.hosts),
        frozenset(host.lower() for host in web.refused_hosts),
        frozenset(web.ports),
        frozenset(web.refused_ports),
        networks,
    )


def _outside(drivers: Drivers) -> ImageOutside:
    return image_outside(drivers.config)


DRIVERS = {ImageOutside: _outside}
