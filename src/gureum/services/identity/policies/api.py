"""Routes of policy documents. Source: identity API reference, "Policies"."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from gureum.foundation import ids
from gureum.foundation.errors import BadRequest
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route
from gureum.foundation.http.views import Extended, JsonValue, Listed, View
from gureum.foundation.policy import Rule
from gureum.services.identity import listing
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.fields import ADMIN, ADMIN_OR_SYSTEM_READER, CLOUD, extra_of
from gureum.services.identity.finding import existing_row
from gureum.services.identity.listing import SelfLink, declared, query, self_link
from gureum.services.identity.policies.model import PolicyDocument

RULES = (
    Rule("identity:get_policy", ADMIN_OR_SYSTEM_READER, "Show a policy document", scopes=CLOUD),
    Rule("identity:list_policies", ADMIN_OR_SYSTEM_READER, "List policy documents", scopes=CLOUD),
    Rule("identity:create_policy", ADMIN, "Create a policy document", scopes=CLOUD),
    Rule("identity:update_policy", ADMIN, "Change a policy document", scopes=CLOUD),
    Rule("identity:delete_policy", ADMIN, "Delete a policy document", scopes=CLOUD),
)
_MAX_BLOB_BYTES = 65_536
Kind = Annotated[str, Meta(min_length=1, max_length=255)]
Blob = str | dict[str, JsonValue]


class NewPolicy(Struct):
    blob: Blob
    type: Kind


class PolicyChange(Struct):
    blob: Blob | UnsetType = UNSET
    type: Kind | UnsetType = UNSET


class PolicyRow(Struct, frozen=True, gc=False):
    """What lists read of a policy document."""

    id: str
    type: str
    blob: Blob
    extra: dict[str, JsonValue]


class PolicyView(View):
    id: str
    type: str
    blob: Blob
    links: SelfLink


def view_of(call: Call[IdentityDeps], row: PolicyDocument | PolicyRow) -> Extended[PolicyView]:
    """A policy document as lists and its own page show it."""
    return Extended(PolicyView(row.id, row.type, row.blob, self_link(call, "policies", row.id)), row.extra)


def _bounded(blob: Blob) -> Blob:
    if len(msgspec.json.encode(blob)) > _MAX_BLOB_BYTES:
        raise BadRequest(f"The blob of a policy is at most {_MAX_BLOB_BYTES} bytes long.")
    return blob


def create(call: Call[IdentityDeps], body: Extended[NewPolicy]) -> Extended[PolicyView]:
    new, extra = body.fields, extra_of(body.extra)
    row = PolicyDocument(id=ids.new_hex(), type=new.type, blob=_bounded(new.blob), extra=extra)
    call.tx.add(row)
    return view_of(call, row)


_POLICIES = declared("policies", PolicyDocument, {"type": PolicyDocument.type}, PolicyRow)


def index(call: Call[IdentityDeps]) -> Listed[Extended[PolicyView]]:
    return listing.index(call, _POLICIES, view_of)


def show(call: Call[IdentityDeps], policy_id: str) -> Extended[PolicyView]:
    return view_of(call, existing_row(call.tx, PolicyDocument, "policy", policy_id))


def update(call: Call[IdentityDeps], body: Extended[PolicyChange], policy_id: str) -> Extended[PolicyView]:
    change = body.fields
    row = existing_row(call.tx, PolicyDocument, "policy", policy_id)
    if change.type is not UNSET:
        row.type = change.type
    if change.blob is not UNSET:
        row.blob = _bounded(change.blob)
    row.extra = extra_of(body.extra, present=row.extra)
    return view_of(call, row)


def delete(call: Call[IdentityDeps], policy_id: str) -> None:
    call.tx.delete(existing_row(call.tx, PolicyDocument, "policy", policy_id))


_ALL = "/v3/policies"
_ONE = _ALL + "/{policy_id}"
ROUTES = (
    Route("GET", _ALL, index, "identity:list_policies", envelope="policies", query=query(_POLICIES)),
    Route("POST", _ALL, create, "identity:create_policy", 201, body=Extended[NewPolicy], envelope="policy"),
    Route("GET", _ONE, show, "identity:get_policy", envelope="policy"),
    Route("PATCH", _ONE, update, "identity:update_policy", body=Extended[PolicyChange], envelope="policy"),
    Route("DELETE", _ONE, delete, "identity:delete_policy", 204),
)
