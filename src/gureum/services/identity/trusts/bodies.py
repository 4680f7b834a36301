"""What a request for a trust may say. Source: identity API reference, OS-TRUST."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from gureum.services.identity.fields import IdText, LongName


class RoleRef(Struct, forbid_unknown_fields=True):
    """A role by its id or by its name."""

    id: IdText | None = None
    name: LongName | None = None


class NewTrust(Struct):
    """Unknown members are let be, as the reference does."""

    trustor_user_id: IdText
    trustee_user_id: IdText
    impersonation: bool
    project_id: IdText | None = None
    roles: Annotated[list[RoleRef], Meta(max_length=256)] = []
    expires_at: str | None = None
    remaining_uses: Annotated[int, Meta(ge=1, le=2**31 - 1)] | None = None
    allow_redelegation: bool = False
    redelegation_count: Annotated[int, Meta(ge=0, le=2**31 - 1)] | None = None
    redelegated_trust_id: IdText | None = None
