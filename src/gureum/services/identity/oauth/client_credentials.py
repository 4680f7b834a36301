"""POST /v3/OS-OAUTH2/token: an application credential's id and secret for a bearer token.

Source: RFC 6749, section 4.4 (client credentials grant), section 5.2 (errors); identity API reference, OS-OAUTH2.
"""

from __future__ import annotations

import base64
import binascii
from urllib.parse import parse_qs, unquote_plus

import msgspec

from gureum.foundation import clock
from gureum.foundation.errors import ApiError
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import PUBLIC, Reply, Route, Runs
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.oauth.views import BearerToken, GrantRefusal
from gureum.services.identity.tokens.bodies import CredentialMethod, Identity
from gureum.services.identity.tokens.granting import grant_token
from gureum.services.identity.tokens.methods import proven

RULES = ()
_LARGEST_BYTES = 16_384
_CACHE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


def grant(call: Call[IdentityDeps], body: bytes) -> Reply[BearerToken | bytes]:
    """The form in `body` says which grant is asked for; a refusal is encoded here, with the errors of the RFC."""
    form = {name: values[-1] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
    if form.get("grant_type") != "client_credentials":
        error = "unsupported_grant_type" if "grant_type" in form else "invalid_request"
        return _refused(400, error, "The grant type client_credentials is the one that is offered.")
    client_id, secret = _client(call.headers.get("authorization", ""), form)
    if not client_id or not secret:
        return _refused(401, "invalid_client", "Client authentication failed.")
    identity = Identity(
        methods=["application_credential"], application_credential=CredentialMethod(secret=secret, id=client_id)
    )
    try:
        token, checked = grant_token(call, proven(call, identity), None)
    except ApiError as error:
        if error.status >= 500:
            raise
        return _refused(401, "invalid_client", "Client authentication failed.")
    lives = int(checked.payload.expires_at - clock.now())
    return Reply(BearerToken(token, lives, "Bearer"), headers=_CACHE)


def _client(authorization: str, given: dict[str, str]) -> tuple[str, str]:
    """The id and the secret from the header (RFC 6749, section 2.3.1), else from the form."""
    scheme, _, text = authorization.partition(" ")
    if scheme.lower() != "basic":
        return given.get("client_id", ""), given.get("client_secret", "")
    try:
        client_id, _, secret = base64.b64decode(text.encode(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return "", ""
    return unquote_plus(client_id), unquote_plus(secret)


def _refused(status: int, error: str, description: str) -> Reply[bytes]:
    headers = {**_CACHE, "WWW-Authenticate": 'Basic realm="gureum"'} if status == 401 else _CACHE
    return Reply(msgspec.json.encode(GrantRefusal(error, description)), status=status, headers=headers)


_FORM = "application/x-www-form-urlencoded"
ROUTES = (
    Route(
        "POST",
        "/v3/OS-OAUTH2/token",
        grant,
        PUBLIC,
        body=bytes,
        transaction="none",
        runs=Runs.LOGIN,
        max_body_bytes=_LARGEST_BYTES,
        media=_FORM,
        also=(401,),
    ),
)
