"""The image cache of a node: queued, filled by its keeper, served, counted, emptied, kept within its size."""

from __future__ import annotations

import dataclasses
import time

import pytest
from tests.api.client import Client
from tests.api.image.conftest import IMAGES, active, authenticate, register

from gureum.drivers.image.errors import ImageStoreError
from gureum.drivers.image.file.store import FileImageStore
from gureum.foundation.http.app import App
from gureum.foundation.http.authentication import Authentication
from gureum.foundation.policy import Policy
from gureum.services.image import service
from gureum.services.image.cache.keeper import Keeper
from gureum.services.image.cache.node import NodeCache

CACHE = "/image/v2/cache"


def listed(client):
    found = client.get(CACHE).json()
    return [one["image_id"] for one in found["cached_images"]], found["queued_images"]


def forget_the_original(cloud):
    for location in list(cloud.store.locations()):
        cloud.store.delete(location)


def test_an_image_is_cached_served_and_forgotten(cloud, alice, root):
    image_id = active(alice, b"data")
    assert alice.get(CACHE).status == alice.put(f"{CACHE}/{image_id}").status == 403
    assert root.put(f"{CACHE}/nothing").status == 404
    assert root.put(f"{CACHE}/{register(alice)['id']}").status == 400
    assert root.put(f"{CACHE}/{image_id}").status == 202
    assert listed(root) == ([], [image_id])
    assert root.put(f"{CACHE}/{image_id}").status == 202
    cloud.keeper.tend()
    assert listed(root) == ([image_id], [])
    forget_the_original(cloud)
    assert alice.get(f"{IMAGES}/{image_id}/file").content == b"data"
    assert alice.get(f"{IMAGES}/{image_id}/file", range="bytes=1-2").content == b"at"
    cloud.keeper.tend()
    [one] = root.get(CACHE).json()["cached_images"]
    assert (one["hits"], one["size"], set(one)) == (
        2,
        4,
        {"image_id", "hits", "last_accessed", "last_modified", "size"},
    )
    assert root.delete(f"{CACHE}/{image_id}").status == 204
    assert root.delete(f"{CACHE}/{image_id}").status == 404
    assert listed(root) == ([], [])
    cloud.keeper.tend()
    assert list(cloud.cache.locations()) == []


def test_clearing(cloud, alice, root):
    first, second = active(alice), active(alice)
    root.put(f"{CACHE}/{first}")
    cloud.keeper.tend()
    root.put(f"{CACHE}/{second}")
    assert root.delete(CACHE, X_Image_Cache_Clear_Target="odd").status == 400
    assert root.delete(CACHE, X_Image_Cache_Clear_Target="queue").status == 204
    assert listed(root) == ([first], [])
    assert root.delete(CACHE, X_Image_Cache_Clear_Target="cache").status == 204
    assert listed(root) == ([], [])
    cloud.keeper.tend()
    assert listed(root) == ([], [])
    assert list(cloud.cache.locations()) == []
    assert root.put(f"{CACHE}/{first}").status == 202
    cloud.keeper.tend()
    assert root.delete(CACHE).status == 204
    assert listed(root) == ([], [])


def test_a_deleted_image_leaves_the_cache(cloud, alice, root):
    image_id = active(alice, b"data")
    root.put(f"{CACHE}/{image_id}")
    cloud.keeper.tend()
    assert alice.delete(f"{IMAGES}/{image_id}").status == 204
    assert listed(root) == ([], [])
    cloud.keeper.tend()
    assert list(cloud.cache.locations()) == []


def test_what_was_not_read_for_longest_makes_room(cloud, alice, root, virtual_clock):
    images = []
    for _ in range(3):
        images.append(active(alice, bytes(1000)))
        root.put(f"{CACHE}/{images[-1]}")
        cloud.keeper.tend()
        virtual_clock.advance(1)
    alice.get(f"{IMAGES}/{images[0]}/file")
    cloud.deps.config.cache_bytes = 2500
    cloud.keeper.tend()
    assert set(listed(root)[0]) == {images[0], images[2]}
    assert len(list(cloud.cache.locations())) == 2


def test_what_is_larger_than_the_cache_leaves_the_queue(cloud, alice, root):
    cloud.deps.config.cache_bytes = 999
    root.put(f"{CACHE}/{active(alice, bytes(1000))}")
    cloud.keeper.tend()
    assert listed(root) == ([], [])
    assert list(cloud.cache.locations()) == []


@pytest.mark.parametrize("call", [("GET", ""), ("DELETE", ""), ("PUT", "/x"), ("DELETE", "/x")])
def test_without_a_cache_there_is_none(cloud, root, call):
    object.__setattr__(cloud.deps, "cache", None)
    assert root.request(call[0], CACHE + call[1]).status == 404
    assert cloud.keeper.tend()


@pytest.fixture
def there(cloud, tmp_path):
    """Another node of the same cloud: its API's client, its keeper and its store."""
    store = FileImageStore(tmp_path / "cache-there")
    deps = dataclasses.replace(cloud.deps, cache=NodeCache("there", store, tmp_path / "there.lock"))
    mounted = service.mounted(deps)
    app = App(
        mounted.apis,
        cloud.database,
        Policy(service.SERVICE.rules),
        Authentication(authenticate, authenticate),
        public_url="http://there",
    )
    node = Client(app, {"X-Auth-Token": "root"})
    node.keeper, node.store = Keeper(deps), store
    return node


def test_each_node_has_a_cache_of_its_own(cloud, alice, root, there):
    image_id = active(alice, b"data")
    root.put(f"{CACHE}/{image_id}")
    assert listed(there) == ([], [])
    there.keeper.tend()
    assert listed(root) == ([], [image_id])
    cloud.keeper.tend()
    assert listed(root) == ([image_id], [])
    assert listed(there) == ([], [])
    assert there.delete(f"{CACHE}/{image_id}").status == 404

    there.put(f"{CACHE}/{image_id}")
    cloud.keeper.tend()
    assert listed(there) == ([], [image_id])
    there.keeper.tend()
    assert listed(there) == ([image_id], [])
    forget_the_original(cloud)
    assert there.get(f"{IMAGES}/{image_id}/file").content == b"data"

    assert there.delete(CACHE).status == 204
    assert listed(there) == ([], [])
    assert listed(root) == ([image_id], [])
    there.keeper.tend()
    assert (len(list(there.store.locations())), len(list(cloud.cache.locations()))) == (0, 1)


def test_a_deleted_image_leaves_every_node(cloud, alice, root, there):
    image_id = active(alice)
    for client, keeper in ((root, cloud.keeper), (there, there.keeper)):
        client.put(f"{CACHE}/{image_id}")
        keeper.tend()
    alice.delete(f"{IMAGES}/{image_id}")
    for keeper, store in ((cloud.keeper, cloud.cache), (there.keeper, there.store)):
        keeper.tend()
        assert list(store.locations()) == []


def test_a_restarted_node_knows_its_cache(cloud, alice, root):
    image_id = active(alice)
    root.put(f"{CACHE}/{image_id}")
    cloud.keeper.tend()
    before = list(cloud.cache.locations())
    Keeper(cloud.deps).tend()
    assert list(cloud.cache.locations()) == before
    assert listed(root) == ([image_id], [])


def test_a_copy_that_was_lost_is_made_again(cloud, alice, root):
    image_id = active(alice)
    root.put(f"{CACHE}/{image_id}")
    cloud.keeper.tend()
    for location in list(cloud.cache.locations()):
        cloud.cache.delete(location)
    cloud.keeper.tend()
    assert listed(root) == ([], [image_id])
    cloud.keeper.tend()
    assert listed(root) == ([image_id], [])


def test_a_copy_that_nobody_recorded_goes(cloud):
    """What a killed process had finished and not yet written down."""
    writer = cloud.cache.create("image")
    writer.write(b"data")
    writer.commit()
    cloud.keeper.tend()
    assert list(cloud.cache.locations()) == []


def test_processes_of_one_node_take_turns(cloud, alice, root):
    image_id = active(alice)
    root.put(f"{CACHE}/{image_id}")
    with cloud.deps.cache.alone() as mine:
        assert mine
        assert not cloud.keeper.tend(), "another one holds the node's lock"
        assert listed(root) == ([], [image_id])
    assert cloud.keeper.tend()
    assert listed(root) == ([image_id], [])


def test_a_store_that_is_silent_keeps_the_image_queued(cloud, alice, root, monkeypatch, virtual_clock):
    image_id = active(alice)
    root.put(f"{CACHE}/{image_id}")
    asked = []

    def silent(*_words):
        asked.append(1)
        raise ImageStoreError("silent")

    with monkeypatch.context() as patch:
        patch.setattr(cloud.store, "open", silent)
        cloud.keeper.tend()
        cloud.keeper.tend()
    assert len(asked) == 1, "it is not asked in every round"
    assert listed(root) == ([], [image_id])
    virtual_clock.advance(20)
    cloud.keeper.tend()
    assert listed(root) == ([image_id], [])


def test_a_request_wakes_the_keeper(cloud, alice, root):
    image_id = active(alice)
    cloud.keeper.start()
    try:
        root.put(f"{CACHE}/{image_id}")
        deadline = time.monotonic() + 5
        while listed(root) != ([image_id], []):
            assert time.monotonic() < deadline, "it waits for its next round"
            time.sleep(0.01)
    finally:
        cloud.keeper.stop()
