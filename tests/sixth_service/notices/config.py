"""What an operator may set of notices."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec

from gureum.foundation.config import Section


class NoticesConfig(Section):
    """`most` notices are kept at a time."""

    SECTION: ClassVar[str] = "notices"

    most: Annotated[int, msgspec.Meta(ge=1)] = 1000
