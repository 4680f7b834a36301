"""Routes of consumers and of users' access tokens. Source: identity API reference, OS-OAUTH1."""

from __future__ import annotations

import secrets

from msgspec import UNSET, Struct, UnsetType
from sqlalchemy import select

from gureum.foundation import ids
from gureum.foundation.errors import Forbidden, NotFound
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route
from gureum.foundation.http.views import Extended, Listed
from gureum.foundation.policy import Rule
from gureum.services.identity import listing
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.fields import ADMIN, ADMIN_OR_SYSTEM_READER, CLOUD, PERSONAL, Description
from gureum.services.identity.finding import existing
from gureum.services.identity.listing import declared, query, whole
from gureum.services.identity.oauth.model import AccessToken, Consumer
from gureum.services.identity.oauth.views import AccessTokenView, ConsumerRow, ConsumerView, consumer_view, token_view
from gureum.services.identity.roles.api import RoleView
from gureum.services.identity.roles.api import view_of as role_view
from gureum.services.identity.roles.model import Role
from gureum.services.identity.tokens import revocations

_OWN = "rule:admin_required or user_id:%(target.user.id)s"
RULES = (
    Rule("identity:get_consumer", ADMIN_OR_SYSTEM_READER, "Show a consumer", scopes=CLOUD),
    Rule("identity:list_consumers", ADMIN_OR_SYSTEM_READER, "List consumers", scopes=CLOUD),
    Rule("identity:create_consumer", ADMIN, "Register a consumer", scopes=CLOUD),
    Rule("identity:update_consumer", ADMIN, "Change a consumer's description", scopes=CLOUD),
    Rule("identity:delete_consumer", ADMIN, "Delete a consumer with its tokens", scopes=CLOUD),
    Rule("identity:list_access_tokens", _OWN, "List a user's access tokens", scopes=PERSONAL),
    Rule("identity:get_access_token", _OWN, "Show an access token", scopes=PERSONAL),
    Rule("identity:delete_access_token", _OWN, "Delete an access token", scopes=PERSONAL),
    Rule("identity:list_access_token_roles", _OWN, "List an access token's roles", scopes=PERSONAL),
    Rule("identity:get_access_token_role", _OWN, "Show an access token's role", scopes=PERSONAL),
)


class NewConsumer(Struct, forbid_unknown_fields=True):
    description: Description = None


class ConsumerChange(Struct, forbid_unknown_fields=True):
    description: Description | UnsetType = UNSET


def create(call: Call[IdentityDeps], body: NewConsumer) -> ConsumerView:
    secret = secrets.token_hex(16)
    sealed = call.deps.secrets.seal_text(secret)
    row = Consumer(id=ids.new_hex(), description=body.description, sealed=sealed)
    call.tx.add(row)
    view = consumer_view(call, row)
    view.secret = secret
    return view


_CONSUMERS = declared("consumers", Consumer, {}, ConsumerRow)


def index(call: Call[IdentityDeps]) -> Listed[ConsumerView]:
    return listing.index(call, _CONSUMERS, consumer_view)


def _find(call: Call[IdentityDeps], consumer_id: str) -> Consumer:
    return existing(call.tx.get(Consumer, consumer_id), "consumer", consumer_id)


def show(call: Call[IdentityDeps], consumer_id: str) -> ConsumerView:
    return consumer_view(call, _find(call, consumer_id))


def update(call: Call[IdentityDeps], body: ConsumerChange, consumer_id: str) -> ConsumerView:
    row = _find(call, consumer_id)
    if body.description is not UNSET:
        row.description = body.description
    return consumer_view(call, row)


def delete(call: Call[IdentityDeps], consumer_id: str) -> None:
    row = _find(call, consumer_id)
    call.tx.delete(row)
    call.deps.tokens.revocations.add(call.tx, revocations.STALE_ALL, row.id)


# -- access tokens ---------------------------------------------------------------------------------------


def _enforce(call: Call[IdentityDeps], user_id: str) -> None:
    call.enforce(**{"target.user.id": user_id})
    if call.caller.is_delegated:
        raise Forbidden("A delegated token may not handle access tokens.")


def list_tokens(call: Call[IdentityDeps], user_id: str) -> Listed[AccessTokenView]:
    _enforce(call, user_id)
    rows = call.tx.scalars(select(AccessToken).where(AccessToken.user_id == user_id).order_by(AccessToken.id))
    return whole(call, [token_view(call, row) for row in rows])


def _token(call: Call[IdentityDeps], user_id: str, token_id: str) -> AccessToken:
    _enforce(call, user_id)
    mine = (AccessToken.id == token_id, AccessToken.user_id == user_id)
    return existing(call.tx.scalar(select(AccessToken).where(*mine)), "access token", token_id)


def show_token(call: Call[IdentityDeps], user_id: str, token_id: str) -> AccessTokenView:
    return token_view(call, _token(call, user_id, token_id))


def delete_token(call: Call[IdentityDeps], user_id: str, token_id: str) -> None:
    row = _token(call, user_id, token_id)
    call.tx.delete(row)
    call.deps.tokens.revocations.add(call.tx, revocations.STALE_USER, user_id)


def _roles(call: Call[IdentityDeps], row: AccessToken) -> list[Role]:
    return list(call.tx.scalars(select(Role).where(Role.id.in_(row.role_ids)).order_by(Role.name)))


def list_token_roles(call: Call[IdentityDeps], user_id: str, token_id: str) -> Listed[Extended[RoleView]]:
    row = _token(call, user_id, token_id)
    return whole(call, [role_view(call, role) for role in _roles(call, row)])


def show_token_role(call: Call[IdentityDeps], user_id: str, token_id: str, role_id: str) -> Extended[RoleView]:
    for role in _roles(call, _token(call, user_id, token_id)):
        if role.id == role_id:
            return role_view(call, role)
    raise NotFound(f"Could not find role: {role_id}.")


_ALL = "/v3/OS-OAUTH1/consumers"
_ONE = _ALL + "/{consumer_id}"
_TOKENS = "/v3/users/{user_id}/OS-OAUTH1/access_tokens"
_TOKEN = _TOKENS + "/{token_id}"
_TOKEN_ROLES = _TOKEN + "/roles"
_TOKEN_ROLE = _TOKEN_ROLES + "/{role_id}"
ROUTES = (
    Route("GET", _ALL, index, "identity:list_consumers", envelope="consumers", query=query(_CONSUMERS)),
    Route("POST", _ALL, create, "identity:create_consumer", 201, body=NewConsumer, envelope="consumer"),
    Route("GET", _ONE, show, "identity:get_consumer", envelope="consumer"),
    Route("PATCH", _ONE, update, "identity:update_consumer", body=ConsumerChange, envelope="consumer"),
    Route("DELETE", _ONE, delete, "identity:delete_consumer", 204),
    Route("GET", _TOKENS, list_tokens, "identity:list_access_tokens", envelope="access_tokens", target="handler"),
    Route("GET", _TOKEN, show_token, "identity:get_access_token", envelope="access_token", target="handler"),
    Route("DELETE", _TOKEN, delete_token, "identity:delete_access_token", 204, target="handler"),
    Route(
        "GET", _TOKEN_ROLES, list_token_roles, "identity:list_access_token_roles", envelope="roles", target="handler"
    ),
    Route("GET", _TOKEN_ROLE, show_token_role, "identity:get_access_token_role", envelope="role", target="handler"),
)
