"""What clients are shown of consumers and of users' access tokens."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from gureum.foundation import clock
from gureum.foundation.http.call import Call
from gureum.foundation.http.views import View
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.listing import SelfLink, self_link
from gureum.services.identity.oauth.model import AccessToken, Consumer


class ConsumerRow(Struct, frozen=True, gc=False):
    """What lists read of a consumer."""

    id: str
    description: str | None


class ConsumerView(View):
    """The secret is shown once, when the consumer is made."""

    id: str
    description: str | None
    links: SelfLink
    secret: str | UnsetType = UNSET


class AccessTokenLinks(View):
    self: str
    roles: str


class AccessTokenView(View):
    id: str
    consumer_id: str
    authorizing_user_id: str
    project_id: str
    expires_at: str
    links: AccessTokenLinks


class Verifier(View):
    oauth_verifier: str


class VerifierDocument(View):
    """What a user tells the program that it lends roles to."""

    token: Verifier


class BearerToken(View):
    """Source: RFC 6749, section 5.1."""

    access_token: str
    expires_in: int
    token_type: str


class GrantRefusal(View):
    """Source: RFC 6749, section 5.2."""

    error: str
    error_description: str


def consumer_view(call: Call[IdentityDeps], row: Consumer | ConsumerRow) -> ConsumerView:
    return ConsumerView(row.id, row.description, self_link(call, "OS-OAUTH1/consumers", row.id))


def token_view(call: Call[IdentityDeps], row: AccessToken) -> AccessTokenView:
    link = f"{call.base_url}/v3/users/{row.user_id}/OS-OAUTH1/access_tokens/{row.id}"
    links = AccessTokenLinks(link, f"{link}/roles")
    return AccessTokenView(row.id, row.consumer_id, row.user_id, row.project_id, clock.iso_micro(row.expires_at), links)
