"""Request bodies of servers, closed at each microversion. Source: compute API reference, "Servers"."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from gureum.services.compute.servers.hints import SchedulerHints
from gureum.services.compute.words import Flag, Name, PrintableText

Text255 = Annotated[str, Meta(max_length=255)]
Uuid = Annotated[str, Meta(pattern=r"^[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}\Z")]
FlavorRef = Annotated[str, Meta(min_length=1, max_length=512)] | int
MetadataKey = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[a-zA-Z0-9\-_:. ]{1,255}\Z")]
Metadata = dict[MetadataKey, Text255]
Tag = Annotated[str, Meta(min_length=1, max_length=60, pattern=r"^[^,/]*\Z")]
Count = Annotated[int, Meta(ge=1, le=2**31 - 1)] | Annotated[str, Meta(pattern=r"^0*[1-9][0-9]{0,8}\Z")]
DiskConfig = Literal["AUTO", "MANUAL"]
HostName = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[a-zA-Z0-9\-._]*\Z")]
UserData = Annotated[str, Meta(max_length=65535)]
Description = PrintableText | None
Password = Annotated[str, Meta(max_length=255)]


class SecurityGroupName(Struct, forbid_unknown_fields=True):
    name: Annotated[str, Meta(min_length=1, max_length=255)]


class WantedNic(Struct, forbid_unknown_fields=True):
    """One entry of `networks`. `tag` since 2.32 (and 2.37 without gap)."""

    uuid: Uuid | None = None
    port: Uuid | None = None
    fixed_ip: Annotated[str, Meta(max_length=45)] = ""
    tag: Tag = ""


class File(Struct, forbid_unknown_fields=True):
    """A file of `personality`, contents in base64; quotas bound number, path and size."""

    path: Annotated[str, Meta(min_length=1)]
    contents: str


_RENAMED = {"disk_config": "OS-DCF:diskConfig"}
_HINTS = {"hints": "os:scheduler_hints", "extension_hints": "OS-SCH-HNT:scheduler_hints"}


class NewServer(Struct, forbid_unknown_fields=True, kw_only=True, rename=_RENAMED):
    """What every microversion takes. API names that are not Python's keep their form."""

    name: Name
    flavorRef: FlavorRef  # noqa: N815
    imageRef: Text255 = ""  # noqa: N815
    adminPass: Password = ""  # noqa: N815
    metadata: Metadata = {}
    availability_zone: Name | None = None
    config_drive: Flag | None = None
    min_count: Count = 1
    max_count: Count | None = None
    return_reservation_id: Flag = False
    key_name: Name | None = None
    security_groups: list[SecurityGroupName] = []
    user_data: UserData | None = None
    block_device_mapping_v2: list[dict[str, Any]] = []
    block_device_mapping: list[dict[str, Any]] = []
    accessIPv4: Annotated[str, Meta(max_length=15)] = ""  # noqa: N815
    accessIPv6: Annotated[str, Meta(max_length=45)] = ""  # noqa: N815
    disk_config: DiskConfig = "MANUAL"


class NewServerV21(NewServer, forbid_unknown_fields=True, kw_only=True, rename=_RENAMED):
    networks: list[WantedNic] | None = None
    personality: list[File] = []


class NewServerV219(NewServerV21, forbid_unknown_fields=True, kw_only=True, rename=_RENAMED):
    description: Description = None


class NewServerV237(NewServer, forbid_unknown_fields=True, kw_only=True, rename=_RENAMED):
    """Since 2.37 a request says what networks it wants."""

    networks: list[WantedNic] | Literal["auto", "none"]
    personality: list[File] = []
    description: Description = None


class NewServerV252(NewServerV237, forbid_unknown_fields=True, kw_only=True, rename=_RENAMED):
    tags: Annotated[list[Tag], Meta(max_length=50)] = []


class NewServerV257(NewServer, forbid_unknown_fields=True, kw_only=True, rename=_RENAMED):
    """Since 2.57 no files are injected."""

    networks: list[WantedNic] | Literal["auto", "none"]
    description: Description = None
    tags: Annotated[list[Tag], Meta(max_length=50)] = []


class NewServerV263(NewServerV257, forbid_unknown_fields=True, kw_only=True, rename=_RENAMED):
    trusted_image_certificates: list[Text255] | None = None


class NewServerV274(NewServerV263, forbid_unknown_fields=True, kw_only=True, rename=_RENAMED):
    host: HostName | None = None
    hypervisor_hostname: HostName | None = None


ShortHostName = Annotated[str, Meta(min_length=2, max_length=63, pattern=r"^[a-zA-Z0-9][a-zA-Z0-9\-]*[a-zA-Z0-9]\Z")]


class NewServerV290(NewServerV274, forbid_unknown_fields=True, kw_only=True, rename=_RENAMED):
    hostname: ShortHostName | None = None


class NewServerV294(NewServerV274, forbid_unknown_fields=True, kw_only=True, rename=_RENAMED):
    hostname: HostName | None = None


class _Create(Struct, forbid_unknown_fields=True, kw_only=True, rename=_HINTS):
    hints: SchedulerHints | None = None
    extension_hints: SchedulerHints | None = None


class CreateV21(_Create, forbid_unknown_fields=True, kw_only=True, rename=_HINTS):
    server: NewServerV21


class CreateV219(_Create, forbid_unknown_fields=True, kw_only=True, rename=_HINTS):
    server: NewServerV219


class CreateV237(_Create, forbid_unknown_fields=True, kw_only=True, rename=_HINTS):
    server: NewServerV237


class CreateV252(_Create, forbid_unknown_fields=True, kw_only=True, rename=_HINTS):
    server: NewServerV252


class CreateV257(_Create, forbid_unknown_fields=True, kw_only=True, rename=_HINTS):
    server: NewServerV257


class CreateV263(_Create, forbid_unknown_fields=True, kw_only=True, rename=_HINTS):
    server: NewServerV263


class CreateV274(_Create, forbid_unknown_fields=True, kw_only=True, rename=_HINTS):
    server: NewServerV274


class CreateV290(_Create, forbid_unknown_fields=True, kw_only=True, rename=_HINTS):
    server: NewServerV290


class CreateV294(_Create, forbid_unknown_fields=True, kw_only=True, rename=_HINTS):
    server: NewServerV294


CREATE = {
    (2, 1): CreateV21,
    (2, 19): CreateV219,
    (2, 37): CreateV237,
    (2, 52): CreateV252,
    (2, 57): CreateV257,
    (2, 63): CreateV263,
    (2, 74): CreateV274,
    (2, 90): CreateV290,
    (2, 94): CreateV294,
}


class UpdateServer(Struct, forbid_unknown_fields=True, rename=_RENAMED):
    name: Name | UnsetType = UNSET
    disk_config: DiskConfig | UnsetType = UNSET
    accessIPv4: Annotated[str, Meta(max_length=15)] | UnsetType = UNSET  # noqa: N815 the API's own name
    accessIPv6: Annotated[str, Meta(max_length=45)] | UnsetType = UNSET  # noqa: N815 the API's own name


class UpdateServerV219(UpdateServer, forbid_unknown_fields=True, rename=_RENAMED):
    description: Description | UnsetType = UNSET


class UpdateServerV290(UpdateServerV219, forbid_unknown_fields=True, rename=_RENAMED):
    hostname: ShortHostName | None | UnsetType = UNSET


class UpdateServerV294(UpdateServerV219, forbid_unknown_fields=True, rename=_RENAMED):
    """Since 2.94 a host name may be a whole domain name."""

    hostname: HostName | None | UnsetType = UNSET


class UpdateV21(Struct, forbid_unknown_fields=True):
    server: UpdateServer


class UpdateV219(Struct, forbid_unknown_fields=True):
    server: UpdateServerV219


class UpdateV290(Struct, forbid_unknown_fields=True):
    server: UpdateServerV290


class UpdateV294(Struct, forbid_unknown_fields=True):
    server: UpdateServerV294


UPDATE = {(2, 1): UpdateV21, (2, 19): UpdateV219, (2, 90): UpdateV290, (2, 94): UpdateV294}


class Reboot(Struct, forbid_unknown_fields=True):
    type: Literal["HARD", "Hard", "hard", "SOFT", "Soft", "soft"]


class Lock(Struct, forbid_unknown_fields=True):
    locked_reason: Annotated[str, Meta(min_length=1, max_length=255)] | UnsetType = UNSET


class Rebuild(Struct, forbid_unknown_fields=True, rename={"disk_config": "OS-DCF:diskConfig"}):
    """The fields of all microversions; `REBUILD_SINCE` says when each came."""

    imageRef: Annotated[str, Meta(min_length=1, max_length=255)]  # noqa: N815 the API's own name
    name: Name | UnsetType = UNSET
    adminPass: Password | UnsetType = UNSET  # noqa: N815 the API's own name
    metadata: Metadata | UnsetType = UNSET
    preserve_ephemeral: Flag = False
    disk_config: DiskConfig | UnsetType = UNSET
    accessIPv4: Annotated[str, Meta(max_length=15)] | UnsetType = UNSET  # noqa: N815 the API's own name
    accessIPv6: Annotated[str, Meta(max_length=45)] | UnsetType = UNSET  # noqa: N815 the API's own name
    description: Description | UnsetType = UNSET
    key_name: Name | None | UnsetType = UNSET
    user_data: UserData | None | UnsetType = UNSET
    personality: list[File] | UnsetType = UNSET
    trusted_image_certificates: list[Text255] | None | UnsetType = UNSET
    hostname: HostName | None | UnsetType = UNSET


REBUILD_SINCE = {
    "description": (2, 19),
    "key_name": (2, 54),
    "user_data": (2, 57),
    "trusted_image_certificates": (2, 63),
    "hostname": (2, 90),
}
"""`personality` is the one field that went away, with 2.57; a dot in `hostname` came with 2.94."""


class CreateImage(Struct, forbid_unknown_fields=True):
    name: Name
    metadata: Metadata = {}


class CreateBackup(Struct, forbid_unknown_fields=True):
    name: Name
    backup_type: Text255
    rotation: Annotated[int, Meta(ge=0, le=2**31 - 1)] | Annotated[str, Meta(pattern=r"^[0-9]{1,9}\Z")]
    metadata: Metadata = {}


class ConsoleOutput(Struct, forbid_unknown_fields=True):
    length: Annotated[int, Meta(ge=-1, le=2**31 - 1)] | Annotated[str, Meta(pattern=r"^-?[0-9]{1,9}\Z")] | None = None


class ResetState(Struct, forbid_unknown_fields=True):
    state: Literal["active", "error"]


class SecurityGroupAction(Struct, forbid_unknown_fields=True):
    name: Annotated[str, Meta(min_length=1, max_length=255)]


class AddFixedIp(Struct, forbid_unknown_fields=True):
    networkId: Uuid  # noqa: N815 the API's own name


class RemoveFixedIp(Struct, forbid_unknown_fields=True):
    address: Annotated[str, Meta(min_length=1, max_length=45)]
