"""Quotas for every service: `limits.py` says which limit is in force, `counting.py` what is used, `quotas.py` compares.

A service declares a `Quotas` and asks it; `docs/develop/README.md`, "Quotas", has an example.
"""

from gureum.foundation.quota.counting import Count, Family, Projects, Rows
from gureum.foundation.quota.limits import (
    EVERY_PROJECT,
    NO_UNIFIED_LIMITS,
    PROJECT_ITSELF,
    UNLIMITED,
    Overrun,
    ProjectsOfTree,
    QuotaLimit,
    UnifiedLimit,
    UnifiedLimits,
    UnifiedSource,
    in_force,
    overruns,
)
from gureum.foundation.quota.quotas import Level, Quotas, Refusal

__all__ = [
    "EVERY_PROJECT",
    "NO_UNIFIED_LIMITS",
    "PROJECT_ITSELF",
    "UNLIMITED",
    "Count",
    "Family",
    "Level",
    "Overrun",
    "Projects",
    "ProjectsOfTree",
    "QuotaLimit",
    "Quotas",
    "Refusal",
    "Rows",
    "UnifiedLimit",
    "UnifiedLimits",
    "UnifiedSource",
    "in_force",
    "overruns",
]
