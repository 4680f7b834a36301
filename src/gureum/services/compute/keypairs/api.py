"""Routes of keypairs. Source: compute API reference, "Keypairs (keypairs)"."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct
from sqlalchemy import select

from gureum.foundation import clock
from gureum.foundation.errors import Conflict, NotFound
from gureum.foundation.http.call import Call
from gureum.foundation.http.collections import Collection, Pages, links
from gureum.foundation.http.microversions import Version
from gureum.foundation.http.routes import Route
from gureum.foundation.policy import Rule
from gureum.services.compute.keypairs.model import Keypair
from gureum.services.compute.pages import CLOSED, check_paging

_LETTERS, _MORE_LETTERS = r"a-zA-Z0-9_\-", r"a-zA-Z0-9_\-@."
KeypairName = Annotated[
    str, Meta(min_length=1, max_length=255, pattern=rf"^[{_LETTERS}]([{_LETTERS} ]*[{_LETTERS}])?\Z")
]
WiderName = Annotated[
    str, Meta(min_length=1, max_length=255, pattern=rf"^[{_MORE_LETTERS}]([{_MORE_LETTERS} ]*[{_MORE_LETTERS}])?\Z")
]
OWN = "(rule:admin) or user_id:%(user_id)s"

RULES = (
    Rule("os_compute_api:os-keypairs:index", OWN, "List keypairs of a user"),
    Rule("os_compute_api:os-keypairs:create", OWN, "Create or import a keypair"),
    Rule("os_compute_api:os-keypairs:show", OWN, "Show a keypair"),
    Rule("os_compute_api:os-keypairs:delete", OWN, "Delete a keypair"),
)


class NewKeypair(Struct, forbid_unknown_fields=True):
    name: KeypairName
    public_key: Annotated[str, Meta(min_length=1, max_length=16384)] | None = None


class NewKeypairTyped(NewKeypair, forbid_unknown_fields=True):
    type: Literal["ssh", "x509"] = "ssh"


class NewKeypairOfUser(NewKeypairTyped, forbid_unknown_fields=True):
    user_id: Annotated[str, Meta(max_length=64)] | None = None


class NewKeypairImported(Struct, forbid_unknown_fields=True):
    """Since 2.92 the cloud makes no private keys, and a name may hold `@` and `.`."""

    name: WiderName
    public_key: Annotated[str, Meta(min_length=1, max_length=16384)]
    type: Literal["ssh", "x509"] = "ssh"
    user_id: Annotated[str, Meta(max_length=64)] | None = None


class CreateV21(Struct, forbid_unknown_fields=True):
    keypair: NewKeypair


class CreateV22(Struct, forbid_unknown_fields=True):
    keypair: NewKeypairTyped


class CreateV210(Struct, forbid_unknown_fields=True):
    keypair: NewKeypairOfUser


class CreateV292(Struct, forbid_unknown_fields=True):
    keypair: NewKeypairImported


def create(call: Call[Any], body: CreateV210) -> dict[str, Any]:
    from gureum.services.compute.keypairs import rules  # X.509 takes 30 ms of a start and is rarely asked for

    new = body.keypair
    owner = getattr(new, "user_id", None) or call.caller.user_id
    call.enforce(user_id=owner)
    kind = getattr(new, "type", "ssh")
    taken = select(Keypair.id).where(Keypair.user_id == owner, Keypair.name == new.name)
    if call.tx.scalar(taken) is not None:
        raise Conflict(f"Key pair '{new.name}' already exists.")
    call.deps.quotas.require(call.tx, call.caller.project_id or "", {"key_pairs": 1}, user_id=owner)
    private, public = None, new.public_key or ""
    if new.public_key is None:
        private, public = rules.generate(new.name) if kind == "ssh" else rules.generate_certificate(owner)
    mark = rules.fingerprint(public) if kind == "ssh" else rules.certificate_fingerprint(public)
    row = Keypair(user_id=owner, name=new.name, type=kind, fingerprint=mark, public_key=public)
    call.tx.add(row)
    view = _view(row)
    return {"keypair": view if private is None else {**view, "private_key": private}}


KEYPAIRS = Collection(
    name="keypairs",
    model=Keypair,
    unique=Keypair.name,
    pages=Pages(most=1000),
    links=links.next_in("keypairs_links"),
)
"""Of one user, whose names are unique."""


def index(call: Call[Any]) -> dict[str, Any]:
    owner = call.param("user_id") if call.at_least(2, 10) else None
    owner = owner or call.caller.user_id
    call.enforce(user_id=owner)
    if not call.at_least(2, 35):
        return {"keypairs": [{"keypair": _view(row)} for row in KEYPAIRS.every(call, Keypair.user_id == owner)]}
    check_paging(call)
    page = KEYPAIRS.page(call, Keypair.user_id == owner)
    return KEYPAIRS.answer(call, page, [{"keypair": _view(row)} for row in page.rows])


def show(call: Call[Any], name: str) -> dict[str, Any]:
    row = _load(call, name)
    details = {
        "created_at": clock.iso_micro(row.created_at, ""),
        "deleted": False,
        "deleted_at": None,
        "id": row.id,
        "updated_at": None,
    }
    return {"keypair": {**_view(row), **details, "user_id": row.user_id}}


def delete(call: Call[Any], name: str) -> None:
    call.tx.delete(_load(call, name))


def _load(call: Call[Any], name: str) -> Keypair:
    owner = call.param("user_id") if call.at_least(2, 10) else None
    owner = owner or call.caller.user_id
    call.enforce(user_id=owner)
    row: Keypair | None = call.tx.scalar(select(Keypair).where(Keypair.user_id == owner, Keypair.name == name))
    if row is None:
        raise NotFound(f"Keypair {name} not found for user {owner}")
    return row


def _view(row: Keypair) -> dict[str, Any]:
    return {
        "name": row.name,
        "public_key": row.public_key,
        "fingerprint": row.fingerprint,
        "user_id": row.user_id,
        "type": row.type,
    }


def _downgrade(view: dict[str, Any], version: Version) -> dict[str, Any]:
    """Before 2.2 a keypair has no type; a list's entries have no user_id at any version."""
    if "keypairs" in view:
        for entry in view["keypairs"]:
            entry["keypair"].pop("user_id", None)
            if version < (2, 2):
                entry["keypair"].pop("type", None)
    elif version < (2, 2):
        view["keypair"].pop("type", None)
    return view


_BODIES = {(2, 1): CreateV21, (2, 2): CreateV22, (2, 10): CreateV210, (2, 92): CreateV292}
_AT = "/v2.1/os-keypairs"
_ONE = _AT + "/{name}"
_PREFIX = "os_compute_api:os-keypairs:"
_OWNER = ("user_id",)
_QUERY = ("limit", "marker", *_OWNER)
ROUTES = (
    Route("GET", _AT, index, _PREFIX + "index", target="handler", downgrade=_downgrade, query=_QUERY, closed=CLOSED),
    Route("POST", _AT, create, _PREFIX + "create", body=_BODIES, target="handler", downgrade=_downgrade, until=(2, 1)),
    Route(
        "POST", _AT, create, _PREFIX + "create", 201, body=_BODIES, target="handler", downgrade=_downgrade, since=(2, 2)
    ),
    Route("GET", _ONE, show, _PREFIX + "show", target="handler", downgrade=_downgrade, query=_OWNER, closed=CLOSED),
    Route("DELETE", _ONE, delete, _PREFIX + "delete", 202, target="handler", until=(2, 1)),
    Route("DELETE", _ONE, delete, _PREFIX + "delete", 204, target="handler", since=(2, 2), query=_OWNER, closed=CLOSED),
)
