"""The image service alone: four callers, a store in a folder, tasks that a test runs by hand."""

from __future__ import annotations

import io
import shutil
import struct
from types import SimpleNamespace

import pytest
from tests.api.client import Client
from tests.api.image.web_place import place  # noqa: F401  a fixture of this folder

from gureum.drivers.image.file.store import FileImageStore
from gureum.drivers.image.stores import NamedStore, Stores
from gureum.drivers.image.web.fetch import WebFetcher
from gureum.drivers.image.web.guard import Allowed
from gureum.drivers.image.web.store import WebImageStore
from gureum.foundation.caller import Caller
from gureum.foundation.db.engine import Database
from gureum.foundation.db.types import Row
from gureum.foundation.errors import Unauthorized
from gureum.foundation.http.app import App
from gureum.foundation.http.authentication import Authentication
from gureum.foundation.policy import Policy
from gureum.foundation.tasks.engine import TaskEngine
from gureum.foundation.tasks.store import Tasks
from gureum.services.image import service
from gureum.services.image.cache.keeper import Keeper
from gureum.services.image.cache.node import NodeCache
from gureum.services.image.config import ImageConfig
from gureum.services.image.deps import ImageDeps

CALLERS = {
    "alice": Caller(user_id="alice", project_id="p1", roles=("member", "reader")),
    "reader": Caller(user_id="reader", project_id="p1", roles=("reader",)),
    "bob": Caller(user_id="bob", project_id="p2", roles=("member", "reader")),
    "root": Caller(user_id="root", project_id="p0", roles=("admin", "manager", "member", "reader")),
    "loose": Caller(user_id="loose", roles=()),
}
IMAGES = "/image/v2/images"
OCTETS = "application/octet-stream"


def authenticate(token):
    if token not in CALLERS:
        raise Unauthorized
    return CALLERS[token]


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory):
    """A database file with every table and no row: copying it is quicker than making it."""
    file = tmp_path_factory.mktemp("database") / "empty.sqlite"
    database = Database(f"sqlite:///{file}")
    Row.metadata.create_all(database.engine)
    database.close()
    return file


@pytest.fixture
def cloud(empty_database, tmp_path):
    """Everything of one image service; `cloud.as_("alice")` is a client."""
    shutil.copy(empty_database, tmp_path / "test.sqlite")
    database = Database(f"sqlite:///{tmp_path}/test.sqlite")
    yield cloud_on(database, tmp_path)
    database.close()


def cloud_on(database, folder, allowed=Allowed(ports=frozenset()), resolve=None, converter=None, stores=None, **config):
    """`config` are options of the section [image]; `stores` replaces the usual three."""
    engine = TaskEngine(database)
    tasks = Tasks(engine)
    store, second = FileImageStore(folder / "images"), FileImageStore(folder / "second")
    fetcher = WebFetcher(allowed, idle_s=5, resolve=resolve)
    stores = stores or Stores(
        [
            NamedStore("file", "file", store),
            NamedStore("second", "file", second),
            NamedStore("web", "web", WebImageStore(fetcher), read_only=True),
        ]
    )
    cache = NodeCache("here", FileImageStore(folder / "cache"), folder / "cache.lock")
    options = ImageConfig(**{"max_bytes": 1 << 22, **config})
    deps = ImageDeps(database, tasks, stores, options, fetcher, folder / "scratch", cache=cache, converter=converter)
    mounted = service.mounted(deps)
    engine.register(mounted.lifecycles)
    app = App(
        mounted.apis,
        database,
        Policy(service.SERVICE.rules),
        Authentication(authenticate, authenticate),
        public_url="http://cloud",
    )
    return SimpleNamespace(
        app=app,
        database=database,
        engine=engine,
        deps=deps,
        store=store,
        second=second,
        cache=cache.store,
        keeper=Keeper(deps),
        stores=stores,
        default=stores.default,
        facade=mounted.facade,
        folder=folder,
        as_=lambda name: Client(app, {"X-Auth-Token": name}),
    )


@pytest.fixture
def alice(cloud):
    return cloud.as_("alice")


@pytest.fixture
def bob(cloud):
    return cloud.as_("bob")


@pytest.fixture
def root(cloud):
    return cloud.as_("root")


def register(client, **fields):
    """A queued raw image; its document."""
    answer = client.post(IMAGES, {"name": "i", "disk_format": "raw", "container_format": "bare", **fields})
    assert answer.status == 201, answer.content
    return answer.json()


def upload(client, image_id, data, **headers):
    return client.request("PUT", f"{IMAGES}/{image_id}/file", raw=data, **{"content_type": OCTETS, **headers})


def active(client, data=b"data", **fields):
    """An active image's id."""
    image_id = register(client, **fields)["id"]
    answer = upload(client, image_id, data)
    assert answer.status == 204, answer.content
    return image_id


def patch(client, image_id, *operations, draft="2.1"):
    content_type = f"application/openstack-images-v{draft}-json-patch"
    return client.patch(f"{IMAGES}/{image_id}", list(operations), content_type=content_type)


def qcow2(virtual_size=1 << 20, *, backing_file=b""):
    """A sound, empty qcow2 header (version 3) with room for one cluster of tables."""
    out = io.BytesIO()
    offset = 112 if backing_file else 0
    out.write(
        struct.pack(
            ">4sIQIIQIIQQIIQQQQII",
            b"QFI\xfb", 3, offset, len(backing_file), 16, virtual_size, 0, 1, 0x30000, 0x10000, 1, 0, 0, 0, 0, 0, 4, 104,
        )
    )  # fmt: skip
    out.write(bytes(8))
    out.write(backing_file)
    out.write(bytes(0x40000 - out.tell()))
    return out.getvalue()
