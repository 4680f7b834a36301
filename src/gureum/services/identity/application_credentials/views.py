"""What clients are shown of application credentials and of their access rules."""

from __future__ import annotations

from datetime import datetime

from msgspec import UNSET, Struct, UnsetType

from gureum.foundation.http.views import View
from gureum.services.identity.listing import SelfLink
from gureum.services.identity.tokens.views import BriefAccessRule


class AccessRuleView(BriefAccessRule):
    links: SelfLink


class AccessRuleRow(Struct, frozen=True, gc=False):
    """What lists read of an access rule."""

    id: str
    path: str
    method: str
    service: str
    user_id: str


class CredentialRow(Struct, frozen=True, gc=False):
    """What lists read of an application credential."""

    id: str
    name: str
    description: str | None
    project_id: str
    user_id: str
    unrestricted: bool
    expires_at: datetime | None
    role_ids: list[str]
    access_rule_ids: list[str]


class GivenRole(View):
    id: str
    name: str
    domain_id: str | None


class CredentialView(View):
    """`access_rules` of a credential that has some. The secret is shown once, when the credential is made."""

    id: str
    name: str
    description: str | None
    project_id: str
    user_id: str
    unrestricted: bool
    expires_at: str | None
    roles: list[GivenRole]
    links: SelfLink
    access_rules: list[BriefAccessRule] | UnsetType = UNSET
    secret: str | UnsetType = UNSET
