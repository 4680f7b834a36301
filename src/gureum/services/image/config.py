"""What an operator may set of the image service. docs/operate/many-machines.md has every option."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec

from gureum.foundation.config import Section


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


class ImageConfig(Section):
    """Without `stores` there is one, "file", in `folder`. `cache` names the folder of the image cache, empty: none;
    `cache_node` whose cache it is, empty: this machine's.

    `convert_to` is the format that imports are brought to, empty: none. `show_locations` lets owners see and set
    where data is. Limits of one image: `max_bytes`, `max_properties`, `max_tags`, `max_members`. Who sends or takes
    image data at less than `minimum_rate_kib_s` is cut off; a project makes `uploads_of_project` uploads at a time.
    """

    SECTION: ClassVar[str] = "image"

    folder: str = "images"
    max_bytes: int = 1 << 40
    stores: dict[str, ImageStoreConfig] = msgspec.field(default_factory=dict)
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
    properties: list[ImagePropertyConfig] = msgspec.field(default_factory=list)
    quota: ImageQuotaConfig = msgspec.field(default_factory=ImageQuotaConfig)


class FirstImageConfig(Section):
    """Of the section [bootstrap]: a qcow2 file that becomes the public image `mini`; none when empty."""

    SECTION: ClassVar[str] = "bootstrap"

    guest_image: str = ""
