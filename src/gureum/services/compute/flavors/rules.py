"""Pure rules of flavors: what names, ids and extra specs are legal.

Source: compute API reference, "Flavors", "Flavors extra-specs".
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from gureum.foundation.errors import BadRequest

MOST = 2**31 - 1
_KEY = re.compile(r"[a-zA-Z0-9\-_:. ]{1,255}")


def checked_name(name: str) -> str:
    """A printable name without blanks around it. Raises BadRequest."""
    if name != name.strip() or not name or not name.isprintable():
        raise BadRequest("Invalid input for field/attribute name: it must be printable, without blanks around it.")
    return name


def checked_id(given: str | int | None) -> str | None:
    """The chosen id as text, or None when the cloud is to choose. Raises BadRequest."""
    if given is None:
        return None
    text = str(given)
    if text != text.strip() or not text:
        raise BadRequest("Invalid input for field/attribute id: it must not be empty, nor have blanks around it.")
    return text


def number(name: str, value: str | int, minimum: int = 0) -> int:
    """An amount given as a number or as digits. Raises BadRequest."""
    amount = int(value)
    if not minimum <= amount <= MOST:
        raise BadRequest(f"Invalid input for field/attribute {name}: {amount} is not in {minimum} to {MOST}.")
    return amount


def factor(value: str | float) -> float:
    """The rxtx_factor, a number above 0. Raises BadRequest."""
    try:
        found = float(value)
    except ValueError as error:
        raise BadRequest("Invalid input for field/attribute rxtx_factor: it is not a number.") from error
    if not (math.isfinite(found) and 0 < found <= 3.40282e38):
        raise BadRequest("Invalid input for field/attribute rxtx_factor: it must be above 0.")
    return found


RESOURCES = "resources:"
"""Begins the extra specs that claim a class of placement's: `resources:CUSTOM_GPU` = 2."""
SIZES = ("VCPU", "MEMORY_MB", "DISK_GB")
"""Classes that a flavor's own sizes claim."""
_CLASS = re.compile(r"[A-Z0-9_]{1,255}")


def named_resources(specs: Mapping[str, str]) -> dict[str, int]:
    """Class -> amount of the extra specs that claim one. What makes no sense, or is a size, is left out."""
    found = {key.removeprefix(RESOURCES): value for key, value in specs.items() if key.startswith(RESOURCES)}
    return {name: int(value) for name, value in found.items() if not _against(name, value)}


def _against(name: str, value: str) -> str:
    """Why a server cannot claim this, or ""."""
    if not _CLASS.fullmatch(name):
        return "that is no resource class"
    if name in SIZES:
        return "a flavor claims it by its sizes"
    if not (value.isascii() and value.isdigit() and len(value) <= len(str(MOST)) and int(value) <= MOST):
        return f"the amount is no whole number from 0 to {MOST}"
    return ""


def checked_specs(specs: Mapping[str, str | int | float]) -> dict[str, str]:
    """Extra specs with legal keys and values as text of at most 255 characters. Raises BadRequest."""
    found = {}
    for key, value in specs.items():
        if not _KEY.fullmatch(key):
            raise BadRequest(f"Invalid input for field/attribute extra_specs: key {key[:64]!r} is not allowed.")
        text = str(value)
        if len(text) > 255:
            raise BadRequest(f"Invalid input for field/attribute {key}: the value is longer than 255 characters.")
        if key.startswith(RESOURCES) and (reason := _against(key.removeprefix(RESOURCES), text)):
            raise BadRequest(f"Invalid input for field/attribute {key}: {reason}.")
        found[key] = text
    return found
