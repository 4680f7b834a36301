"""Routes of resource providers, their aggregates and usages.

Source: placement API reference, "Resource providers", "Resource provider aggregates", "Resource provider usages".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType
from sqlalchemy import delete as delete_rows
from sqlalchemy import select

from gureum.foundation import clock, ids
from gureum.foundation.db.engine import Tx
from gureum.foundation.errors import BadRequest, Conflict
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Reply, Route
from gureum.foundation.http.versioned import Since
from gureum.foundation.http.views import View
from gureum.foundation.policy import Rule
from gureum.services.placement.answers import (
    ADMIN,
    DUPLICATE_NAME,
    PROVIDER_HAS_CHILDREN,
    PROVIDER_IN_USE,
    Generation,
    Uuid,
    dashed,
    find_provider,
    fresh,
    grow,
)
from gureum.services.placement.model import (
    Allocation,
    Provider,
    ProviderAggregate,
    ProviderInventory,
    ProviderTrait,
)
from gureum.services.placement.resource_providers.listing import PARAMETERS, few_providers, providers_asked
from gureum.services.placement.resource_providers.views import ProviderRow, ProviderView, provider_view

_P = "placement:resource_providers:"

RULES = (
    Rule(_P + "list", ADMIN, "List resource providers"),
    Rule(_P + "create", ADMIN, "Create a resource provider"),
    Rule(_P + "show", ADMIN, "Show a resource provider"),
    Rule(_P + "update", ADMIN, "Change a resource provider"),
    Rule(_P + "delete", ADMIN, "Delete a resource provider"),
    Rule(_P + "usages", ADMIN, "Show what is used of a resource provider"),
    Rule(_P + "aggregates:list", ADMIN, "List the aggregates of a resource provider"),
    Rule(_P + "aggregates:update", ADMIN, "Change the aggregates of a resource provider"),
)

ProviderName = Annotated[str, Meta(min_length=1, max_length=200)]


class NewProvider(Struct, forbid_unknown_fields=True):
    name: ProviderName
    uuid: Uuid | None = None
    parent_provider_uuid: Annotated[Uuid | None, Since(1, 14)] = None


class ChangedProvider(Struct, forbid_unknown_fields=True):
    name: ProviderName
    parent_provider_uuid: Annotated[Uuid | UnsetType | None, Since(1, 14)] = UNSET


class Aggregates(Struct, forbid_unknown_fields=True):
    aggregates: list[Uuid]
    resource_provider_generation: Generation


class UsagesView(View):
    resource_provider_generation: int
    usages: dict[str, int]


class AggregatesView(View):
    aggregates: list[str]
    resource_provider_generation: Annotated[int, Since(1, 19)]


def index(call: Call[None]) -> Reply[list[ProviderView]]:
    return _listed(call, providers_asked(call))


def index_of_few(call: Call[None]) -> Reply[list[ProviderView]] | None:
    """On the event loop, when an embedded database holds only a few providers: cheaper than to change threads."""
    if call.query or not call.database.is_sqlite:
        return None
    call.enforce(**call.own_target())
    with call.database.read() as tx:
        rows = few_providers(tx)
    return None if rows is None else _listed(call, rows)


def _listed(call: Call[None], rows: Sequence[ProviderRow]) -> Reply[list[ProviderView]]:
    views = [provider_view(row, call.version) for row in rows]
    return fresh(call, views, (row.updated_at for row in rows))


def create(call: Call[None], body: NewProvider) -> Reply[ProviderView] | Reply[None]:
    """The provider is shown since 1.20."""
    uuid = dashed(body.uuid) if body.uuid else ids.new_uuid()
    _check_free(call.tx, uuid, body.name)
    root_id, parent_id = uuid, None
    if body.parent_provider_uuid is not None:
        parent_id = dashed(body.parent_provider_uuid)
        if parent_id == uuid:
            raise BadRequest(
                f'Unable to create resource provider "{body.name}", {uuid}: parent provider UUID cannot be same as '
                "UUID. Please set parent provider UUID to None if there is no parent."
            )
        root_id = _parent(call.tx, parent_id, f'Unable to create resource provider "{body.name}", {uuid}').root_id
    now = clock.utcnow()
    row = Provider(id=uuid, name=body.name, generation=0, parent_id=parent_id, root_id=root_id, updated_at=now)
    call.tx.add(row)
    call.tx.flush()
    location = f"{call.base_url}/resource_providers/{uuid}"
    if not call.at_least(1, 20):
        return Reply(None, 201, {"Location": location})
    return fresh(call, provider_view(row, call.version), (now,), location=location)


def show(call: Call[None], uuid: str) -> Reply[ProviderView]:
    row = find_provider(call.tx, uuid)
    return fresh(call, provider_view(row, call.version), (row.updated_at,))


def update(call: Call[None], body: ChangedProvider, uuid: str) -> Reply[ProviderView]:
    """The generation stays: nothing that a claim depends on changes."""
    row = find_provider(call.tx, uuid)
    if body.name != row.name:
        _check_free(call.tx, "", body.name)
        row.name = body.name
    if body.parent_provider_uuid is not UNSET:
        _adopt(call, row, dashed(body.parent_provider_uuid) if body.parent_provider_uuid else None)
    row.updated_at = clock.utcnow()
    call.tx.flush()
    return fresh(call, provider_view(row, call.version), (row.updated_at,))


def delete(call: Call[None], uuid: str) -> None:
    row = find_provider(call.tx, uuid)
    if call.tx.scalar(select(Provider.id).where(Provider.parent_id == row.id).limit(1)) is not None:
        raise Conflict(
            f"Unable to delete parent resource provider {row.id}: It has child resource providers.",
            code=PROVIDER_HAS_CHILDREN,
        )
    if call.tx.scalar(select(Allocation.consumer_id).where(Allocation.provider_id == row.id).limit(1)) is not None:
        raise Conflict(
            f"Unable to delete resource provider {row.id}: Resource provider has allocations.", code=PROVIDER_IN_USE
        )
    for table in (ProviderInventory, ProviderTrait, ProviderAggregate):
        call.tx.execute(delete_rows(table).where(table.provider_id == row.id))
    call.tx.delete(row)


def usages(call: Call[None], uuid: str) -> Reply[UsagesView]:
    row = find_provider(call.tx, uuid)
    columns = (ProviderInventory.resource_class, ProviderInventory.used)
    held = select(*columns).where(ProviderInventory.provider_id == row.id).order_by(ProviderInventory.resource_class)
    used = dict(list(call.tx.execute(held)))
    return fresh(call, UsagesView(row.generation, used), (row.updated_at,))


def aggregates(call: Call[None], uuid: str) -> Reply[AggregatesView]:
    row = find_provider(call.tx, uuid)
    return _aggregates_of(call, row)


def set_aggregates(call: Call[None], body: Aggregates, uuid: str) -> Reply[AggregatesView]:
    row = find_provider(call.tx, uuid)
    by_id = _aggregate_ids(body.aggregates)
    grow(call.tx, row, body.resource_provider_generation)
    return _with_aggregates(call, row, by_id)


def set_aggregates_alone(call: Call[None], body: list[Uuid], uuid: str) -> Reply[AggregatesView]:
    """Until 1.18, whatever the provider's generation."""
    row = find_provider(call.tx, uuid)
    return _with_aggregates(call, row, _aggregate_ids(body))


def _aggregate_ids(uuids: Sequence[str]) -> dict[str, str]:
    """The ids as the table holds them, each with its form in the request. Raises BadRequest."""
    by_id = {dashed(text): text for text in uuids}
    if len(by_id) != len(uuids):
        raise BadRequest("JSON does not validate: aggregates must be unique.")
    return by_id


def _with_aggregates(call: Call[None], row: Provider, by_id: Mapping[str, str]) -> Reply[AggregatesView]:
    call.tx.execute(delete_rows(ProviderAggregate).where(ProviderAggregate.provider_id == row.id))
    for aggregate_id, text in sorted(by_id.items()):
        call.tx.add(ProviderAggregate(provider_id=row.id, aggregate_id=aggregate_id, shown=text))
    row.updated_at = clock.utcnow()
    call.tx.flush()
    return _aggregates_of(call, row)


def _aggregates_of(call: Call[None], row: Provider) -> Reply[AggregatesView]:
    held = select(ProviderAggregate.shown).where(ProviderAggregate.provider_id == row.id)
    return fresh(call, AggregatesView(sorted(call.tx.scalars(held)), row.generation), (row.updated_at,))


def _check_free(tx: Tx, uuid: str, name: str) -> None:
    if uuid and tx.get(Provider, uuid) is not None:
        raise Conflict(f"Conflicting resource provider uuid: {uuid} already exists.", code=DUPLICATE_NAME)
    if tx.scalar(select(Provider.id).where(Provider.name == name)) is not None:
        raise Conflict(f"Conflicting resource provider name: {name} already exists.", code=DUPLICATE_NAME)


def _parent(tx: Tx, uuid: str, what: str) -> Provider:
    parent = tx.get(Provider, uuid)
    if parent is None:
        raise BadRequest(f"{what}: parent provider UUID does not exist.")
    return parent


def _adopt(call: Call[None], row: Provider, parent_id: str | None) -> None:
    """Move a provider with all below it under another parent; since 1.37 also away from one that it had."""
    if parent_id == row.parent_id:
        return
    what = f'Unable to update resource provider "{row.name}", {row.id}'
    if row.parent_id is not None and not call.at_least(1, 37):
        how = "un-parenting" if parent_id is None else "re-parenting"
        raise BadRequest(f"{what}: {how} a provider is not currently allowed.")
    family = call.tx.scalars(select(Provider).where(Provider.root_id == row.root_id)).all()
    below = {row.id}
    while grown := {member.id for member in family if member.parent_id in below} - below:
        below |= grown
    if parent_id in below:
        raise BadRequest(f"{what}: creating loop in the provider tree is not allowed.")
    root_id = row.id if parent_id is None else _parent(call.tx, parent_id, what).root_id
    row.parent_id = parent_id
    for member in family:
        if member.id in below:
            member.root_id = root_id


_ALL = "/resource_providers"
_ONE = _ALL + "/{uuid}"
_AGGREGATES = _ONE + "/aggregates"
_SET = _P + "aggregates:update"
ROUTES = (
    Route("GET", _ALL, index, _P + "list", envelope="resource_providers", fast=index_of_few, query=tuple(PARAMETERS)),
    Route("POST", _ALL, create, _P + "create", body=NewProvider, also=(201,)),
    Route("GET", _ONE, show, _P + "show"),
    Route("PUT", _ONE, update, _P + "update", body=ChangedProvider),
    Route("DELETE", _ONE, delete, _P + "delete", 204),
    Route("GET", _ONE + "/usages", usages, _P + "usages"),
    Route("GET", _AGGREGATES, aggregates, _P + "aggregates:list", since=(1, 1)),
    Route("PUT", _AGGREGATES, set_aggregates_alone, _SET, body=list[Uuid], since=(1, 1), until=(1, 18)),
    Route("PUT", _AGGREGATES, set_aggregates, _SET, body=Aggregates, since=(1, 19)),
)
