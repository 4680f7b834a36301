"""Microversions: which range an API speaks, what a request asks for, what every answer says about it.

Source: the API-SIG microversion specification. `OpenStack-API-Version: compute 2.79` is the header; compute
also takes `X-OpenStack-Nova-API-Version: 2.79`. Without one, the minimum is meant; `latest` means the maximum.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from gureum.foundation.errors import BadRequest, NotAcceptable

Version = tuple[int, int]

_FORM = re.compile(r"([1-9]\d{0,2})\.(0|[1-9]\d{0,3})")


def parse(text: str, form: re.Pattern[str] = _FORM) -> Version:
    """`2.79` -> (2, 79). Raises BadRequest for anything else."""
    match = form.fullmatch(text.strip())
    if not match:
        raise BadRequest(f"API Version String {text[:40]!r} is of invalid format. Must be of format MajorNum.MinorNum.")
    return int(match[1]), int(match[2])


def text(version: Version) -> str:
    return f"{version[0]}.{version[1]}"


LONGEST_HEADER = 1024
"""Of `OpenStack-API-Version`: one version for each service of a cloud is far shorter."""


@dataclass(frozen=True, slots=True)
class Versions:
    """An API's range. `service` is the name in the header, `legacy_header` an older header of its own.

    Under the path segment `unversioned` an API from before microversions lives on: the headers mean nothing there.
    `form` is what a version looks like: what is of it and outside of the range is 406, anything else 400.
    """

    service: str
    minimum: Version
    maximum: Version
    legacy_header: str = ""
    unversioned: str = ""
    form: re.Pattern[str] = _FORM

    def requested(self, header: str, legacy: str = "") -> Version:
        """The version that a request means. Raises BadRequest or NotAcceptable as the specification says."""
        if len(header) > LONGEST_HEADER:
            raise BadRequest(f"The header OpenStack-API-Version is longer than {LONGEST_HEADER} characters.")
        wanted = ""
        for part in header.split(","):
            service, _, number = part.strip().partition(" ")
            if service.lower() == self.service:
                wanted = number.strip()
        wanted = wanted or legacy.strip()
        if not wanted:
            return self.minimum
        if wanted == "latest":
            return self.maximum
        version = parse(wanted, self.form)
        if not self.minimum <= version <= self.maximum:
            raise NotAcceptable(
                f"Version {wanted} is not supported by the API. "
                f"Minimum is {text(self.minimum)} and maximum is {text(self.maximum)}.",
                extra={"min_version": text(self.minimum), "max_version": text(self.maximum)},
            )
        return version

    def knows(self, path: str) -> bool:
        """Whether a request for this path, without the API's prefix, may ask for a version."""
        return not self.unversioned or path.split("/", 1)[0] != self.unversioned

    @lru_cache(maxsize=512)  # noqa: B019 there is one object for each API
    def headers(self, version: Version | None) -> tuple[tuple[bytes, bytes], ...]:
        """What every answer carries."""
        number = text(version or self.minimum)
        found = [(b"openstack-api-version", f"{self.service} {number}".encode())]
        vary = b"OpenStack-API-Version"
        if self.legacy_header:
            found.append((self.legacy_header.lower().encode(), number.encode()))
            vary += b", " + self.legacy_header.encode()
        found.append((b"vary", vary))
        return tuple(found)
