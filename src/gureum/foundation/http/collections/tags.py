"""Filters by tags: `tags`, `tags-any`, `not-tags`, `not-tags-any`, over a column that holds a JSON list of tags.

The database compares: a page of a filtered list is as long as any other. The comparison is with case and exact for
tags without a comma, which no API allows in one. Source: the tagging guideline of the API working group.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Text, and_, false, func, not_, or_, true, type_coerce
from sqlalchemy.orm import InstrumentedAttribute

from gureum.foundation.http import filters
from gureum.foundation.http.call import Call

PARAMETERS = ("tags", "tags-any", "not-tags", "not-tags-any")

TagValues = Callable[[Call[Any], str], list[list[str]]]
"""How an API reads one of the parameters: each list of tags is a condition of its own. Raises BadRequest."""


def each_time(call: Call[Any], name: str) -> list[list[str]]:
    """A parameter counts each time that it is given, and one without a tag says nothing."""
    return [names for names in filters.names(name, call.params(name)) if names]


def last(call: Call[Any], name: str) -> list[list[str]]:
    """Of a parameter given several times the last counts, and one without a tag says nothing."""
    return [names for names in filters.names(name, call.params(name)[-1:]) if names]


def last_even_empty(call: Call[Any], name: str) -> list[list[str]]:
    """Of a parameter given several times the last counts; one without a tag names the empty one, which nothing has."""
    values = call.params(name)[-1:]
    filters.names(name, values)
    return [list(dict.fromkeys(value.split(","))) for value in values]


def tag_conditions(
    call: Call[Any], column: InstrumentedAttribute[Any], values: TagValues = each_time
) -> list[ColumnElement[bool]]:
    """What the query asks of the tags in `column`."""
    found: list[ColumnElement[bool]] = []
    for name in PARAMETERS:
        for tags in values(call, name):
            terms = [_tagged(column, tag) for tag in tags]
            term = or_(false(), *terms) if name.endswith("any") else and_(true(), *terms)
            found.append(not_(term) if name.startswith("not") else term)
    return found


def _tagged(column: InstrumentedAttribute[Any], tag: str) -> ColumnElement[bool]:
    """Whether the JSON list holds `tag`: its quoted form stands at the list's beginning or after a comma.

    A quotation mark within a tag is escaped there, so neither is within one.
    """
    text, quoted = type_coerce(column, Text), msgspec.json.encode(tag).decode()
    return or_(*(func.replace(text, before + quoted, "") != text for before in ("[", ",")))
