"""Whose image cache it is: a name from the configuration, or the machine's; each has a folder of its own."""

from __future__ import annotations

import socket

import pytest

from gureum.foundation.config import Config, ConfigError
from gureum.roles.drivers.image import image_outside
from gureum.services.image.config import ImageConfig


def cache_of(folder, **options):
    return image_outside(Config(state=str(folder)).with_sections(ImageConfig(**options))).cache


def test_a_machine_is_a_node_unless_it_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "api1.example.com")
    assert cache_of(tmp_path) is None
    assert cache_of(tmp_path, cache="cache").node == "api1.example.com"
    assert cache_of(tmp_path, cache="cache", cache_node="east").node == "east"


def test_nodes_that_share_a_folder_do_not_meet(tmp_path):
    east, west = (cache_of(tmp_path, cache="cache", cache_node=name) for name in ("east", "west"))
    writer = east.store.create("image")
    writer.write(b"data")
    writer.commit()
    assert (len(list(east.store.locations())), len(list(west.store.locations()))) == (1, 0)
    with east.alone() as one, west.alone() as other:
        assert one
        assert other


@pytest.mark.parametrize("name", ["../x", ".", "a/b", "-x", "x" * 65, "a b"])
def test_a_name_that_is_no_folder_is_refused(tmp_path, name):
    with pytest.raises(ConfigError, match="cache_node"):
        cache_of(tmp_path, cache="cache", cache_node=name)
