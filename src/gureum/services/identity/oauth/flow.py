"""The steps in which a program gets an access token. Source: identity API reference, OS-OAUTH1; RFC 5849, section 2.

A request is signed with the consumer's secret, from the second step on with the token's too; it is timely and its nonce
new. Read next: `signatures.py`.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Annotated
from urllib.parse import urlencode

from msgspec import Meta, Struct
from sqlalchemy import and_, select
from sqlalchemy import delete as delete_from

from gureum.foundation import clock, ids
from gureum.foundation.db.engine import Tx
from gureum.foundation.errors import BadRequest, Forbidden, NotFound, Unauthorized
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import PUBLIC, Reply, Route, Runs
from gureum.foundation.policy import Rule
from gureum.services.identity.assignments.model import ancestors, direct_roles, with_implied
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.ec2.model import UsedSignature
from gureum.services.identity.fields import PERSONAL, IdText, LongName
from gureum.services.identity.oauth.model import AccessToken, Consumer, RequestToken
from gureum.services.identity.oauth.signatures import OauthRequest, Unsigned, parsed
from gureum.services.identity.oauth.views import Verifier, VerifierDocument
from gureum.services.identity.projects.model import Project
from gureum.services.identity.roles.model import GLOBAL, Role

REQUEST_TOKEN_LIFE = timedelta(hours=8)
ACCESS_TOKEN_LIFE = timedelta(days=1)
FORM = "application/x-www-form-urlencoded"
RULES = (
    Rule(
        "identity:authorize_request_token",
        "@",
        "Lend a program some of one's roles",
        unbounded="roles of the token's user",
        scopes=PERSONAL,
    ),
)


class RoleRef(Struct, forbid_unknown_fields=True):
    """A role by its id, or by its name among those of the cloud."""

    id: IdText | None = None
    name: LongName | None = None


class AuthorizeBody(Struct, forbid_unknown_fields=True):
    roles: Annotated[list[RoleRef], Meta(min_length=1, max_length=256)]


def _request(call: Call[IdentityDeps]) -> OauthRequest:
    return parsed(call.route.method, call.headers.get("authorization", ""), call.query)


def _urls(call: Call[IdentityDeps]) -> list[str]:
    """The request's address as the catalog says it, and as the client asked for it."""
    path = call.path.removeprefix("/identity")
    scheme = call.base_url.partition("://")[0]
    return [call.base_url + path, f"{scheme}://{call.headers.get('host', '')}{call.path}"]


def _secret(call: Call[IdentityDeps], row: Consumer | RequestToken | AccessToken) -> str:
    return call.deps.secrets.open_text(row.sealed)


def _check(call: Call[IdentityDeps], tx: Tx, request: OauthRequest, token: RequestToken | AccessToken | None) -> str:
    """The consumer whose signature it is; its nonce is spent. Raises Unauthorized, one answer for all reasons."""
    consumer = tx.get(Consumer, request.parameter("oauth_consumer_key"))
    if consumer is None or (token is not None and token.consumer_id != consumer.id):
        raise Unauthorized(internal="no such OAuth consumer, or another one's token")
    if not request.is_signed(_urls(call), _secret(call, consumer), _secret(call, token) if token else ""):
        raise Unauthorized(internal="the OAuth signature does not fit")
    window = call.deps.options.signature_window_s
    if abs(clock.now() - request.timestamp) > window:
        raise Unauthorized(internal="the OAuth request is too old or of the future")
    spent = f"{consumer.id}\n{request.timestamp}\n{request.parameter('oauth_nonce')}"
    digest = hashlib.sha256(spent.encode()).hexdigest()
    if tx.get(UsedSignature, digest) is not None:
        raise Unauthorized(internal="the OAuth nonce was used before")
    tx.execute(delete_from(UsedSignature).where(UsedSignature.expires_at < clock.utcnow()))
    tx.add(UsedSignature(digest=digest, expires_at=clock.utcnow() + timedelta(seconds=2 * window)))
    return consumer.id


def _form(token: str, secret: str, expires_at: datetime) -> Reply[bytes]:
    fields = {"oauth_token": token, "oauth_token_secret": secret, "oauth_expires_at": clock.iso_micro(expires_at)}
    return Reply(urlencode(fields, safe=":").encode(), status=201, content_type=FORM)


def make_request_token(call: Call[IdentityDeps]) -> Reply[bytes]:
    """Step one: the program asks; it says for which project."""
    project_id = call.headers.get("requested-project-id", "")
    if not project_id:
        raise BadRequest("Expecting to find Requested-Project-Id in the headers.")
    secret = secrets.token_hex(16)
    try:
        consumer_id = _check(call, call.tx, _request(call), None)
    except Unsigned as error:
        raise Unauthorized(internal=f"no OAuth signature: {error}") from error
    project = call.tx.get(Project, project_id)
    if project is None or project.is_domain:
        raise NotFound(f"Could not find project: {project_id[:64]}.")
    row = RequestToken(
        id=ids.new_hex(),
        sealed=call.deps.secrets.seal_text(secret),
        consumer_id=consumer_id,
        project_id=project.id,
        role_ids=[],
        expires_at=clock.utcnow() + REQUEST_TOKEN_LIFE,
    )
    call.tx.execute(delete_from(RequestToken).where(RequestToken.expires_at < clock.utcnow()))
    call.tx.add(row)
    return _form(row.id, secret, row.expires_at)


def authorize(call: Call[IdentityDeps], body: AuthorizeBody, request_token_id: str) -> VerifierDocument:
    """Step two: the user says yes, and which of its roles on the project the program gets."""
    caller, tx = call.caller, call.tx
    if caller.is_delegated:
        raise Forbidden("A delegated token may not delegate.")
    row = tx.get(RequestToken, request_token_id)
    if row is None or row.expires_at <= clock.utcnow() or row.user_id is not None:
        raise NotFound(f"Could not find request token: {request_token_id}.")
    role_ids = sorted({_role_id(tx, ref) for ref in body.roles})
    above = ancestors(tx, row.project_id)
    held = with_implied(tx, direct_roles(tx, caller.user_id, "project", row.project_id, above))
    if not held.issuperset(role_ids):
        raise Unauthorized("The user does not have all the roles on the requested project.")
    row.user_id, row.role_ids, row.verifier = caller.user_id, role_ids, secrets.token_hex(8)
    return VerifierDocument(Verifier(row.verifier))


def _role_id(tx: Tx, ref: RoleRef) -> str:
    if (ref.id is None) == (ref.name is None):
        raise BadRequest("A role is named by its id or by its name.")
    named = Role.id == ref.id if ref.id is not None else and_(Role.is_named(ref.name or ""), Role.scope == GLOBAL)
    role_id = tx.scalar(select(Role.id).where(named))
    if role_id is None:
        raise NotFound(f"Could not find role: {ref.id or ref.name}.")
    return role_id


def make_access_token(call: Call[IdentityDeps]) -> Reply[bytes]:
    """Step three: the program shows the verifier that the user told it."""
    tx, secret = call.tx, secrets.token_hex(16)
    try:
        request = _request(call)
        request_token = tx.get(RequestToken, request.parameter("oauth_token"))
        if (
            request_token is None
            or request_token.user_id is None
            or request_token.verifier is None
            or request_token.expires_at <= clock.utcnow()
        ):
            raise Unauthorized(internal="no such OAuth request token, or not authorized")
        if not secrets.compare_digest(request.parameter("oauth_verifier").encode(), request_token.verifier.encode()):
            raise Unauthorized(internal="the OAuth verifier is another one")
        _check(call, tx, request, request_token)
    except Unsigned as error:
        raise Unauthorized(internal=f"no OAuth signature: {error}") from error
    row = AccessToken(
        id=ids.new_hex(),
        sealed=call.deps.secrets.seal_text(secret),
        consumer_id=request_token.consumer_id,
        project_id=request_token.project_id,
        user_id=request_token.user_id,
        role_ids=request_token.role_ids,
        expires_at=clock.utcnow() + ACCESS_TOKEN_LIFE,
    )
    tx.add(row)
    tx.delete(request_token)
    return _form(row.id, secret, row.expires_at)


def proven_access(call: Call[IdentityDeps]) -> AccessToken:
    """Step four, at POST /v3/auth/tokens: whose access token signed the request. Raises Unauthorized."""

    def check(tx: Tx) -> AccessToken:
        try:
            request = _request(call)
            row = tx.scalar(select(AccessToken).where(AccessToken.id == request.parameter("oauth_token")))
            if row is None or row.expires_at <= clock.utcnow():
                raise Unauthorized(internal="no such OAuth access token")
            _check(call, tx, request, row)
        except Unsigned as error:
            raise Unauthorized(internal=f"no OAuth signature: {error}") from error
        return row

    return call.database.write(check)


_AT = "/v3/OS-OAUTH1"
_AUTHORIZE = _AT + "/authorize/{request_token_id}"
ROUTES = (
    Route("POST", _AT + "/request_token", make_request_token, PUBLIC, 201, runs=Runs.LOGIN, also=(401,)),
    Route("PUT", _AUTHORIZE, authorize, "identity:authorize_request_token", body=AuthorizeBody),
    Route("POST", _AUTHORIZE, authorize, "identity:authorize_request_token", body=AuthorizeBody),
    Route("POST", _AT + "/access_token", make_access_token, PUBLIC, 201, runs=Runs.LOGIN, also=(401,)),
)
