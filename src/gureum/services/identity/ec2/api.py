"""Routes of EC2 access keys and of the tokens for what they signed. Source: identity API reference, "EC2 credentials".

A key is a credential of the type ec2. Only a service that proves itself may turn a signature into a token: whoever sees
a signed address or a signed request would otherwise hold its user's roles.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated

import msgspec
from msgspec import Meta, Struct
from sqlalchemy import Select, select
from sqlalchemy import delete as delete_from
from sqlalchemy.exc import IntegrityError

from gureum.foundation import clock, ids
from gureum.foundation.caller import EC2_METHOD
from gureum.foundation.db.engine import Tx
from gureum.foundation.errors import BadRequest, Unauthorized
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Reply, Route
from gureum.foundation.http.views import JsonValue, Listed, View
from gureum.foundation.policy import EVERY_SCOPE, Rule
from gureum.services.identity.credentials.api import access_digest, ec2_blob, refuse_delegated
from gureum.services.identity.credentials.model import Credential
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.ec2.model import UsedSignature
from gureum.services.identity.ec2.signatures import Claim, Signed, Unsigned, ec2_claim, s3_claim
from gureum.services.identity.fields import ADMIN, ADMIN_OR_SYSTEM_READER, CLOUD, PERSONAL, IdText
from gureum.services.identity.finding import existing
from gureum.services.identity.listing import SelfLink, self_link, whole
from gureum.services.identity.projects.model import Project
from gureum.services.identity.tokens.granting import grant_token
from gureum.services.identity.tokens.methods import Proof
from gureum.services.identity.tokens.views import EncodedToken
from gureum.services.identity.users.model import User

EC2 = "ec2"
_OWN = " or user_id:%(target.credential.user_id)s"
_MEMBER = " or (role:member and user_id:%(target.credential.user_id)s)"
_NO_DOMAIN = "not scope:domain and "
"""A key is looked up before the rule is asked, for every scope; a domain's token has none all the same."""
RULES = (
    Rule(
        "identity:ec2_get_credential",
        f"{_NO_DOMAIN}({ADMIN_OR_SYSTEM_READER}{_OWN})",
        "Show an EC2 access key",
        EVERY_SCOPE,
    ),
    Rule("identity:ec2_list_credentials", ADMIN_OR_SYSTEM_READER + _OWN, "List a user's EC2 access keys", PERSONAL),
    Rule("identity:ec2_create_credential", ADMIN + _MEMBER, "Make an EC2 access key", PERSONAL),
    Rule("identity:ec2_delete_credential", f"{_NO_DOMAIN}({ADMIN}{_MEMBER})", "Delete an EC2 access key", EVERY_SCOPE),
    Rule(
        "identity:ec2tokens_validate",
        "rule:admin_required or role:service",
        "Get the token of a signed EC2 request",
        scopes=CLOUD,
    ),
    Rule(
        "identity:s3tokens_validate",
        "rule:admin_required or role:service",
        "Get the token of a signed S3 request",
        scopes=CLOUD,
    ),
)
Short = Annotated[str, Meta(max_length=255)]
Texts = dict[str, Annotated[str, Meta(max_length=8192)]]


class NewKey(Struct):
    tenant_id: IdText


class SignedRequest(Struct):
    access: Short = ""
    signature: Short = ""
    token: Annotated[str, Meta(max_length=65_536)] = ""
    host: Short = ""
    verb: Short = ""
    path: Annotated[str, Meta(max_length=8192)] = ""
    params: Texts = {}
    headers: Texts = {}
    body_hash: Short = ""


class SignedBody(Struct):
    credentials: SignedRequest | None = None
    ec2_credentials: SignedRequest | None = msgspec.field(default=None, name="ec2Credentials")


class KeyView(View):
    access: str
    secret: str
    user_id: str
    tenant_id: str | None
    trust_id: JsonValue
    links: SelfLink


class KeyDocument(View):
    credential: KeyView


def _view(call: Call[IdentityDeps], row: Credential) -> KeyView:
    blob = ec2_blob(call.deps.secrets.open_text(row.sealed))
    links = self_link(call, "users", f"{row.user_id}/credentials/OS-EC2/{blob.access}")
    return KeyView(blob.access, blob.secret, row.user_id, row.project_id, blob.trust_id, links)


def _enforce(call: Call[IdentityDeps], user_id: str) -> None:
    call.enforce(**{"target.credential.user_id": user_id})
    refuse_delegated(call)


def create(call: Call[IdentityDeps], body: NewKey, user_id: str) -> KeyDocument:
    _enforce(call, user_id)
    existing(call.tx.get(User, user_id), "user", user_id)
    project = existing(call.tx.get(Project, body.tenant_id), "project", body.tenant_id)
    access = ids.new_hex()
    blob = {"access": access, "secret": ids.new_hex(), "trust_id": None}
    digest = access_digest(access)
    row = Credential(
        id=digest,
        access_digest=digest,
        type=EC2,
        sealed=call.deps.secrets.seal_text(msgspec.json.encode(blob).decode()),
        user_id=user_id,
        project_id=project.id,
        extra={},
    )
    call.tx.add(row)
    return KeyDocument(_view(call, row))


def _with_access(access: str) -> Select[Credential]:
    """The EC2 key of this access key."""
    return select(Credential).where(Credential.type == EC2, Credential.access_digest == access_digest(access))


def index(call: Call[IdentityDeps], user_id: str) -> Listed[KeyView]:
    _enforce(call, user_id)
    mine = select(Credential).where(Credential.type == EC2, Credential.user_id == user_id)
    rows = call.tx.scalars(mine.order_by(Credential.id))
    return whole(call, [_view(call, row) for row in rows])


def _find(call: Call[IdentityDeps], access: str) -> Credential:
    """The key, whose owner the rule is asked about, whatever user the path names. Raises NotFound before Forbidden."""
    row = existing(call.tx.scalar(_with_access(access)), "credential", access)
    _enforce(call, row.user_id)
    return row


def show(call: Call[IdentityDeps], user_id: str, access: str) -> KeyView:  # noqa: ARG001 the path has it
    return _view(call, _find(call, access))


def delete(call: Call[IdentityDeps], user_id: str, access: str) -> None:  # noqa: ARG001 the path has it
    call.tx.delete(_find(call, access))


# -- tokens ----------------------------------------------------------------------------------------------


def ec2_token(call: Call[IdentityDeps], body: SignedBody) -> Reply[EncodedToken]:
    """POST /v3/ec2tokens: a signature is good once."""
    signed = _given(body)
    request = Signed(
        signed.signature, signed.host, signed.verb, signed.path, signed.params, signed.headers, signed.body_hash
    )
    row = _proven(call, signed, lambda secret: ec2_claim(request, secret))
    _use_once(call, signed)
    return _token(call, row)


def s3_token(call: Call[IdentityDeps], body: SignedBody) -> Reply[EncodedToken]:
    """POST /v3/s3tokens: clients fetch the parts of an object with one signature, so it may be repeated while its time
    is valid.
    """
    signed = _given(body)
    return _token(call, _proven(call, signed, lambda secret: s3_claim(signed.token, secret)))


def _given(body: SignedBody) -> SignedRequest:
    given = body.credentials or body.ec2_credentials
    if given is None or not given.access or not given.signature:
        raise BadRequest("Expecting credentials with access and signature.")
    return given


def _proven(call: Call[IdentityDeps], given: SignedRequest, claim_of: Callable[[str], Claim]) -> Credential:
    """The key whose secret made the signature. Raises Unauthorized, with the same text for every cause."""
    with call.database.read() as tx:
        row = tx.scalar(_with_access(given.access))
    secret, bound = ids.new_hex(), False
    if row is not None:
        blob = ec2_blob(call.deps.secrets.open_text(row.sealed))
        secret, bound = blob.secret, any(blob.bindings().values())
    try:
        claim = claim_of(secret)
    except Unsigned as error:
        raise Unauthorized(internal="no signature of a known kind") from error
    right = claim.holds(given.signature)
    if row is None or not right:
        raise Unauthorized(internal="EC2 access key not found or signature not its own")
    if bound:  # a token of the owner's whole roles would be more than the key says
        raise Unauthorized(internal="the EC2 key is bound to a delegation, which keys of this cloud never are")
    if not claim.is_timely(clock.utcnow(), call.deps.options.signature_window_s):
        raise Unauthorized(internal="the signature is too old or of the future")
    return row


def _use_once(call: Call[IdentityDeps], given: SignedRequest) -> None:
    digest = hashlib.sha256(f"{given.access}\n{given.signature}".encode()).hexdigest()
    # An hour is the longest that a request of version 2 may ask for; the window counts in both directions.
    until = clock.utcnow() + timedelta(seconds=2 * call.deps.options.signature_window_s + 3600)

    def note(tx: Tx) -> None:
        tx.execute(delete_from(UsedSignature).where(UsedSignature.expires_at < clock.utcnow()))
        if tx.get(UsedSignature, digest) is not None:
            raise Unauthorized(internal="the signature was used before")
        tx.add(UsedSignature(digest=digest, expires_at=until))

    try:
        call.database.write(note)
    except IntegrityError as error:
        raise Unauthorized(internal="the signature was used at the same moment") from error


def _token(call: Call[IdentityDeps], row: Credential) -> Reply[EncodedToken]:
    ends = clock.now() + call.deps.tokens.lifetime_s
    proof = Proof(row.user_id, (EC2_METHOD,), ends, project_id=row.project_id, delegated=True)
    token, checked = grant_token(call, proof, None)
    return Reply(checked.body, headers={"X-Subject-Token": token})


_ALL = "/v3/users/{user_id}/credentials/OS-EC2"
_ONE = _ALL + "/{access}"
ROUTES = (
    Route("GET", _ALL, index, "identity:ec2_list_credentials", envelope="credentials", target="handler"),
    Route("POST", _ALL, create, "identity:ec2_create_credential", 201, body=NewKey, target="handler"),
    Route("GET", _ONE, show, "identity:ec2_get_credential", envelope="credential", target="handler"),
    Route("DELETE", _ONE, delete, "identity:ec2_delete_credential", 204, target="handler"),
    Route("POST", "/v3/ec2tokens", ec2_token, "identity:ec2tokens_validate", body=SignedBody, transaction="none"),
    Route("POST", "/v3/s3tokens", s3_token, "identity:s3tokens_validate", body=SignedBody, transaction="none"),
)
