"""The two models of enforcement, and what a limit may be in them. Pure. A limit of -1 is no limit.

flat: every project stands alone. strict_two_level: no project may have more than its domain, and a domain's projects
together may use no more than the domain's limit. Source: keystone's guide on unified limits.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from gureum.foundation.errors import Forbidden

FLAT: Final = "flat"
STRICT_TWO_LEVEL: Final = "strict_two_level"
UNLIMITED = -1
DESCRIPTIONS = {
    FLAT: "Limit enforcement and validation does not take project hierarchy into consideration.",
    STRICT_TWO_LEVEL: "This model requires project hierarchy never exceeds a depth of two",
}


def check_project(wanted: int, domain_limit: int) -> None:
    """Raises Forbidden for more than the domain has."""
    if exceeds(wanted, domain_limit):
        raise Forbidden(f"Invalid resource limit: {wanted} is more than the domain's limit of {domain_limit}.")


def check_domain(wanted: int, project_limits: Iterable[int]) -> None:
    """Raises Forbidden for less than one of its projects has."""
    for limit in project_limits:
        if exceeds(limit, wanted):
            raise Forbidden(f"Invalid resource limit: a project of the domain has {limit}, more than {wanted}.")


def exceeds(one: int, other: int) -> bool:
    if other == UNLIMITED:
        return False
    return one == UNLIMITED or one > other
