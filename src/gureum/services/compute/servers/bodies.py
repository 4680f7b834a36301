"""Request bodies of servers, each field with the versions that take it. Source: compute API reference, "Servers"."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from gureum.foundation.errors import BadRequest
from gureum.foundation.http.microversions import Version
from gureum.foundation.http.versioned import Since, Takes, Until
from gureum.foundation.http.views import JsonValue
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
ShortHostName = Annotated[str, Meta(min_length=2, max_length=63, pattern=r"^[a-zA-Z0-9][a-zA-Z0-9\-]*[a-zA-Z0-9]\Z")]
UserData = Annotated[str, Meta(max_length=65535)]
Description = PrintableText | None
MOST_TAGS = 50
Tags = Annotated[list[Tag], Meta(max_length=MOST_TAGS)]
IPv4Text = Annotated[str, Meta(max_length=15)]
IPv6Text = Annotated[str, Meta(max_length=45)]
Networks = Literal["auto", "none"]
Password = Annotated[str, Meta(max_length=255)]


class SecurityGroupName(Struct, forbid_unknown_fields=True):
    name: Annotated[str, Meta(min_length=1, max_length=255)]


class Nic(Struct, forbid_unknown_fields=True):
    """One entry of `networks`. `check_nic_tags` says which versions take the tag."""

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
    """Since 2.37 a request says what networks it asks for. API names that are not Python's keep their form."""

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
    block_device_mapping_v2: list[dict[str, JsonValue]] = []
    block_device_mapping: list[dict[str, JsonValue]] = []
    accessIPv4: IPv4Text = ""  # noqa: N815
    accessIPv6: IPv6Text = ""  # noqa: N815
    disk_config: DiskConfig = "MANUAL"
    networks: Annotated[
        Networks | list[Nic] | None,
        Takes((2, 1), list[Nic] | None),
        Takes((2, 37), list[Nic] | Networks, required=True),
    ] = None
    personality: Annotated[list[File], Until(2, 56)] = []
    description: Annotated[Description, Since(2, 19)] = None
    tags: Annotated[Tags, Since(2, 52)] = []
    trusted_image_certificates: Annotated[list[Text255] | None, Since(2, 63)] = None
    host: Annotated[HostName | None, Since(2, 74)] = None
    hypervisor_hostname: Annotated[HostName | None, Since(2, 74)] = None
    hostname: Annotated[
        HostName | None, Since(2, 90), Takes((2, 90), ShortHostName | None), Takes((2, 94), HostName | None)
    ] = None


class CreateServer(Struct, forbid_unknown_fields=True, kw_only=True, rename=_HINTS):
    server: NewServer
    hints: SchedulerHints | None = None
    extension_hints: SchedulerHints | None = None


def check_nic_tags(body: CreateServer, version: Version) -> CreateServer:
    """A network's tag came with 2.32, went with 2.37 and came again with 2.42. Raises BadRequest."""
    networks = body.server.networks
    has_tags = isinstance(networks, list) and any(nic.tag for nic in networks)
    if has_tags and not ((2, 32) <= version <= (2, 36) or version >= (2, 42)):
        raise BadRequest("Invalid input for field/attribute networks: tag is not allowed at this microversion.")
    return body


class UpdateServer(Struct, forbid_unknown_fields=True, rename=_RENAMED):
    name: Name | UnsetType = UNSET
    disk_config: DiskConfig | UnsetType = UNSET
    accessIPv4: IPv4Text | UnsetType = UNSET  # noqa: N815 the API's own name
    accessIPv6: IPv6Text | UnsetType = UNSET  # noqa: N815 the API's own name
    description: Annotated[Description | UnsetType, Since(2, 19)] = UNSET
    hostname: Annotated[
        HostName | None | UnsetType,
        Since(2, 90),
        Takes((2, 90), ShortHostName | None | UnsetType),
        Takes((2, 94), HostName | None | UnsetType),
    ] = UNSET


class Reboot(Struct, forbid_unknown_fields=True):
    type: Literal["HARD", "Hard", "hard", "SOFT", "Soft", "soft"]


class Lock(Struct, forbid_unknown_fields=True):
    locked_reason: Annotated[str, Meta(min_length=1, max_length=255)] | UnsetType = UNSET


class Rebuild(Struct, forbid_unknown_fields=True, rename=_RENAMED):
    imageRef: Annotated[str, Meta(min_length=1, max_length=255)]  # noqa: N815 the API's own name
    name: Name | UnsetType = UNSET
    adminPass: Password | UnsetType = UNSET  # noqa: N815 the API's own name
    metadata: Metadata | UnsetType = UNSET
    preserve_ephemeral: Flag = False
    disk_config: DiskConfig | UnsetType = UNSET
    accessIPv4: IPv4Text | UnsetType = UNSET  # noqa: N815 the API's own name
    accessIPv6: IPv6Text | UnsetType = UNSET  # noqa: N815 the API's own name
    description: Annotated[Description | UnsetType, Since(2, 19)] = UNSET
    key_name: Annotated[Name | None | UnsetType, Since(2, 54)] = UNSET
    user_data: Annotated[UserData | None | UnsetType, Since(2, 57)] = UNSET
    personality: Annotated[list[File] | UnsetType, Until(2, 56)] = UNSET
    trusted_image_certificates: Annotated[list[Text255] | None | UnsetType, Since(2, 63)] = UNSET
    hostname: Annotated[HostName | None | UnsetType, Since(2, 90)] = UNSET


def check_rebuilt_hostname(body: Rebuild, version: Version) -> Rebuild:
    """Since 2.94 a host name may be a whole domain name. Raises BadRequest."""
    if body.hostname and "." in body.hostname and version < (2, 94):
        raise BadRequest("Invalid input: a dot is not allowed at this microversion - at `rebuild.hostname`")
    return body


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
