"""What requests set of quotas, and quotas as the API shows them.

Sources: compute API reference, "Quota sets (os-quota-sets)", "Quota class sets (os-quota-class-sets)".
"""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from gureum.foundation.errors import BadRequest
from gureum.foundation.http.versioned import Since, Until
from gureum.foundation.http.views import View
from gureum.foundation.quota import UNLIMITED
from gureum.services.compute.quotas import QUOTAS
from gureum.services.compute.words import Flag

MOST = 2**31 - 1
Limit = Annotated[int, Meta(ge=-1, le=MOST)] | Annotated[str, Meta(pattern=r"^-?[0-9]{1,10}\Z")]
MaybeLimit = Limit | UnsetType
MaybeFiles = Annotated[MaybeLimit, Until(2, 56)]
MaybeNetwork = Annotated[MaybeLimit, Until(2, 35)]
MaybeClassNetwork = Annotated[MaybeLimit, Until(2, 49)]


class NewLimits(Struct, forbid_unknown_fields=True, kw_only=True):
    """The quotas that sets and classes have at the same microversions."""

    instances: MaybeLimit = UNSET
    cores: MaybeLimit = UNSET
    ram: MaybeLimit = UNSET
    metadata_items: MaybeLimit = UNSET
    key_pairs: MaybeLimit = UNSET
    server_groups: MaybeLimit = UNSET
    server_group_members: MaybeLimit = UNSET
    injected_files: MaybeFiles = UNSET
    injected_file_content_bytes: MaybeFiles = UNSET
    injected_file_path_bytes: MaybeFiles = UNSET


class NewQuotaSet(NewLimits, forbid_unknown_fields=True, kw_only=True):
    fixed_ips: MaybeNetwork = UNSET
    floating_ips: MaybeNetwork = UNSET
    security_groups: MaybeNetwork = UNSET
    security_group_rules: MaybeNetwork = UNSET
    tenant_id: str | UnsetType = UNSET
    force: Flag = False


class NewQuotaClass(NewLimits, forbid_unknown_fields=True, kw_only=True):
    fixed_ips: MaybeClassNetwork = UNSET
    floating_ips: MaybeClassNetwork = UNSET
    security_groups: MaybeClassNetwork = UNSET
    security_group_rules: MaybeClassNetwork = UNSET


def limits_of(body: NewQuotaSet | NewQuotaClass) -> dict[str, int]:
    """What the body sets, as numbers. Raises BadRequest."""
    limits = {}
    for name in QUOTAS.defaults:
        value = getattr(body, name)
        if value is UNSET:
            continue
        limits[name] = int(value)
        if not UNLIMITED <= limits[name] <= MOST:
            raise BadRequest(f"Invalid input for field/attribute {name}: {value} is not in -1 to {MOST}.")
    return limits


Files = Annotated[int, Until(2, 56)]
Network = Annotated[int, Until(2, 35)]
ClassNetwork = Annotated[int, Until(2, 49)]
Groups = Annotated[int, Since(2, 50)]


class QuotaSetView(View, kw_only=True):
    """`id` is the project's; the answer to a change has none."""

    id: str | UnsetType = UNSET
    instances: int
    cores: int
    ram: int
    metadata_items: int
    key_pairs: int
    server_groups: int
    server_group_members: int
    injected_files: Files
    injected_file_content_bytes: Files
    injected_file_path_bytes: Files
    fixed_ips: Network
    floating_ips: Network
    security_groups: Network
    security_group_rules: Network


class QuotaUse(View):
    limit: int
    in_use: int
    reserved: int = 0


FilesUse = Annotated[QuotaUse, Until(2, 56)]
NetworkUse = Annotated[QuotaUse, Until(2, 35)]


class QuotaSetDetail(View, kw_only=True):
    id: str
    instances: QuotaUse
    cores: QuotaUse
    ram: QuotaUse
    metadata_items: QuotaUse
    key_pairs: QuotaUse
    server_groups: QuotaUse
    server_group_members: QuotaUse
    injected_files: FilesUse
    injected_file_content_bytes: FilesUse
    injected_file_path_bytes: FilesUse
    fixed_ips: NetworkUse
    floating_ips: NetworkUse
    security_groups: NetworkUse
    security_group_rules: NetworkUse


class QuotaClassView(View, kw_only=True):
    """`id` is the class's name; the answer to a change has none."""

    id: str | UnsetType = UNSET
    instances: int
    cores: int
    ram: int
    metadata_items: int
    key_pairs: int
    server_groups: Groups
    server_group_members: Groups
    injected_files: Files
    injected_file_content_bytes: Files
    injected_file_path_bytes: Files
    fixed_ips: ClassNetwork
    floating_ips: ClassNetwork
    security_groups: ClassNetwork
    security_group_rules: ClassNetwork
