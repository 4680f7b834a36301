"""What a token says, as clients are shown it. Source: identity API reference, "Authentication and token management".

`TokenDocument` is encoded when a token is concluded and kept so (`issuing.py`): handlers return its bytes.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, UnsetType, field

from gureum.foundation.http.collections.links import PageLinks
from gureum.foundation.http.views import Encodes, View


class Named(View):
    """A domain or a role in a token."""

    id: str
    name: str


class NamedInDomain(View):
    domain: Named
    id: str
    name: str


class TokenUser(View):
    domain: Named
    id: str
    name: str
    password_expires_at: str | None


class WholeSystem(View):
    all: Literal[True]


class BriefAccessRule(View):
    """An access rule as the credentials and tokens that it narrows show it."""

    id: str
    path: str
    method: str
    service: str


class TokenCredential(View):
    """The application credential that a token came from. Its rules are those that narrow the token."""

    id: str
    name: str
    restricted: bool
    access_rules: list[BriefAccessRule] | UnsetType = UNSET


class AccessTokenUse(View):
    access_token_id: str
    consumer_id: str


class TrustSide(View):
    id: str


class TokenTrust(View):
    id: str
    impersonation: bool
    trustee_user: TrustSide
    trustor_user: TrustSide
    redelegated_trust_id: str | UnsetType = UNSET
    redelegation_count: int | UnsetType = UNSET


class CatalogEndpoint(View):
    """`region` repeats `region_id`, which older clients do not know."""

    id: str
    interface: str
    region_id: str | None
    region: str | None
    url: str


class CatalogService(View):
    id: str
    type: str
    name: str
    endpoints: list[CatalogEndpoint]


class TokenView(View):
    """A token of one scope at most: a project (which may act as a domain), a domain or the system."""

    methods: tuple[str, ...]
    user: TokenUser
    audit_ids: tuple[str, ...]
    expires_at: str
    issued_at: str
    project: NamedInDomain | UnsetType = UNSET
    is_domain: bool | UnsetType = UNSET
    domain: Named | UnsetType = UNSET
    system: WholeSystem | UnsetType = UNSET
    roles: list[Named] | UnsetType = UNSET
    application_credential: TokenCredential | UnsetType = UNSET
    access_token: AccessTokenUse | UnsetType = field(default=UNSET, name="OS-OAUTH1")
    trust: TokenTrust | UnsetType = field(default=UNSET, name="OS-TRUST:trust")
    catalog: list[CatalogService] | UnsetType = UNSET


class TokenDocument(View):
    token: TokenView


class CatalogDocument(View):
    catalog: list[CatalogService]
    links: PageLinks


EncodedToken = Annotated[bytes, Encodes(TokenDocument)]
EncodedCatalog = Annotated[bytes, Encodes(CatalogDocument)]


class ReceiptUser(View):
    domain: Named
    id: str
    name: str


class ReceiptView(View):
    methods: tuple[str, ...]
    user: ReceiptUser
    expires_at: str
    issued_at: str


class ReceiptDocument(View):
    """With the answer 401: what was proven, and the sets of methods of which the user's own rules want one."""

    receipt: ReceiptView
    required_auth_methods: list[list[str]]
