"""What every view of the network API has in common, and bodies of one resource or several."""

from __future__ import annotations

import msgspec
import pytest
from msgspec import Struct

from gureum.foundation.errors import BadRequest
from gureum.foundation.http.views import View
from gureum.services.network.bulk import Names, OneOrMany, new_resources
from gureum.services.network.views import keep_fields

NAMES = Names("thing", "things")


class NewThing(Struct, forbid_unknown_fields=True):
    name: str


class ThingView(View):
    name: str
    external: bool = msgspec.field(name="router:external")
    mtu: int


def test_fields_are_chosen_by_the_names_that_clients_know():
    view = ThingView("a", True, 1500)
    keep_fields(view, {"router:external", "external", "unknown"})
    assert msgspec.json.encode(view) == b'{"router:external":true}'


@pytest.mark.parametrize(
    ("body", "is_list"),
    [
        ({"thing": {"name": "a"}}, False),
        ({"things": [{"name": "a"}]}, True),
        ({"things": [{"thing": {"name": "a"}}]}, True),
    ],
)
def test_a_resource_comes_alone_or_in_a_list_bare_or_under_its_name(body, is_list):
    assert new_resources(body, NAMES, NewThing) == OneOrMany([NewThing("a")], is_list)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"things": [{"name": "a"}, {"thing": {"name": 1}}]}, "things[1].thing.name"),
        ({"things": [{"name": "a", "more": 1}]}, "things[0]"),
        ({"thing": {"name": "a"}, "things": [{"name": "b"}]}, "Unable to find 'thing'"),
        ({"other": {}}, "unknown field `other`"),
    ],
)
def test_a_refusal_says_where_the_fault_is(body, words):
    with pytest.raises(BadRequest) as refusal:
        new_resources(body, NAMES, NewThing)
    assert words in refusal.value.public
