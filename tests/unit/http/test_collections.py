"""The list engine against a model of a few lines: filters, tags, sort keys, markers and limits, in any combination."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import String, insert, true
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from gureum.foundation.caller import Caller
from gureum.foundation.db.engine import Database
from gureum.foundation.db.types import Json
from gureum.foundation.errors import BadRequest
from gureum.foundation.http.call import Call
from gureum.foundation.http.collections import Collection, Pages, links, of_project, tags
from gureum.foundation.http.views import Link


class Tables(DeclarativeBase):
    """Not the cloud's own tables."""


class Thing(Tables):
    __tablename__ = "things"
    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    project_id: Mapped[str] = mapped_column(String(36))
    name: Mapped[str] = mapped_column(String(255))
    size: Mapped[int | None]
    shared: Mapped[bool]
    tags: Mapped[list[str]] = mapped_column(Json)


TAGS = ["a", "b", "A", "a b", 'x"', '"a', "]", "[", "\\", "é", "a'"]
ROWS = [
    SimpleNamespace(
        id=f"id-{number * 7 % 60:02}",
        project_id=f"project-{number % 3}",
        name=f"name-{number % 4}",
        size=None if number % 5 == 0 else number % 6,
        shared=number % 2 == 0,
        tags=[tag for place, tag in enumerate(TAGS) if number * 31 >> place & 1],
    )
    for number in range(60)
]


def collection(**more: Any) -> Collection:
    return Collection(
        **{
            "name": "things",
            "model": Thing,
            "reach": of_project(lambda project: Thing.project_id == project),
            "filters": {
                "name": Thing.name,
                "size": Thing.size,
                "shared": Thing.shared,
            },
            "special": {"at_least": lambda _call, values: Thing.size >= int(values[-1])},
            "tagged": Thing.tags,
            "sort_keys": {"id": Thing.id, "name": Thing.name, "size": Thing.size, "shared": Thing.shared},
            "links": links.next_in("things_links"),
            **more,
        }
    )


THINGS = collection()


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def tx(request, tmp_path_factory):
    """A snapshot of a table with ROWS, for all tests of this module: none writes."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('things')}/things.sqlite"
    else:
        url = request.getfixturevalue("postgresql_url")
    database = Database(url)
    database.write(lambda opened: Tables.metadata.create_all(opened.connection()))
    database.write(lambda opened: opened.execute(insert(Thing), [vars(row) for row in ROWS]))
    with database.read() as opened:
        yield opened
    database.close()


def call_of(tx: Any, query: list[tuple[str, str]], project: str | None = None) -> Call[Any]:
    caller = Caller(roles=("admin",), project_id="project-x") if project is None else Caller(project_id=project)
    call: Call[Any] = Call(None, None, caller, "req-1", None, None)
    call.tx, call.query, call.path, call.base_url = tx, query, "/list/v1/things", "http://cloud/list"
    return call


# -- the model -----------------------------------------------------------------------------------------------


def model(query: list[tuple[str, str]], project: str | None) -> list[str]:
    """The ids of the whole list."""
    rows = [row for row in ROWS if project in (None, row.project_id) and asked_for(row, query)]
    keys = [value for name, value in query if name == "sort_key"]
    directions = [value for name, value in query if name == "sort_dir"]
    usual = directions[0] if len(directions) == 1 else "asc"
    order = [(key, directions[place] if place < len(directions) else usual) for place, key in enumerate(keys)]
    if "id" not in keys:
        order.append(("id", order[-1][1] if order else "asc"))
    for key, direction in reversed(order):
        rows.sort(key=lambda row: sortable(getattr(row, key)), reverse=direction == "desc")
    return [row.id for row in rows]


def sortable(value: Any) -> tuple[bool, Any]:
    return (value is not None, value)


def asked_for(row: Any, query: list[tuple[str, str]]) -> bool:
    equal: dict[str, set[Any]] = {}
    for name, value in query:
        if name in ("name", "size", "shared"):
            read = {"name": str, "size": int, "shared": lambda text: text == "true"}[name]
            equal.setdefault(name, set()).add(read(value))
        elif name in tags.PARAMETERS:
            names = [tag for tag in value.split(",") if tag]
            held = [tag in row.tags for tag in names]
            holds = any(held) if name.endswith("any") else all(held)
            if names and holds is name.startswith("not"):
                return False
    at_least = [int(value) for name, value in query if name == "at_least"]
    if at_least and (row.size is None or row.size < at_least[-1]):
        return False
    return all(getattr(row, name) in values for name, values in equal.items())


def some(name: str, values: Any, most: int = 2) -> Any:
    return st.lists(st.tuples(st.just(name), values), max_size=most)


FILTERS = st.tuples(
    some("name", st.sampled_from([f"name-{number}" for number in range(5)])),
    some("size", st.sampled_from(["0", "1", "5", "9"])),
    some("shared", st.sampled_from(["true", "false"]), 1),
    some("at_least", st.sampled_from(["0", "3"])),
    *(some(name, st.lists(st.sampled_from([*TAGS, ""]), max_size=3).map(",".join)) for name in tags.PARAMETERS),
).map(lambda parts: [pair for part in parts for pair in part])
ORDERS = st.tuples(
    some("sort_key", st.sampled_from(["id", "name", "size", "shared"]), 3),
    some("sort_dir", st.sampled_from(["asc", "desc"]), 3),
).map(lambda parts: [*parts[0], *parts[1]])
PROJECTS = st.sampled_from([None, "project-0", "project-2", "project-9"])
steadily = settings(max_examples=60, derandomize=True)


@steadily
@given(asked=FILTERS, order=ORDERS, project=PROJECTS, limit=st.integers(1, 20))
def test_a_walk_over_all_pages_is_the_whole_list(tx, asked, order, project, limit):
    whole = model([*asked, *order], project)
    walked: list[str] = []
    marker: list[tuple[str, str]] = []
    for _ in range(len(ROWS) + 1):
        page = THINGS.page(call_of(tx, [*asked, *order, ("limit", str(limit)), *marker], project))
        walked += [row.id for row in page.rows]
        assert page.more == (len(walked) < len(whole))
        assert len(page.rows) == limit or not page.more, "a page that is followed by another is full"
        if page.last is None:
            break
        marker = [("marker", page.last)]
    assert walked == whole


@steadily
@given(asked=FILTERS, order=ORDERS, project=PROJECTS, limit=st.integers(1, 20))
def test_a_walk_backwards_is_the_list_from_its_end(tx, asked, order, project, limit):
    reversible = collection(pages=Pages(reversible=True, zero="most"))
    whole = model([*asked, *order], project)
    walked: list[str] = []
    marker: list[tuple[str, str]] = []
    for _ in range(len(ROWS) + 1):
        back = ("page_reverse", "true")
        page = reversible.page(call_of(tx, [*asked, *order, ("limit", str(limit)), back, *marker], project))
        walked = [row.id for row in page.rows] + walked
        if not page.more:
            break
        marker = [("marker", page.rows[0].id)]
    assert walked == whole


@pytest.mark.parametrize("query", [[], [("limit", "7")], [("limit", "0")]])
@pytest.mark.parametrize("project", [None, "project-1", "project-9"])
@pytest.mark.parametrize("pages", [Pages(), Pages(usual=5, most=9), Pages(zero="most")])
def test_the_prepared_page_is_the_one_that_the_query_would_build(tx, query, project, pages):
    listed = collection(pages=pages, order=(("name", True), ("size", False)))
    prepared, built = listed.page(call_of(tx, query, project)), listed.page(call_of(tx, query, project), true())
    assert prepared.rows == built.rows
    assert (prepared.more, prepared.last, prepared.paging) == (built.more, built.last, built.paging)


def test_one_statement_is_prepared_for_all_callers_of_a_kind(tx):
    listed = collection()
    seen = {
        project: [row.id for row in listed.page(call_of(tx, [], project)).rows]
        for project in ("project-0", "project-1")
    }
    assert seen == {project: model([], project) for project in seen}
    listed.page(call_of(tx, []))
    assert len(listed._prepared) == 2, "one for members of projects, one for administrators"


def test_a_marker_out_of_reach_is_refused(tx):
    foreign = next(row.id for row in ROWS if row.project_id == "project-1")
    with pytest.raises(BadRequest, match="marker"):
        THINGS.page(call_of(tx, [("marker", foreign)], "project-0"))
    assert THINGS.page(call_of(tx, [("marker", foreign)])).rows


def test_a_marker_that_the_filters_refuse_is_a_marker_unless_it_must_match(tx):
    row = ROWS[1]
    query = [("marker", row.id), ("name", "name-2")]
    assert [found.id for found in THINGS.page(call_of(tx, query)).rows] == [
        id_ for id_ in model(query[1:], None) if id_ > row.id
    ]
    with pytest.raises(BadRequest, match="marker"):
        collection(marker_matches=True).page(call_of(tx, query))


def test_a_filter_that_is_not_admitted_does_not_count(tx):
    listed = collection(admits=lambda _call, name: name != "name")
    query = [("name", "name-1"), ("shared", "true")]
    assert [row.id for row in listed.page(call_of(tx, query)).rows] == model(query[1:], None)


def test_parameters_that_nothing_reads_go_to_other(tx):
    def refuse(_call, name, _value):
        raise BadRequest(f"{name} is unknown.")

    with pytest.raises(BadRequest, match="colour"):
        collection(other=refuse).page(call_of(tx, [("colour", "red")]))
    assert len(THINGS.page(call_of(tx, [("colour", "red")])).rows) == len(ROWS)


def test_bad_pages_are_refused_by_the_name_of_the_parameter(tx):
    for query, said in (
        ([("limit", "x")], "limit"),
        ([("limit", "-1")], "limit"),
        ([("sort_key", "colour")], "sort key"),
        ([("sort_key", "name"), ("sort_dir", "up")], "sort direction"),
        ([("tags", ",".join(f"tag-{number}" for number in range(201)))], "tags"),
    ):
        with pytest.raises(BadRequest, match=said):
            THINGS.page(call_of(tx, query))


def test_links_of_each_form(tx):
    query = [("name", "name-1"), ("limit", "2"), ("marker", "id-00")]
    call = call_of(tx, query)
    page = THINGS.page(call)
    here, following = "http://cloud/list/v1/things", f"name=name-1&limit=2&marker={page.last}"
    listed = THINGS.listed(call, page, [])
    assert (listed.items, listed.beside) == ([], {"things_links": [Link("next", f"{here}?{following}")]})
    assert links.links_object(call, page)["links"] == {
        "next": f"{here}?{following}",
        "self": f"{here}?name=name-1&limit=2&marker=id-00",
        "previous": None,
    }
    assert links.first_and_next(call, page) == {
        "first": "/v1/things?name=name-1&limit=2",
        "next": f"/v1/things?{following}",
    }
    assert links.neighbours_in("links")(call, page)["links"] == [
        {"rel": "next", "href": f"{here}?{following}"},
        {"rel": "previous", "href": f"{here}?name=name-1&limit=2&marker={page.rows[0].id}&page_reverse=True"},
    ]
