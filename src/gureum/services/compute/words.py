"""Types of names and texts in compute's bodies. Source: compute API reference, "Servers", "Flavors", "Aggregates"."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from gureum.foundation.shapes import worded

_UNPRINTABLE = (
    r"\x00-\x1f\x7f-\x9f\xad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ue000-\uf8ff\ufeff\ufff9-\uffff"
)
"""Control and format characters, separators of lines, surrogates and what is for private use."""
_SEEN = rf"[^\s{_UNPRINTABLE}]"
_NO_COLON = rf"[^\s:{_UNPRINTABLE}]"

_NAME = worded(rf"^{_SEEN}([^{_UNPRINTABLE}]*{_SEEN})?\Z", "printable characters without blanks around them")
Name = Annotated[str, Meta(min_length=1, max_length=255, pattern=_NAME)]
"""Printable characters without blanks around them."""
_ZONE = worded(
    rf"^{_NO_COLON}([^:{_UNPRINTABLE}]*{_NO_COLON})?\Z", "printable characters but ':', without blanks around them"
)
ZoneName = Annotated[str, Meta(min_length=1, max_length=255, pattern=_ZONE)]
"""A name without the colon that sets a host's name apart from its zone's."""
PrintableText = Annotated[str, Meta(max_length=255, pattern=worded(rf"^[^{_UNPRINTABLE}]*\Z", "printable characters"))]
_YES = Literal["True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes"]
_NO = Literal["False", "FALSE", "false", "0", "OFF", "Off", "off", "NO", "No", "no"]
Flag = bool | _YES | _NO
"""Every form in which the API takes a boolean."""
