"""Routes of credentials. Source: identity API reference, "Credentials".

The secret text changes after creation, and a type that is not ec2: an id, an owner and a project are for life. A
delegated token (application credential, trust, OAuth, EC2 key) neither makes nor changes nor sees any: a secret read
here signs with all the roles of its owner, whatever the token was narrowed to.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from sqlalchemy import or_, select

from gureum.foundation import ids
from gureum.foundation.errors import BadRequest, Conflict, Forbidden, NotFound
from gureum.foundation.http.call import Call
from gureum.foundation.http.collections import Collection, Reach
from gureum.foundation.http.routes import Route
from gureum.foundation.http.views import Listed
from gureum.foundation.policy import EVERY_SCOPE, Rule
from gureum.services.identity import listing
from gureum.services.identity.credentials.model import Credential
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.fields import ADMIN_OR_SYSTEM_READER, IdText, extra_of, typed
from gureum.services.identity.finding import existing
from gureum.services.identity.listing import declared, query, self_link
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
BINDINGS = ("trust_id", "app_cred_id", "access_token_id", "access_id")
"""What the blob of an EC2 key may say that narrows its tokens. Keys made here are never narrowed."""
_KNOWN = frozenset({"id", "type", "blob", "user_id", "project_id", "links"})
_FOR_LIFE = ("id", "user_id", "project_id")
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


class CredentialBody(Struct, forbid_unknown_fields=True):
    credential: dict[str, Any]


def _view(call: Call[IdentityDeps], row: Credential) -> dict[str, Any]:
    return {
        **row.extra,
        "id": row.id,
        "type": row.type,
        "blob": call.deps.secrets.open_text(row.sealed),
        "user_id": row.user_id,
        "project_id": row.project_id,
        "links": self_link(call, "credentials", row.id),
    }


def refuse_delegated(call: Call[Any]) -> None:
    if call.caller.is_delegated:
        raise Forbidden("A delegated token may not make, see, change or delete credentials.")


def create(call: Call[IdentityDeps], body: CredentialBody) -> dict[str, Any]:
    new: NewCredential = typed(NewCredential, body.credential)
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
        digest = access_digest(ec2_blob(new.blob)["access"])
        _check_unused(call, digest)
    row = Credential(
        id=digest or ids.new_hex(),
        access_digest=digest,
        type=new.type,
        sealed=call.deps.secrets.seal_text(new.blob),
        user_id=user_id,
        project_id=new.project_id,
        extra=extra_of(body.credential, _KNOWN),
    )
    call.tx.add(row)
    return {"credential": _view(call, row)}


def ec2_blob(blob: str) -> dict[str, Any]:
    """The document of an EC2 blob. Raises BadRequest."""
    try:
        found = msgspec.json.decode(blob.encode(), type=dict[str, Any])
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise BadRequest("The blob of a credential of the type ec2 must be a JSON object.") from error
    access, secret = found.get("access"), found.get("secret")
    if not isinstance(access, str) or not access or not isinstance(secret, str) or not secret:
        raise BadRequest("The blob of a credential of the type ec2 must have the texts access and secret.")
    return found


def access_digest(access: str) -> str:
    """What an EC2 key is found by."""
    return hashlib.sha256(access.encode()).hexdigest()


def _check_unused(call: Call[Any], digest: str) -> None:
    """Raises Conflict."""
    same = or_(Credential.id == digest, Credential.access_digest == digest)
    if call.tx.scalar(select(Credential.id).where(same)) is not None:
        raise Conflict("Conflict occurred attempting to store credential - Duplicate entry found.")


def _replace_key(call: Call[IdentityDeps], row: Credential, blob: str) -> None:
    """A new secret for an EC2 key, or another pair. What it is bound to is for life. Raises BadRequest, Conflict."""
    present, changed = ec2_blob(call.deps.secrets.open_text(row.sealed)), ec2_blob(blob)
    for name in BINDINGS:
        if changed.get(name) != present.get(name):
            raise BadRequest(f"The {name} of a credential of the type ec2 cannot be changed.")
    if changed["access"] == present["access"]:
        return
    if changed["secret"] == present["secret"]:
        raise BadRequest("The access of a credential of the type ec2 is changed with its secret only: as another pair.")
    digest = access_digest(changed["access"])
    if digest != row.id:
        _check_unused(call, digest)
    row.access_digest = digest


def _sees_all(call: Call[Any]) -> bool:
    return call.allows(_LIST, **{_OWNER: None})


_CREDENTIALS: Collection[Any] = declared(
    "credentials",
    Credential,
    {"user_id": Credential.user_id, "type": Credential.type},
    reach=Reach(
        lambda call, viewer: () if _sees_all(call) else (Credential.user_id == viewer.user_id,),
        _sees_all,
    ),
)


def index(call: Call[IdentityDeps]) -> Listed[Any]:
    """The caller's own, everybody's for those whom the rule lets see them."""
    call.enforce(**{_OWNER: call.caller.user_id})
    refuse_delegated(call)
    return listing.index(call, _CREDENTIALS, _view)


def _find(call: Call[IdentityDeps], credential_id: str) -> Credential:
    refuse_delegated(call)
    row: Credential | None = call.tx.get(Credential, credential_id)
    call.enforce(**{_OWNER: row.user_id if row else None})
    return existing(row, "credential", credential_id)


def show(call: Call[IdentityDeps], credential_id: str) -> dict[str, Any]:
    return {"credential": _view(call, _find(call, credential_id))}


def update(call: Call[IdentityDeps], body: CredentialBody, credential_id: str) -> dict[str, Any]:
    row = _find(call, credential_id)
    for name in _FOR_LIFE:
        if name in body.credential and body.credential[name] != getattr(row, name):
            raise BadRequest(f"The {name} of a credential cannot be changed; delete it and create another one.")
    change: CredentialChange = typed(CredentialChange, body.credential)
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
    row.extra = extra_of(body.credential, _KNOWN, row.extra)
    return {"credential": _view(call, row)}


def delete(call: Call[IdentityDeps], credential_id: str) -> None:
    call.tx.delete(_find(call, credential_id))


_ALL = "/v3/credentials"
_ONE = _ALL + "/{credential_id}"
ROUTES = (
    Route("GET", _ALL, index, _LIST, envelope="credentials", target="handler", query=query(_CREDENTIALS)),
    Route("POST", _ALL, create, "identity:create_credential", 201, body=CredentialBody, target="handler"),
    Route("GET", _ONE, show, "identity:get_credential", target="handler"),
    Route("PATCH", _ONE, update, "identity:update_credential", body=CredentialBody, target="handler"),
    Route("DELETE", _ONE, delete, "identity:delete_credential", 204, target="handler"),
)
