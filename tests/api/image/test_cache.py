"""The image cache: queued, filled by a task, served, counted, emptied, kept within its size."""

from __future__ import annotations

import pytest
from tests.api.image.conftest import IMAGES, active, register

from gureum.services.image.cache.lifecycle import tidy

CACHE = "/image/v2/cache"


def listed(client):
    found = client.get(CACHE).json()
    return [one["image_id"] for one in found["cached_images"]], found["queued_images"]


def test_an_image_is_cached_served_and_forgotten(cloud, alice, root):
    image_id = active(alice, b"data")
    assert alice.get(CACHE).status == alice.put(f"{CACHE}/{image_id}").status == 403
    assert root.put(f"{CACHE}/nothing").status == 404
    assert root.put(f"{CACHE}/{register(alice)['id']}").status == 400
    assert root.put(f"{CACHE}/{image_id}").status == 202
    assert listed(root) == ([], [image_id])
    assert root.put(f"{CACHE}/{image_id}").status == 202
    cloud.engine.run_due()
    assert listed(root) == ([image_id], [])
    for location in list(cloud.store.locations()):
        cloud.store.delete(location)
    assert alice.get(f"{IMAGES}/{image_id}/file").content == b"data"
    assert alice.get(f"{IMAGES}/{image_id}/file", range="bytes=1-2").content == b"at"
    tidy(cloud.deps)
    [one] = root.get(CACHE).json()["cached_images"]
    assert (one["hits"], one["size"], set(one)) == (
        2,
        4,
        {"image_id", "hits", "last_accessed", "last_modified", "size"},
    )
    assert root.delete(f"{CACHE}/{image_id}").status == 204
    assert root.delete(f"{CACHE}/{image_id}").status == 404
    assert listed(root) == ([], [])
    tidy(cloud.deps)
    assert list(cloud.cache.locations()) == []


def test_clearing(cloud, alice, root):
    first, second = active(alice), active(alice)
    root.put(f"{CACHE}/{first}")
    cloud.engine.run_due()
    root.put(f"{CACHE}/{second}")
    assert root.delete(CACHE, X_Image_Cache_Clear_Target="odd").status == 400
    assert root.delete(CACHE, X_Image_Cache_Clear_Target="queue").status == 204
    assert listed(root) == ([first], [])
    assert root.delete(CACHE, X_Image_Cache_Clear_Target="cache").status == 204
    assert listed(root) == ([], [])
    cloud.engine.run_due()
    assert listed(root) == ([], [])
    tidy(cloud.deps)
    assert list(cloud.cache.locations()) == []
    assert root.put(f"{CACHE}/{first}").status == 202
    cloud.engine.run_due()
    assert root.delete(CACHE).status == 204
    assert listed(root) == ([], [])


def test_a_deleted_image_leaves_the_cache(cloud, alice, root):
    image_id = active(alice, b"data")
    root.put(f"{CACHE}/{image_id}")
    cloud.engine.run_due()
    assert alice.delete(f"{IMAGES}/{image_id}").status == 204
    assert listed(root) == ([], [])
    cloud.engine.run_due()
    tidy(cloud.deps)
    assert list(cloud.cache.locations()) == []


def test_what_was_not_read_for_longest_makes_room(cloud, alice, root, virtual_clock):
    images = []
    for _ in range(3):
        images.append(active(alice, bytes(1000)))
        root.put(f"{CACHE}/{images[-1]}")
        cloud.engine.run_due()
        virtual_clock.advance(1)
    alice.get(f"{IMAGES}/{images[0]}/file")
    cloud.deps.config.cache_bytes = 2500
    tidy(cloud.deps)
    assert set(listed(root)[0]) == {images[0], images[2]}
    assert len(list(cloud.cache.locations())) == 2


@pytest.mark.parametrize("call", [("GET", ""), ("DELETE", ""), ("PUT", "/x"), ("DELETE", "/x")])
def test_without_a_cache_there_is_none(cloud, root, call):
    object.__setattr__(cloud.deps, "cache", None)
    assert root.request(call[0], CACHE + call[1]).status == 404
