"""Routes of policy documents. Source: identity API reference, "Policies"."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from gureum.foundation import ids
from gureum.foundation.errors import BadRequest
from gureum.foundation.http.call import Call
from gureum.foundation.http.collections import Collection
from gureum.foundation.http.routes import Route
from gureum.foundation.http.views import Listed
from gureum.foundation.policy import Rule
from gureum.services.identity import listing
from gureum.services.identity.fields import ADMIN, ADMIN_OR_SYSTEM_READER, CLOUD, extra_of, typed
from gureum.services.identity.finding import existing
from gureum.services.identity.listing import declared, query, self_link
from gureum.services.identity.policies.model import PolicyDocument

RULES = (
    Rule("identity:get_policy", ADMIN_OR_SYSTEM_READER, "Show a policy document", scopes=CLOUD),
    Rule("identity:list_policies", ADMIN_OR_SYSTEM_READER, "List policy documents", scopes=CLOUD),
    Rule("identity:create_policy", ADMIN, "Create a policy document", scopes=CLOUD),
    Rule("identity:update_policy", ADMIN, "Change a policy document", scopes=CLOUD),
    Rule("identity:delete_policy", ADMIN, "Delete a policy document", scopes=CLOUD),
)
_KNOWN = frozenset({"id", "type", "blob", "links"})
_MAX_BLOB_BYTES = 65_536
Kind = Annotated[str, Meta(min_length=1, max_length=255)]
Blob = str | dict[str, Any]


class NewPolicy(Struct):
    blob: Blob
    type: Kind


class PolicyChange(Struct):
    blob: Blob | UnsetType = UNSET
    type: Kind | UnsetType = UNSET


class PolicyBody(Struct, forbid_unknown_fields=True):
    policy: dict[str, Any]


def view_of(call: Call[Any], row: PolicyDocument) -> dict[str, Any]:
    return {
        **row.extra,
        "id": row.id,
        "type": row.type,
        "blob": row.blob,
        "links": self_link(call, "policies", row.id),
    }


def _bounded(blob: Blob) -> Blob:
    if len(msgspec.json.encode(blob)) > _MAX_BLOB_BYTES:
        raise BadRequest(f"The blob of a policy is at most {_MAX_BLOB_BYTES} bytes long.")
    return blob


def create(call: Call[Any], body: PolicyBody) -> dict[str, Any]:
    new: NewPolicy = typed(NewPolicy, body.policy)
    extra = extra_of(body.policy, _KNOWN)
    row = PolicyDocument(id=ids.new_hex(), type=new.type, blob=_bounded(new.blob), extra=extra)
    call.tx.add(row)
    return {"policy": view_of(call, row)}


_POLICIES: Collection[Any] = declared("policies", PolicyDocument, {"type": PolicyDocument.type})


def index(call: Call[Any]) -> Listed[Any]:
    return listing.index(call, _POLICIES, view_of)


def _find(call: Call[Any], policy_id: str) -> PolicyDocument:
    return existing(call.tx.get(PolicyDocument, policy_id), "policy", policy_id)


def show(call: Call[Any], policy_id: str) -> dict[str, Any]:
    return {"policy": view_of(call, _find(call, policy_id))}


def update(call: Call[Any], body: PolicyBody, policy_id: str) -> dict[str, Any]:
    change: PolicyChange = typed(PolicyChange, body.policy)
    row = _find(call, policy_id)
    if change.type is not UNSET:
        row.type = change.type
    if change.blob is not UNSET:
        row.blob = _bounded(change.blob)
    row.extra = extra_of(body.policy, _KNOWN, row.extra)
    return {"policy": view_of(call, row)}


def delete(call: Call[Any], policy_id: str) -> None:
    call.tx.delete(_find(call, policy_id))


_ALL = "/v3/policies"
_ONE = _ALL + "/{policy_id}"
ROUTES = (
    Route("GET", _ALL, index, "identity:list_policies", envelope="policies", query=query(_POLICIES)),
    Route("POST", _ALL, create, "identity:create_policy", 201, body=PolicyBody),
    Route("GET", _ONE, show, "identity:get_policy"),
    Route("PATCH", _ONE, update, "identity:update_policy", body=PolicyBody),
    Route("DELETE", _ONE, delete, "identity:delete_policy", 204),
)
