"""What clients are shown of a trust. Lists leave its roles out."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from gureum.foundation import clock
from gureum.foundation.http.call import Call
from gureum.foundation.http.collections.links import PageLinks
from gureum.foundation.http.views import View
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.listing import SelfLink, self_link
from gureum.services.identity.roles.model import Role
from gureum.services.identity.trusts.model import Trust


class TrustRow(Struct, frozen=True, gc=False):
    """What lists read of a trust."""

    id: str
    trustor_id: str
    trustee_id: str
    project_id: str | None
    impersonation: bool
    expires_at: datetime | None
    remaining_uses: int | None
    redelegation_count: int
    redelegated_trust_id: str | None


class TrustView(View):
    """`deleted_at` is always null: the reference has it, and a deleted trust is not shown."""

    id: str
    trustor_user_id: str
    trustee_user_id: str
    project_id: str | None
    impersonation: bool
    expires_at: str | None
    remaining_uses: int | None
    redelegation_count: int
    redelegated_trust_id: str | None
    deleted_at: None
    links: SelfLink


class TrustRole(View):
    id: str
    name: str
    links: SelfLink


class WholeTrust(TrustView):
    """One trust with the roles that it gives."""

    roles: list[TrustRole]
    roles_links: PageLinks


def view_of(call: Call[IdentityDeps], row: TrustRow) -> TrustView:
    return TrustView(*_values(call, row))


def whole_view(call: Call[IdentityDeps], row: Trust, roles: list[Role]) -> WholeTrust:
    links = PageLinks(None, f"{call.base_url}/v3/OS-TRUST/trusts/{row.id}/roles", None)
    return WholeTrust(*_values(call, row), [role_view(call, role) for role in roles], links)


def role_view(call: Call[IdentityDeps], role: Role) -> TrustRole:
    return TrustRole(role.id, role.name, self_link(call, "roles", role.id))


_Values = tuple[str, str, str, str | None, bool, str | None, int | None, int, str | None, None, SelfLink]


def _values(call: Call[IdentityDeps], row: Trust | TrustRow) -> _Values:
    """The fields of every view of a trust."""
    return (
        row.id,
        row.trustor_id,
        row.trustee_id,
        row.project_id,
        row.impersonation,
        clock.iso_micro(row.expires_at),
        row.remaining_uses,
        row.redelegation_count,
        row.redelegated_trust_id,
        None,
        self_link(call, "OS-TRUST/trusts", row.id),
    )
