"""Which providers a GET /resource_providers asks for. Source: placement API reference, "List resource providers"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, or_, select
from sqlalchemy.orm import aliased

from gureum.foundation.db.prepared import Prepared, table_of
from gureum.foundation.errors import BadRequest
from gureum.foundation.http.call import Call
from gureum.foundation.http.microversions import Version
from gureum.services.placement import names
from gureum.services.placement.answers import BAD_VALUE, check_query, dashed
from gureum.services.placement.model import Provider, ProviderAggregate, ProviderInventory, ProviderTrait
from gureum.services.placement.queries import ANY_TRAITS, in_force, membership_of, resources_of, several, traits_of

PARAMETERS: dict[str, Version] = {
    "name": (1, 0),
    "uuid": (1, 0),
    "member_of": (1, 3),
    "resources": (1, 4),
    "in_tree": (1, 14),
    "required": (1, 18),
}


_EVERY: Prepared[Any] = Prepared(select(*table_of(Provider).c).order_by(Provider.created_at, Provider.id))


def providers_asked(call: Call[Any]) -> Sequence[Provider]:
    """Providers' rows, to be read only."""
    check_query(call, PARAMETERS)
    if not call.query:
        return _EVERY.all(call.tx)
    statement: Select[Any] = select(Provider)
    if (name := call.param("name")) is not None:
        statement = statement.where(Provider.name == name)
    if (uuid := call.param("uuid")) is not None:
        statement = statement.where(Provider.id == _uuid("uuid", uuid))
    if (tree := call.param("in_tree")) is not None:
        other = aliased(Provider)
        roots = select(other.root_id).where(other.id == _uuid("in_tree", tree))
        statement = statement.where(Provider.root_id.in_(roots))
    if required := in_force(call.params("required"), call.version, ANY_TRAITS):
        statement = statement.where(*_traits(call, required))
    if aggregates := several(call.params("member_of"), call.version):
        statement = statement.where(*_aggregates(call, aggregates))
    if (resources := call.param("resources")) is not None:
        statement = statement.where(*_room(call, resources))
    return call.tx.scalars(statement.order_by(Provider.created_at, Provider.id)).all()


def _uuid(name: str, text: str) -> str:
    try:
        return dashed(text)
    except BadRequest as error:
        said = f"Invalid query string parameters: {name} {text[:64]!r} is not a 'uuid'"
        raise BadRequest(said, code=BAD_VALUE) from error


def _traits(call: Call[Any], required: Sequence[str]) -> list[ColumnElement[bool]]:
    wanted = traits_of(required, call.version)
    names.check_traits(call.tx, wanted.names())

    def has(group: frozenset[str]) -> ColumnElement[bool]:
        return exists().where(ProviderTrait.provider_id == Provider.id, ProviderTrait.trait.in_(sorted(group)))

    terms = [has(group) for group in wanted.required]
    return terms if not wanted.forbidden else [*terms, ~has(wanted.forbidden)]


def _aggregates(call: Call[Any], aggregates: Sequence[str]) -> list[ColumnElement[bool]]:
    """A provider is also in the aggregates of its root."""
    wanted = membership_of(aggregates, call.version)

    def within(group: frozenset[str]) -> ColumnElement[bool]:
        mine = or_(ProviderAggregate.provider_id == Provider.id, ProviderAggregate.provider_id == Provider.root_id)
        return exists().where(and_(mine, ProviderAggregate.aggregate_id.in_(sorted(group))))

    terms = [within(group) for group in wanted.wanted]
    return terms if not wanted.refused else [*terms, ~within(wanted.refused)]


def _room(call: Call[Any], text: str) -> list[ColumnElement[bool]]:
    resources = resources_of(text)
    if unknown := names.unknown_classes(call.tx, resources):
        raise BadRequest(f"Invalid resource class in resources parameter: No such resource class {unknown[0]}.")
    terms: list[ColumnElement[bool]] = []
    for resource_class, amount in resources.items():
        usable = (ProviderInventory.total - ProviderInventory.reserved) * ProviderInventory.allocation_ratio
        terms.append(
            exists().where(
                ProviderInventory.provider_id == Provider.id,
                ProviderInventory.resource_class == resource_class,
                ProviderInventory.used + amount <= usable,
                ProviderInventory.min_unit <= amount,
                ProviderInventory.max_unit >= amount,
                amount % ProviderInventory.step_size == 0,
            )
        )
    return terms
