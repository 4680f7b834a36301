"""The manifest: one line for each noun of placement."""

from __future__ import annotations

from gureum.services.placement import discovery
from gureum.services.placement.allocations import api as allocations
from gureum.services.placement.candidates import api as candidates
from gureum.services.placement.inventories import api as inventories
from gureum.services.placement.reshaper import api as reshaper
from gureum.services.placement.resource_classes import api as resource_classes
from gureum.services.placement.resource_providers import api as resource_providers
from gureum.services.placement.traits import api as traits
from gureum.services.placement.usages import api as usages

NOUNS = (
    discovery,
    resource_providers,
    inventories,
    traits,
    resource_classes,
    allocations,
    candidates,
    usages,
    reshaper,
)
