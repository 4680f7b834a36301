"""The numbers that hosts carried in this API before 2.53 gave them UUIDs.

A number is the first 31 bits of the UUID: stable, and no table of its own. Two hosts that share one (a chance of 1 in
4,000 among 1,000 hosts) are told apart only by their UUIDs.
"""

from __future__ import annotations

from typing import Annotated

from gureum.foundation import ids
from gureum.foundation.errors import BadRequest
from gureum.foundation.http.microversions import Version
from gureum.foundation.http.versioned import Takes

UUIDS_SINCE: Version = (2, 53)
ShownId = Annotated[str | int, Takes((2, 1), int), Takes(UUIDS_SINCE, str)]
"""The id of a host or a service in a view."""


def number_of(uuid: str) -> int:
    return int(uuid.replace("-", "")[:8], 16) & 0x7FFFFFFF


def shown(uuid: str, version: Version) -> str | int:
    """The id as `version` shows it."""
    return uuid if version >= UUIDS_SINCE else number_of(uuid)


def check(text: str, version: Version) -> None:
    """Raises BadRequest for what is no UUID, since UUIDS_SINCE."""
    if version >= UUIDS_SINCE and not ids.is_uuid(text):
        raise BadRequest(f"Invalid uuid {text[:64]}")


def names(text: str, uuid: str, version: Version) -> bool:
    """Whether `text` from a URL means this id at `version`."""
    return str(shown(uuid, version)) == text
