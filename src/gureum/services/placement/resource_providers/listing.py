"""Which providers a GET /resource_providers asks for. Source: placement API reference, "List resource providers"."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, exists, or_, select, true
from sqlalchemy.orm import aliased

from gureum.foundation.db.engine import Tx
from gureum.foundation.db.prepared import Prepared, columns_of
from gureum.foundation.errors import BadRequest
from gureum.foundation.http.call import Call
from gureum.foundation.http.collections import Collection, Condition
from gureum.foundation.http.microversions import Version
from gureum.services.placement import names
from gureum.services.placement.answers import BAD_VALUE, FEW, check_query, dashed
from gureum.services.placement.model import Provider, ProviderAggregate, ProviderInventory, ProviderTrait
from gureum.services.placement.queries import ANY_TRAITS, in_force, membership_of, resources_of, several, traits_of
from gureum.services.placement.resource_providers.views import ProviderRow

PARAMETERS: dict[str, Version] = {
    "name": (1, 0),
    "uuid": (1, 0),
    "member_of": (1, 3),
    "resources": (1, 4),
    "in_tree": (1, 14),
    "required": (1, 18),
}


def _uuid(name: str, text: str) -> str:
    try:
        return dashed(text)
    except BadRequest as error:
        said = f"Invalid query string parameters: {name} {text[:64]!r} is not a 'uuid'"
        raise BadRequest(said, code=BAD_VALUE) from error


def _traits(call: Call[None], required: Sequence[str]) -> list[ColumnElement[bool]]:
    condition = traits_of(required, call.version)
    names.check_traits(call.tx, condition.names())

    def has(group: frozenset[str]) -> ColumnElement[bool]:
        return exists().where(ProviderTrait.provider_id == Provider.id, ProviderTrait.trait.in_(sorted(group)))

    terms = [has(group) for group in condition.required]
    return terms if not condition.forbidden else [*terms, ~has(condition.forbidden)]


def _aggregates(call: Call[None], aggregates: Sequence[str]) -> list[ColumnElement[bool]]:
    """A provider is also in the aggregates of its root."""
    membership = membership_of(aggregates, call.version)

    def within(group: frozenset[str]) -> ColumnElement[bool]:
        mine = or_(ProviderAggregate.provider_id == Provider.id, ProviderAggregate.provider_id == Provider.root_id)
        return exists().where(and_(mine, ProviderAggregate.aggregate_id.in_(sorted(group))))

    terms = [within(group) for group in membership.wanted]
    return terms if not membership.refused else [*terms, ~within(membership.refused)]


def _room(call: Call[None], text: str) -> list[ColumnElement[bool]]:
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


# -- the list --------------------------------------------------------------------------------------------


def _in_tree(_call: Call[None], values: list[str]) -> Condition:
    other = aliased(Provider)
    return Provider.root_id.in_(select(other.root_id).where(other.id == _uuid("in_tree", values[-1])))


def _required(call: Call[None], values: list[str]) -> Condition:
    required = in_force(values, call.version, ANY_TRAITS)
    return and_(true(), *(_traits(call, required) if required else ()))


def _member_of(call: Call[None], values: list[str]) -> Condition:
    aggregates = several(values, call.version)
    return and_(true(), *(_aggregates(call, aggregates) if aggregates else ()))


PROVIDERS = Collection(
    name="resource_providers",
    model=Provider,
    special={
        "name": lambda _call, values: Provider.name == values[-1],
        "uuid": lambda _call, values: Provider.id == _uuid("uuid", values[-1]),
        "in_tree": _in_tree,
        "required": _required,
        "member_of": _member_of,
        "resources": lambda call, values: and_(true(), *_room(call, values[-1])),
    },
    sort_keys={"created_at": Provider.created_at},
    order=(("created_at", False),),
    record=ProviderRow,
)
"""Of several parameters of one name, all of `required` and `member_of` count and the last of any other."""


def providers_asked(call: Call[None]) -> Sequence[ProviderRow]:
    """All providers that the query asks for: the API has no pages."""
    check_query(call, PARAMETERS)
    return PROVIDERS.page(call).rows


_FEW = Prepared(
    select(*columns_of(Provider, ProviderRow)).order_by(Provider.created_at, Provider.id).limit(FEW + 1), ProviderRow
)


def few_providers(tx: Tx) -> Sequence[ProviderRow] | None:
    """What an unfiltered list shows, in its order; None when there are more than a few."""
    rows = _FEW.all(tx)
    return rows if len(rows) <= FEW else None
