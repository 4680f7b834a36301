"""Query parameters as typed values. Raises BadRequest that names the parameter."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy.orm import InstrumentedAttribute

from gureum.foundation.errors import BadRequest

_TRUE = {"1", "true", "t", "yes", "y", "on"}
_FALSE = {"0", "false", "f", "no", "n", "off"}


def boolean(name: str, value: str) -> bool:
    """The forms that the field's clients send: true/false, 1/0, yes/no, on/off in any case."""
    lowered = value.strip().lower()
    if lowered in _TRUE:
        return True
    if lowered in _FALSE:
        return False
    raise BadRequest(f"Invalid input for query parameter {name}: {value[:64]!r} is not a boolean.")


def integer(name: str, value: str, *, minimum: int = 0, maximum: int = 2**31 - 1) -> int:
    if not re.fullmatch(r"[+-]?\d{1,12}", value.strip()):
        raise BadRequest(f"Invalid input for query parameter {name}: {value[:64]!r} is not an integer.")
    number = int(value)
    if not minimum <= number <= maximum:
        raise BadRequest(f"Invalid input for query parameter {name}: {number} is not in {minimum} to {maximum}.")
    return number


def moment(name: str, value: str) -> datetime:
    """An ISO 8601 time as a naive datetime in UTC."""
    try:
        parsed = datetime.fromisoformat(value.replace(" ", "+") if "T" in value else value)
        return parsed if parsed.tzinfo is None else parsed.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError) as error:
        raise BadRequest(
            f"Invalid input for query parameter {name}: {value[:64]!r} is not an ISO 8601 time."
        ) from error


def shown_since(column: InstrumentedAttribute[datetime], limit: datetime) -> ColumnElement[bool]:
    """Of a column that an API shows in whole seconds: what is shown is `limit` or later."""
    return column >= limit.replace(microsecond=0)


def shown_until(column: InstrumentedAttribute[datetime], limit: datetime) -> ColumnElement[bool]:
    """Of a column that an API shows in whole seconds: what is shown is `limit` or earlier, whatever
    fraction of a second the database keeps beside it.
    """
    return column <= limit.replace(microsecond=999_999)


def text(_name: str, value: str) -> str:
    return value


LONGEST_LIST = 200


def names(name: str, values: list[str]) -> list[list[str]]:
    """Lists of names with commas between, each name once. More than 200 are refused: databases bound a condition."""
    lists = [list(dict.fromkeys(part for part in value.split(",") if part)) for value in values]
    if sum(map(len, lists)) > LONGEST_LIST:
        raise BadRequest(f"Invalid input for query parameter {name}: more than {LONGEST_LIST} values.")
    return lists


Convert = Callable[[str, str], Any]
_READERS: Mapping[type, Convert] = {bool: boolean, int: integer}


def reader_of(column: InstrumentedAttribute[Any]) -> Convert:
    """How a value is read that is compared with a column: by the column's type."""
    return _READERS.get(column.type.python_type, text)
