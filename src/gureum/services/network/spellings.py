"""The one stored spelling of values that may be written in several: addresses, ranges, MACs, words of closed lists.

Pure. A column names its spelling (`spelled`), a value is brought to it before it is stored, and a filter before it is
compared (`listing.py`), so that what is stored is found in whatever spelling it is asked for. Text that is no such
value stays as it is: checking belongs to who stores it, and in a filter it matches nothing.
Source: RFC 5952 (IPv6 addresses), RFC 4632 (CIDR).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Any

from sqlalchemy.orm import InstrumentedAttribute

Spelling = Callable[[str], str]
_KEY = "spelling"
_MAC_FORMS = (
    (re.compile(r"[0-9a-f]{1,2}(?:([:-])[0-9a-f]{1,2})(?:\1[0-9a-f]{1,2}){4}"), 2),
    (re.compile(r"[0-9a-f]{4}(?:([:.-])[0-9a-f]{4})(?:\1[0-9a-f]{4})"), 4),
    (re.compile(r"[0-9a-f]{6}-[0-9a-f]{6}"), 6),
    (re.compile(r"[0-9a-f]{12}"), 12),
)
"""Each with the digits of a group; groups of two may lack a leading zero."""


def spelled(spelling: Spelling) -> dict[Any, Any]:
    """The `info` of a column whose values have this spelling."""
    return {_KEY: spelling}


def spelling_of(column: InstrumentedAttribute[Any]) -> Spelling | None:
    """The spelling that a mapped column names."""
    spelling: Spelling | None = column.info.get(_KEY)
    return spelling


def address(text: str) -> str:
    """An IP address."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text


def network(text: str) -> str:
    """A range without host bits."""
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        return text


def interface(text: str) -> str:
    """A range with its host bits; an address is the range of itself."""
    try:
        return str(ipaddress.ip_interface(text))
    except ValueError:
        return text


def mac(text: str) -> str:
    """A MAC in lower case with colons, from any of the forms in use."""
    lowered = text.strip().lower()
    for form, digits in _MAC_FORMS:
        if form.fullmatch(lowered):
            joined = "".join(group.zfill(digits) for group in re.split(r"[:.-]", lowered))
            return ":".join(joined[place : place + 2] for place in range(0, 12, 2))
    return text


def word_of(*words: str) -> Spelling:
    """A word of a closed list, whatever its case."""
    by_lower = {word.lower(): word for word in words}
    return lambda text: by_lower.get(text.lower(), text)


lower: Spelling = str.lower
upper: Spelling = str.upper
