"""Routes of authentication. Source: identity API reference, "Authentication and token management"."""

from __future__ import annotations

import msgspec

from gureum.foundation import clock
from gureum.foundation.errors import BadRequest, NotFound, Unauthorized
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import PUBLIC, Reply, Route, Runs
from gureum.foundation.policy import EVERY_SCOPE, Rule
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.tokens import revocations
from gureum.services.identity.tokens.bodies import AuthBody, CredentialMethod, Scope
from gureum.services.identity.tokens.facts import NotRememberedError, only_remembered
from gureum.services.identity.tokens.granting import MethodsMissingError, grant_token
from gureum.services.identity.tokens.issuing import Checked
from gureum.services.identity.tokens.methods import proven
from gureum.services.identity.tokens.views import EncodedToken, Named, ReceiptDocument, ReceiptUser, ReceiptView

RULES = (
    Rule(
        "identity:validate_token",
        "rule:admin or (role:reader and system_scope:all) or role:service or user_id:%(target.token.user_id)s",
        scopes=EVERY_SCOPE,
    ),  # fmt: skip
    Rule("identity:revoke_token", "rule:admin or user_id:%(target.token.user_id)s", scopes=EVERY_SCOPE),
    Rule("identity:get_auth_catalog", "@", unbounded="of the token's user", scopes=EVERY_SCOPE),
    Rule("identity:get_auth_projects", "@", unbounded="of the token's user", scopes=EVERY_SCOPE),
    Rule("identity:get_auth_domains", "@", unbounded="of the token's user", scopes=EVERY_SCOPE),
    Rule("identity:get_auth_system", "@", unbounded="of the token's user", scopes=EVERY_SCOPE),
)


def authenticate(call: Call[IdentityDeps], body: AuthBody) -> Reply[EncodedToken]:
    """POST /v3/auth/tokens. Hashing happens outside of any transaction; reads are short ones of their own."""
    auth = body.auth
    try:
        token, checked = grant_token(call, proven(call, auth.identity), auth.scope)
    except MethodsMissingError as error:
        return _receipt(call, error)
    content = checked.body_without_catalog if call.param("nocatalog") is not None else checked.body
    return Reply(content, status=201, headers={"X-Subject-Token": token})


def authenticate_fast(call: Call[IdentityDeps], body: AuthBody) -> Reply[EncodedToken] | None:
    """On the loop, when a token or a made secret is the proof and all that it leads to is remembered."""
    identity, scope = body.auth.identity, body.auth.scope
    if not _IN_MEMORY.issuperset(identity.methods) or (isinstance(scope, Scope) and scope.trust is not None):
        return None
    try:
        with only_remembered():
            credential = identity.application_credential
            if credential is not None and not _is_made(call, credential):
                return None
            return authenticate(call, body)
    except NotRememberedError:
        return None


_IN_MEMORY = frozenset({"token", "application_credential"})


def _is_made(call: Call[IdentityDeps], given: CredentialMethod) -> bool:
    """Whether checking the credential's secret needs neither a look for its name nor a slow hash."""
    found = call.deps.tokens.facts.credential(given.id) if given.id is not None else None
    return found is not None and call.deps.passwords.is_made_secret(found.secret_hash)


def _receipt(call: Call[IdentityDeps], error: MethodsMissingError) -> Reply[bytes]:
    """401 with a receipt for what was proven, and the rules that ask for more."""
    user = error.user
    sealed, receipt = call.deps.receipts.issue(user.id, error.methods)
    view = ReceiptView(
        receipt.methods,
        ReceiptUser(Named(user.domain_id, user.domain_name), user.id, user.name),
        clock.iso_micro(clock.from_seconds(receipt.expires_at)),
        clock.iso_micro(clock.from_seconds(receipt.issued_at)),
    )
    document = ReceiptDocument(view, user.options["multi_factor_auth_rules"])
    return Reply(msgspec.json.encode(document), status=401, headers={"Openstack-Auth-Receipt": sealed})


# -- validation ------------------------------------------------------------------------------------------


def validate_fast(call: Call[IdentityDeps]) -> Reply[EncodedToken] | None:
    """On the loop, when both tokens are remembered."""
    subject = call.headers.get("x-subject-token", "")
    if not subject or call.param("allow_expired") is not None:
        return None
    try:
        checked = call.deps.tokens.remembered(subject)
    except Unauthorized:
        checked = None
    return None if checked is None else _validated(call, checked, subject)


def validate(call: Call[IdentityDeps]) -> Reply[EncodedToken]:
    subject = call.headers.get("x-subject-token", "")
    if not subject:
        raise BadRequest("Expecting to find X-Subject-Token in the headers.")
    expired = call.param("allow_expired")
    try:
        checked = call.deps.tokens.check(
            subject, allow_expired=expired is not None and expired.lower() in ("1", "true")
        )
    except Unauthorized as error:
        raise NotFound("Could not find token.") from error
    return _validated(call, checked, subject)


def _validated(call: Call[IdentityDeps], checked: Checked, subject: str) -> Reply[EncodedToken]:
    if checked.caller.access_rules is not None and not _knows_access_rules(call):
        raise NotFound("Could not find token.")
    call.enforce("identity:validate_token", **{"target.token.user_id": checked.payload.user_id})
    content = checked.body_without_catalog if call.param("nocatalog") is not None else checked.body
    return Reply(content, headers={"X-Subject-Token": subject})


def _knows_access_rules(call: Call[IdentityDeps]) -> bool:
    """Whether the validating service enforces access rules: a token with such rules is shown to no other."""
    try:
        return float(call.headers.get("openstack-identity-access-rules", "0")) >= 1.0
    except ValueError:
        return False


def revoke(call: Call[IdentityDeps]) -> None:
    subject = call.headers.get("x-subject-token", "")
    if not subject:
        raise BadRequest("Expecting to find X-Subject-Token in the headers.")
    try:
        checked = call.deps.tokens.check(subject)
    except Unauthorized as error:
        raise NotFound("Could not find token.") from error
    call.enforce(**{"target.token.user_id": checked.payload.user_id})
    call.deps.tokens.revocations.add(call.tx, revocations.AUDIT, checked.payload.audit_ids[0])


_AT = "/v3/auth/tokens"
ROUTES = (
    Route(
        "POST",
        _AT,
        authenticate,
        PUBLIC,
        201,
        body=AuthBody,
        transaction="none",
        runs=Runs.LOGIN,
        fast=authenticate_fast,
        query=("nocatalog",),
        also=(401, 403),
    ),
    Route(
        "GET",
        _AT,
        validate,
        "identity:validate_token",
        without_access_rules=True,
        target="handler",
        transaction="none",
        fast=validate_fast,
        query=("allow_expired", "nocatalog"),
        also=(404,),
    ),
    Route("DELETE", _AT, revoke, "identity:revoke_token", 204, target="handler", also=(404,)),
)
