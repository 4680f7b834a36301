"""Routes of credentials. Source: identity API reference, "Credentials".

The secret text changes after creation, and a type that is not ec2: an id, an owner and a project never change. A
delegated token (application credential, trust, OAuth, EC2 key) neither makes nor changes nor sees any: a secret read
here signs with all the roles of its owner, whatever the token was narrowed to.
"""

from __future__ import annotations

import hashlib
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from sqlalchemy import or_, select

from gureum.foundation import ids, shapes
from gureum.foundation.errors import BadRequest, Conflict, Forbidden, NotFound
from gureum.foundation.http.call import Call
from gureum.foundation.http.collections import Reach
from gureum.foundation.http.routes import Route
from gureum.foundation.http.views import Extended, JsonValue, Listed, View
from gureum.foundation.policy import EVERY_SCOPE, Rule
from gureum.services.identity import listing
from gureum.services.identity.credentials.model import Credential
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.fields import ADMIN_OR_SYSTEM_READER, SHOWN_ONLY, IdText, extra_of
from gureum.services.identity.finding import existing
from gureum.services.identity.listing import SelfLink, declared, query, self_link
from gureum.services.identity.projects.model import Project
from gureum.services.identity.users.model import User

_OWNER = "target.credential.user_id"
_OWN = f"user_id:%({_OWNER})s"
_LIST = "identity:list_credentials"
RULES = (
    Rule("identity:get_credential", f"{ADMIN_OR_SYSTEM_READER} or {_OWN}", "Show a credential", scopes=EVERY_SCOPE),
    Rule(_LIST, f"{ADMIN_OR_SYSTEM_READER} or {_OWN}", "List credentials", EVERY_SCOPE),
    Rule("identity:create_credential", f"rule:admin_required or {_OWN}", "Create a credential", scopes=EVERY_SCOPE),
    Rule(
        "identity:update_credential",
        f"rule:admin_required or {_OWN}",
        "Change a credential's secret",
        scopes=EVERY_SCOPE,
    ),
    Rule("identity:delete_credential", f"rule:admin_required or {_OWN}", "Delete a credential", scopes=EVERY_SCOPE),
)
EC2 = "ec2"
Blob = Annotated[str, Meta(max_length=16_384)]
Kind = Annotated[str, Meta(min_length=1, max_length=255)]


class NewCredential(Struct):
    type: Kind
    blob: Blob
    user_id: IdText | None = None
    project_id: IdText | None = None


class CredentialChange(Struct):
    blob: Blob | UnsetType = UNSET
    type: Kind | UnsetType = UNSET


class CredentialRow(Struct, frozen=True, gc=False):
    """What lists read of a credential."""

    id: str
    type: str
    sealed: str
    user_id: str
    project_id: str | None
    extra: dict[str, JsonValue]


class CredentialView(View):
    id: str
    type: str
    blob: str
    user_id: str
    project_id: str | None
    links: SelfLink


class Ec2Blob(Struct):
    """The document in the blob of an EC2 key."""

    access: str
    secret: str
    trust_id: JsonValue = None
    app_cred_id: JsonValue = None
    access_token_id: JsonValue = None
    access_id: JsonValue = None

    def bindings(self) -> dict[str, JsonValue]:
        """What narrows the key's tokens. Keys made here are never narrowed."""
        return {
            "trust_id": self.trust_id,
            "app_cred_id": self.app_cred_id,
            "access_token_id": self.access_token_id,
            "access_id": self.access_id,
        }


def _view(call: Call[IdentityDeps], row: Credential | CredentialRow) -> Extended[CredentialView]:
    blob = call.deps.secrets.open_text(row.sealed)
    links = self_link(call, "credentials", row.id)
    return Extended(CredentialView(row.id, row.type, blob, row.user_id, row.project_id, links), row.extra)


def refuse_delegated(call: Call[IdentityDeps]) -> None:
    if call.caller.is_delegated:
        raise Forbidden("A delegated token may not make, see, change or delete credentials.")


def create(call: Call[IdentityDeps], body: Extended[NewCredential]) -> Extended[CredentialView]:
    new = body.fields
    user_id = new.user_id or call.caller.user_id
    call.enforce(**{_OWNER: user_id})
    refuse_delegated(call)
    existing(call.tx.get(User, user_id), "user", user_id)
    if new.project_id is not None and call.tx.get(Project, new.project_id) is None:
        raise NotFound(f"Could not find project: {new.project_id}.")
    digest = None
    if new.type == EC2:
        if new.project_id is None:
            raise BadRequest("A credential of the type ec2 needs a project_id.")
        digest = access_digest(ec2_blob(new.blob).access)
        _check_unused(call, digest)
    row = Credential(
        id=digest or ids.new_hex(),
        access_digest=digest,
        type=new.type,
        sealed=call.deps.secrets.seal_text(new.blob),
        user_id=user_id,
        project_id=new.project_id,
        extra=extra_of(body.extra),
    )
    call.tx.add(row)
    return _view(call, row)


def ec2_blob(text: str) -> Ec2Blob:
    """The document of an EC2 blob. Raises BadRequest."""
    try:
        document = shapes.json_decoder(dict[str, JsonValue]).decode(text)
    except msgspec.DecodeError as error:
        raise BadRequest("The blob of a credential of the type ec2 must be a JSON object.") from error
    refusal = "The blob of a credential of the type ec2 must have the texts access and secret."
    try:
        blob = shapes.converted(document, Ec2Blob)
    except msgspec.ValidationError as error:
        raise BadRequest(refusal) from error
    if not blob.access or not blob.secret:
        raise BadRequest(refusal)
    return blob


def access_digest(access: str) -> str:
    """The digest by which an EC2 key is looked up."""
    return hashlib.sha256(access.encode()).hexdigest()


def _check_unused(call: Call[IdentityDeps], digest: str) -> None:
    """Raises Conflict."""
    same = or_(Credential.id == digest, Credential.access_digest == digest)
    if call.tx.scalar(select(Credential.id).where(same)) is not None:
        raise Conflict("Conflict occurred attempting to store credential - Duplicate entry found.")


def _replace_key(call: Call[IdentityDeps], row: Credential, blob: str) -> None:
    """A new secret for an EC2 key, or another pair. What it is bound to never changes. Raises BadRequest, Conflict."""
    present, changed = ec2_blob(call.deps.secrets.open_text(row.sealed)), ec2_blob(blob)
    bound = present.bindings()
    for name, value in changed.bindings().items():
        if value != bound[name]:
            raise BadRequest(f"The {name} of a credential of the type ec2 cannot be changed.")
    if changed.access == present.access:
        return
    if changed.secret == present.secret:
        raise BadRequest("The access of a credential of the type ec2 is changed with its secret only: as another pair.")
    digest = access_digest(changed.access)
    if digest != row.id:
        _check_unused(call, digest)
    row.access_digest = digest


def _sees_all(call: Call[IdentityDeps]) -> bool:
    return call.allows(_LIST, **{_OWNER: None})


_CREDENTIALS = declared(
    "credentials",
    Credential,
    {"user_id": Credential.user_id, "type": Credential.type},
    CredentialRow,
    reach=Reach(
        lambda call, viewer: () if _sees_all(call) else (Credential.user_id == viewer.user_id,),
        _sees_all,
    ),
)


def index(call: Call[IdentityDeps]) -> Listed[Extended[CredentialView]]:
    """The caller's own, everybody's for those whom the rule lets see them."""
    call.enforce(**{_OWNER: call.caller.user_id})
    refuse_delegated(call)
    return listing.index(call, _CREDENTIALS, _view)


def _find(call: Call[IdentityDeps], credential_id: str) -> Credential:
    refuse_delegated(call)
    row: Credential | None = call.tx.get(Credential, credential_id)
    call.enforce(**{_OWNER: row.user_id if row else None})
    return existing(row, "credential", credential_id)


def show(call: Call[IdentityDeps], credential_id: str) -> Extended[CredentialView]:
    return _view(call, _find(call, credential_id))


def update(call: Call[IdentityDeps], body: Extended[CredentialChange], credential_id: str) -> Extended[CredentialView]:
    row, change = _find(call, credential_id), body.fields
    for name, value in (("id", row.id), ("user_id", row.user_id), ("project_id", row.project_id)):
        if body.extra.get(name, value) != value:
            raise BadRequest(f"The {name} of a credential cannot be changed; delete it and create another one.")
    if change.type is not UNSET and change.type != row.type:
        if EC2 in (change.type, row.type):
            raise BadRequest(
                "A credential neither becomes one of the type ec2 nor ceases to be one: its id is made so."
            )
        row.type = change.type
    if change.blob is not UNSET:
        if row.type == EC2:
            _replace_key(call, row, change.blob)
        row.sealed = call.deps.secrets.seal_text(change.blob)
    row.extra = extra_of(body.extra, _FOR_LIFE, row.extra)
    return _view(call, row)


_FOR_LIFE = SHOWN_ONLY | {"user_id", "project_id"}


def delete(call: Call[IdentityDeps], credential_id: str) -> None:
    call.tx.delete(_find(call, credential_id))


_ALL = "/v3/credentials"
_ONE = _ALL + "/{credential_id}"
ROUTES = (
    Route("GET", _ALL, index, _LIST, envelope="credentials", target="handler", query=query(_CREDENTIALS)),
    Route(
        "POST",
        _ALL,
        create,
        "identity:create_credential",
        201,
        body=Extended[NewCredential],
        envelope="credential",
        target="handler",
    ),
    Route("GET", _ONE, show, "identity:get_credential", envelope="credential", target="handler"),
    Route(
        "PATCH",
        _ONE,
        update,
        "identity:update_credential",
        body=Extended[CredentialChange],
        envelope="credential",
        target="handler",
    ),
    Route("DELETE", _ONE, delete, "identity:delete_credential", 204, target="handler"),
)
