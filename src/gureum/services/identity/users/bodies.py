"""Bodies of users: they take properties of the client's own beside their fields.

Source: identity API reference, "Users".
"""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from gureum.services.identity.fields import Description, IdText, LongName
from gureum.services.identity.users.compliance import UserOptions

Password = Annotated[str, Meta(max_length=4096)]
Email = Annotated[str, Meta(max_length=255)] | None


class NewUser(Struct):
    name: LongName
    password: Password | None = None
    domain_id: IdText | None = None
    default_project_id: IdText | None = None
    description: Description = None
    email: Email = None
    enabled: bool = True
    options: UserOptions = UserOptions()


class UserChange(Struct):
    name: LongName | UnsetType = UNSET
    password: Password | None | UnsetType = UNSET
    domain_id: IdText | UnsetType = UNSET
    default_project_id: IdText | None | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    email: Email | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    options: UserOptions | UnsetType = UNSET
