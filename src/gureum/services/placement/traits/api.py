"""Routes of traits and of the traits of providers. Source: placement API reference, "Traits"."""

from __future__ import annotations

import re
from typing import Annotated

from msgspec import Meta, Struct
from sqlalchemy import delete, select

from gureum.foundation.errors import BadRequest, Conflict, NotFound
from gureum.foundation.http import filters
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Reply, Route
from gureum.foundation.http.views import View
from gureum.foundation.policy import Rule
from gureum.services.placement import names
from gureum.services.placement.answers import ADMIN, Generation, check_query, find_provider, fresh, grow
from gureum.services.placement.model import CustomTrait, Provider, ProviderTrait

_P = "placement:traits:"
_OF = "placement:resource_providers:traits:"
_CUSTOM = re.compile(r"CUSTOM_[A-Z0-9_]{1,248}")

RULES = (
    Rule(_P + "list", ADMIN, "List traits"),
    Rule(_P + "show", ADMIN, "Ask whether a trait exists"),
    Rule(_P + "update", ADMIN, "Create a trait"),
    Rule(_P + "delete", ADMIN, "Delete a trait"),
    Rule(_OF + "list", ADMIN, "List the traits of a provider"),
    Rule(_OF + "update", ADMIN, "Change the traits of a provider"),
    Rule(_OF + "delete", ADMIN, "Remove all traits of a provider"),
)

TraitName = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[A-Z0-9_]+\Z")]


class Traits(Struct, forbid_unknown_fields=True):
    traits: list[TraitName]
    resource_provider_generation: Generation


class TraitsView(View):
    traits: list[str]
    resource_provider_generation: int


def index(call: Call[None]) -> Reply[list[str]]:
    check_query(call, {"name": (1, 6), "associated": (1, 6)})
    traits = names.traits(call.tx)
    if (name := call.param("name")) is not None:
        traits = _named(traits, name)
    if (associated := call.param("associated")) is not None:
        carried = set(call.tx.scalars(select(ProviderTrait.trait).distinct()))
        traits = traits & carried if filters.boolean("associated", associated) else traits - carried
    return fresh(call, sorted(traits))


def _named(found: set[str], asked: str) -> set[str]:
    how, separator, rest = asked.partition(":")
    if separator and rest and how == "in":
        return found & set(rest.split(","))
    if separator and rest and how == "startswith":
        return {name for name in found if name.startswith(rest)}
    raise BadRequest(
        'Badly formatted name parameter. Expected name query string parameter in form: "?name=[in|startswith]:'
        f'[name1,name2|prefix]". Got: "{asked[:64]}"'
    )


def show(call: Call[None], name: str) -> Reply[None]:
    if name not in names.traits(call.tx):
        raise NotFound(f"No such trait(s): {name[:255]}.")
    return fresh(call, None)


def create(call: Call[None], name: str) -> Reply[None]:
    if not _CUSTOM.fullmatch(name):
        raise BadRequest('The trait is invalid. A valid trait must be no longer than 255 characters, start with the prefix "CUSTOM_" and use following characters: "A"-"Z", "0"-"9" and "_"')  # fmt: skip # noqa: E501
    location = f"{call.base_url}/traits/{name}"
    if call.tx.get(CustomTrait, name) is not None:
        return fresh(call, None, status=204, location=location)
    call.tx.add(CustomTrait(name=name))
    return fresh(call, None, status=201, location=location)


def remove(call: Call[None], name: str) -> None:
    if name in names.standard_traits():
        raise BadRequest(f"Cannot delete standard trait {name}.")
    row = call.tx.get(CustomTrait, name)
    if row is None:
        raise NotFound(f"No such trait(s): {name[:255]}.")
    if call.tx.scalar(select(ProviderTrait.trait).where(ProviderTrait.trait == name).limit(1)) is not None:
        raise Conflict(f"The trait {name} is in use by a resource provider.")
    call.tx.delete(row)


def list_of(call: Call[None], uuid: str) -> Reply[TraitsView]:
    return _traits_of(call, find_provider(call.tx, uuid))


def set_of(call: Call[None], body: Traits, uuid: str) -> Reply[TraitsView]:
    provider = find_provider(call.tx, uuid)
    if len(set(body.traits)) != len(body.traits):
        raise BadRequest("JSON does not validate: traits must be unique.")
    grow(call.tx, provider, body.resource_provider_generation)
    names.check_traits(call.tx, body.traits)
    call.tx.execute(delete(ProviderTrait).where(ProviderTrait.provider_id == provider.id))
    for name in body.traits:
        call.tx.add(ProviderTrait(provider_id=provider.id, trait=name))
    call.tx.flush()
    return _traits_of(call, provider)


def clear_of(call: Call[None], uuid: str) -> None:
    provider = find_provider(call.tx, uuid)
    grow(call.tx, provider)
    call.tx.execute(delete(ProviderTrait).where(ProviderTrait.provider_id == provider.id))


def _traits_of(call: Call[None], provider: Provider) -> Reply[TraitsView]:
    held = select(ProviderTrait.trait).where(ProviderTrait.provider_id == provider.id).order_by(ProviderTrait.trait)
    return fresh(call, TraitsView(list(call.tx.scalars(held)), provider.generation), (provider.updated_at,))


_OF_PATH = "/resource_providers/{uuid}/traits"
_SINCE = (1, 6)
ROUTES = (
    Route("GET", "/traits", index, _P + "list", envelope="traits", since=_SINCE, query=("name", "associated")),
    Route("GET", "/traits/{name}", show, _P + "show", 204, since=_SINCE),
    Route("PUT", "/traits/{name}", create, _P + "update", 201, since=_SINCE, also=(204,)),
    Route("DELETE", "/traits/{name}", remove, _P + "delete", 204, since=_SINCE),
    Route("GET", _OF_PATH, list_of, _OF + "list", since=_SINCE),
    Route("PUT", _OF_PATH, set_of, _OF + "update", body=Traits, since=_SINCE),
    Route("DELETE", _OF_PATH, clear_of, _OF + "delete", 204, since=_SINCE),
)
