"""One Struct for a body or a view gives each microversion its closed type."""

from __future__ import annotations

import json
from typing import Annotated

import msgspec
import pytest
from msgspec import UNSET, Meta, Struct, UnsetType

from gureum.foundation.http.received import received
from gureum.foundation.http.routes import Reply, Route
from gureum.foundation.http.versioned import Since, Takes, Until, narrow, starts, type_at
from gureum.foundation.http.views import Extended, Listed, View, encoded, enveloped

Short = Annotated[str, Meta(max_length=3)]


class Nic(Struct, forbid_unknown_fields=True):
    network: str
    tag: Annotated[Annotated[str, Meta(min_length=1)], Since(2, 32)] = ""


class NewThing(Struct, forbid_unknown_fields=True):
    name: Annotated[str, Takes((2, 1), Short), Takes((2, 92), str)]
    key: Annotated[str | None, Takes((2, 92), str, required=True)] = None
    kind: Annotated[str, Since(2, 2)] = "plain"
    nics: list[Nic] | None = None
    files: Annotated[list[str], Until(2, 56)] = []
    zone: str | UnsetType = msgspec.field(default=UNSET, name="OS-EXT:zone")


class Open(Struct):
    name: Short
    enabled: bool = True


def create(_call, body: NewThing) -> None: ...


ROUTE = Route("POST", "/things", create, "rule", body=NewThing, envelope="thing")


def sent(thing, version):
    return received(ROUTE, NewThing, json.dumps({"thing": thing}).encode(), version, "application/json")


def test_a_type_changes_where_a_field_comes_goes_or_takes_something_else():
    assert starts(NewThing) == ((2, 1), (2, 2), (2, 32), (2, 57), (2, 92))
    assert starts(Open) == ()
    assert type_at(Open, (2, 1)) is Open


@pytest.mark.parametrize(
    ("thing", "first", "last"),
    [
        ({"name": "abc", "kind": "x"}, (2, 2), (2, 91)),
        ({"name": "abc", "files": []}, (2, 1), (2, 56)),
        ({"name": "abc", "nics": [{"network": "n", "tag": "t"}]}, (2, 32), (2, 91)),
        ({"name": "abcd", "key": "k"}, (2, 92), (2, 96)),
        ({"name": "abc"}, (2, 1), (2, 91)),
    ],
)
def test_a_body_is_taken_from_the_version_that_has_its_fields_to_the_last(thing, first, last):
    from gureum.foundation.errors import BadRequest

    for version in ((2, 1), (2, 2), (2, 31), (2, 32), (2, 56), (2, 57), (2, 91), (2, 92), (2, 96)):
        if first <= version <= last:
            assert isinstance(sent(thing, version), NewThing)
        else:
            with pytest.raises(BadRequest, match="thing"):
                sent(thing, version)


def test_a_handler_gets_the_newest_type_with_the_defaults_of_what_the_version_does_not_have():
    assert sent({"name": "abc", "nics": [{"network": "n"}]}, (2, 1)) == NewThing("abc", nics=[Nic("n")])


def test_what_a_body_does_not_say_stays_unset_and_names_of_clients_are_read():
    assert sent({"name": "abc"}, (2, 1)).zone is UNSET
    assert sent({"name": "abc", "OS-EXT:zone": "z"}, (2, 1)).zone == "z"


class First(View):
    field: Annotated[str, Since(2, 46)]


class Last(View):
    field: Annotated[str, Until(2, 46)]


def test_markers_of_the_same_version_are_not_taken_for_each_other():
    """typing keeps equal annotated types once."""
    assert shown(First("x"), (2, 90)) == {"thing": {"field": "x"}}
    assert shown(Last("x"), (2, 10)) == {"thing": {"field": "x"}}
    assert shown(Last("x"), (2, 90)) == {"thing": {}}


def test_an_envelope_takes_no_other_name():
    from gureum.foundation.errors import BadRequest

    data = b'{"thing": {"name": "abc"}, "other": 1}'
    with pytest.raises(BadRequest, match="unknown field `other`"):
        received(ROUTE, NewThing, data, (2, 1), "application/json")


def test_an_open_body_keeps_what_is_no_field_of_it():
    route = Route("POST", "/x", create, "rule", body=Extended[Open], envelope="x")
    body = received(route, Extended[Open], b'{"x": {"name": "a", "colour": ["red"]}}', None, "")
    assert body.fields == Open("a")
    assert body.extra == {"colour": ["red"]}


class Address(View):
    ip: str
    mac: Annotated[str, Since(2, 9)]


class Thing(View):
    name: str
    addresses: dict[str, list[Address]]
    locked: Annotated[bool, Since(2, 9)]
    old: Annotated[int, Until(2, 40)]
    fault: str | UnsetType = UNSET


def shown(view, version):
    narrow(view, version)
    return json.loads(msgspec.json.encode(enveloped(view, "thing"), enc_hook=encoded))


def thing():
    return Thing("a", {"net": [Address("10.0.0.1", "fa")]}, locked=True, old=1)


def test_a_view_holds_what_its_version_has_and_is_of_the_closed_type():
    for version, fields in (
        ((2, 1), {"name", "addresses", "old"}),
        ((2, 40), {"name", "addresses", "old", "locked"}),
        ((2, 41), {"name", "addresses", "locked"}),
    ):
        document = shown(thing(), version)["thing"]
        assert document.keys() == fields
        assert ("mac" in document["addresses"]["net"][0]) == (version >= (2, 9))
        msgspec.convert(document, type_at(Thing, version))
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert({**document, "colour": "red"}, type_at(Thing, version))


class Flavor(View):
    id: Annotated[str, Until(2, 46)]
    ram: Annotated[int, Since(2, 47)]


class Server(View):
    flavor: Flavor


def test_views_inside_are_narrowed_by_versions_of_their_own():
    assert shown(Server(Flavor("1", 64)), (2, 46)) == {"thing": {"flavor": {"id": "1"}}}
    assert shown(Server(Flavor("1", 64)), (2, 47)) == {"thing": {"flavor": {"ram": 64}}}


def test_items_of_lists_and_open_views_are_narrowed_too():
    assert shown(Listed([thing()], {"links": []}), (2, 1)).keys() == {"thing", "links"}
    assert "locked" not in shown(Listed([thing()]), (2, 1))["thing"][0]
    assert shown(Extended(thing(), {"colour": "red", "name": "b"}), (2, 1))["thing"] == {
        "colour": "red",
        "name": "a",
        "addresses": {"net": [{"ip": "10.0.0.1"}]},
        "old": 1,
    }


def test_an_open_view_may_hold_more_than_its_fields():
    kind = type_at(list[Extended[Open]], None)
    assert msgspec.convert([{"name": "abc", "colour": "red"}], kind)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert([{"name": "abcd"}], kind)


def test_no_view_no_envelope():
    assert enveloped(None, "thing") is None
    assert Reply().body is None
