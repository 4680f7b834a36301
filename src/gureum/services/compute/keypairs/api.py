"""Routes of keypairs. Source: compute API reference, "Keypairs (keypairs)"."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType
from sqlalchemy import select

from gureum.foundation import clock
from gureum.foundation.errors import Conflict, NotFound
from gureum.foundation.http.call import Call
from gureum.foundation.http.collections import Collection, Pages, links
from gureum.foundation.http.routes import Route
from gureum.foundation.http.versioned import Since, Takes
from gureum.foundation.http.views import Listed, View
from gureum.foundation.policy import Rule
from gureum.services.compute.deps import ComputeDeps
from gureum.services.compute.keypairs.model import Keypair
from gureum.services.compute.pages import CLOSED, check_paging

_LETTERS, _MORE_LETTERS = r"a-zA-Z0-9_\-", r"a-zA-Z0-9_\-@."
KeypairName = Annotated[
    str, Meta(min_length=1, max_length=255, pattern=rf"^[{_LETTERS}]([{_LETTERS} ]*[{_LETTERS}])?\Z")
]
WiderName = Annotated[
    str, Meta(min_length=1, max_length=255, pattern=rf"^[{_MORE_LETTERS}]([{_MORE_LETTERS} ]*[{_MORE_LETTERS}])?\Z")
]
PublicKey = Annotated[str, Meta(min_length=1, max_length=16384)]
UserId = Annotated[str, Meta(max_length=64)]
KeyType = Literal["ssh", "x509"]
OWN = "(rule:admin) or user_id:%(user_id)s"

RULES = (
    Rule("os_compute_api:os-keypairs:index", OWN, "List keypairs of a user"),
    Rule("os_compute_api:os-keypairs:create", OWN, "Create or import a keypair"),
    Rule("os_compute_api:os-keypairs:show", OWN, "Show a keypair"),
    Rule("os_compute_api:os-keypairs:delete", OWN, "Delete a keypair"),
)


class NewKeypair(Struct, forbid_unknown_fields=True):
    """Since 2.92 the cloud makes no private keys, and a name may hold `@` and `.`."""

    name: Annotated[WiderName, Takes((2, 1), KeypairName), Takes((2, 92), WiderName)]
    public_key: Annotated[PublicKey | None, Takes((2, 92), PublicKey, required=True)] = None
    type: Annotated[KeyType, Since(2, 2)] = "ssh"
    user_id: Annotated[UserId | None, Since(2, 10)] = None


class KeypairRow(Struct, frozen=True, gc=False):
    """What is read of a keypair."""

    id: int
    user_id: str
    name: str
    type: str
    fingerprint: str
    public_key: str
    created_at: datetime


class KeypairView(View):
    """A keypair as it was created. The private key is shown this once, if the cloud made it."""

    name: str
    public_key: str
    fingerprint: str
    user_id: str
    type: Annotated[str, Since(2, 2)]
    private_key: str | UnsetType = UNSET


class KeypairDetail(View):
    name: str
    public_key: str
    fingerprint: str
    user_id: str
    type: Annotated[str, Since(2, 2)]
    id: int
    created_at: str | None
    deleted: Literal[False] = False
    deleted_at: None = None
    updated_at: None = None


class ListedKeypair(View):
    name: str
    public_key: str
    fingerprint: str
    type: Annotated[str, Since(2, 2)]


class ListEntry(View):
    """An entry of the list: each keypair is under a key of its own."""

    keypair: ListedKeypair


def create(call: Call[ComputeDeps], body: NewKeypair) -> KeypairView:
    from gureum.services.compute.keypairs import rules  # X.509 takes 30 ms of a start and is rarely asked for

    owner = body.user_id or call.caller.user_id
    call.enforce(user_id=owner)
    taken = select(Keypair.id).where(Keypair.user_id == owner, Keypair.name == body.name)
    if call.tx.scalar(taken) is not None:
        raise Conflict(f"Key pair '{body.name}' already exists.")
    call.deps.quotas.require(call.tx, call.caller.project_id or "", {"key_pairs": 1}, user_id=owner)
    private, public = None, body.public_key or ""
    if body.public_key is None:
        private, public = rules.generate(body.name) if body.type == "ssh" else rules.generate_certificate(owner)
    mark = rules.fingerprint(public) if body.type == "ssh" else rules.certificate_fingerprint(public)
    call.tx.add(Keypair(user_id=owner, name=body.name, type=body.type, fingerprint=mark, public_key=public))
    return KeypairView(body.name, public, mark, owner, body.type, UNSET if private is None else private)


KEYPAIRS = Collection(
    name="keypairs",
    model=Keypair,
    unique=Keypair.name,
    pages=Pages(most=1000),
    links=links.next_in("keypairs_links"),
    record=KeypairRow,
)
"""Of one user, whose names are unique."""


def index(call: Call[ComputeDeps]) -> Listed[ListEntry]:
    owner = _owner(call)
    call.enforce(user_id=owner)
    if not call.at_least(2, 35):
        return Listed([_entry(row) for row in KEYPAIRS.every(call, Keypair.user_id == owner)])
    check_paging(call)
    page = KEYPAIRS.page(call, Keypair.user_id == owner)
    return KEYPAIRS.listed(call, page, [_entry(row) for row in page.rows])


def _entry(row: KeypairRow) -> ListEntry:
    return ListEntry(ListedKeypair(row.name, row.public_key, row.fingerprint, row.type))


def show(call: Call[ComputeDeps], name: str) -> KeypairDetail:
    row = _load(call, name)
    created_at = clock.iso_micro(row.created_at, "")
    return KeypairDetail(row.name, row.public_key, row.fingerprint, row.user_id, row.type, row.id, created_at)


def delete(call: Call[ComputeDeps], name: str) -> None:
    call.tx.delete(_load(call, name))


def _owner(call: Call[ComputeDeps]) -> str:
    """Whose keypairs a request is about."""
    named = call.param("user_id") if call.at_least(2, 10) else None
    return named or call.caller.user_id


def _load(call: Call[ComputeDeps], name: str) -> Keypair:
    owner = _owner(call)
    call.enforce(user_id=owner)
    row: Keypair | None = call.tx.scalar(select(Keypair).where(Keypair.user_id == owner, Keypair.name == name))
    if row is None:
        raise NotFound(f"Keypair {name} not found for user {owner}")
    return row


_AT = "/v2.1/os-keypairs"
_ONE = _AT + "/{name}"
_PREFIX = "os_compute_api:os-keypairs:"
_OWNER = ("user_id",)
_QUERY = ("limit", "marker", *_OWNER)
ROUTES = (
    Route("GET", _AT, index, _PREFIX + "index", target="handler", envelope="keypairs", query=_QUERY, closed=CLOSED),
    *(
        Route(
            "POST",
            _AT,
            create,
            _PREFIX + "create",
            status,
            body=NewKeypair,
            envelope="keypair",
            target="handler",
            since=since,
            until=until,
        )
        for status, since, until in ((200, None, (2, 1)), (201, (2, 2), None))
    ),
    Route("GET", _ONE, show, _PREFIX + "show", target="handler", envelope="keypair", query=_OWNER, closed=CLOSED),
    Route("DELETE", _ONE, delete, _PREFIX + "delete", 202, target="handler", until=(2, 1)),
    Route("DELETE", _ONE, delete, _PREFIX + "delete", 204, target="handler", since=(2, 2), query=_OWNER, closed=CLOSED),
)
