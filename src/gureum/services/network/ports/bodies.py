"""What clients send of ports: the closed types of their requests. Source: network API reference, "Ports"."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from gureum.foundation.http.views import JsonValue
from gureum.services.network.standard import AddressText, IdText, NameText, ProjectText

VnicType = Literal["normal", "direct", "macvtap", "baremetal", "direct-physical", "virtio-forwarder", "smart-nic"]


class FixedIpBody(Struct, forbid_unknown_fields=True):
    subnet_id: IdText | None = None
    ip_address: AddressText | None = None


class PairBody(Struct, forbid_unknown_fields=True):
    ip_address: AddressText
    mac_address: Annotated[str, Meta(max_length=32)] | None = None


FixedIps = Annotated[list[FixedIpBody], Meta(max_length=64)]
Pairs = Annotated[list[PairBody], Meta(max_length=64)]
Groups = Annotated[list[IdText], Meta(max_length=64)]
Mac = Annotated[str, Meta(max_length=32)]
Profile = Annotated[dict[str, JsonValue], Meta(max_length=32)]


class NewPortBody(Struct, forbid_unknown_fields=True):
    network_id: IdText
    name: NameText = ""
    description: NameText = ""
    project_id: ProjectText = ""
    tenant_id: ProjectText = ""
    admin_state_up: bool = True
    mac_address: Mac | None = None
    fixed_ips: FixedIps | None = None
    security_groups: Groups | UnsetType | None = UNSET
    port_security_enabled: bool | UnsetType = UNSET
    allowed_address_pairs: Pairs | None = None
    device_id: NameText = ""
    device_owner: NameText = ""
    vnic_type: VnicType = field(default="normal", name="binding:vnic_type")
    host_id: NameText | None = field(default=None, name="binding:host_id")
    profile: Profile | None = field(default=None, name="binding:profile")


class PortChanges(Struct, forbid_unknown_fields=True):
    name: NameText | UnsetType = UNSET
    description: NameText | UnsetType = UNSET
    admin_state_up: bool | UnsetType = UNSET
    mac_address: Mac | UnsetType | None = UNSET
    fixed_ips: FixedIps | UnsetType | None = UNSET
    security_groups: Groups | UnsetType | None = UNSET
    port_security_enabled: bool | UnsetType = UNSET
    allowed_address_pairs: Pairs | UnsetType | None = UNSET
    device_id: NameText | UnsetType = UNSET
    device_owner: NameText | UnsetType = UNSET
    vnic_type: VnicType | UnsetType = field(default=UNSET, name="binding:vnic_type")
    host_id: NameText | UnsetType | None = field(default=UNSET, name="binding:host_id")
    profile: Profile | UnsetType | None = field(default=UNSET, name="binding:profile")


class CreatePort(Struct, forbid_unknown_fields=True):
    port: NewPortBody | UnsetType = UNSET
    ports: Annotated[list[NewPortBody], Meta(min_length=1, max_length=1000)] | UnsetType = UNSET
