"""The manifest: one line for each noun of compute."""

from __future__ import annotations

from gureum.services.compute.aggregates import api as aggregates
from gureum.services.compute.availability_zones import api as availability_zones
from gureum.services.compute.discovery import api as discovery
from gureum.services.compute.flavors import api as flavors
from gureum.services.compute.hypervisors import api as hypervisors
from gureum.services.compute.keypairs import api as keypairs
from gureum.services.compute.limits import api as limits
from gureum.services.compute.quota_sets import api as quota_sets
from gureum.services.compute.security_groups import api as security_groups
from gureum.services.compute.server_groups import api as server_groups
from gureum.services.compute.servers import (
    actions,
    actions_log,
    addresses,
    documents,
    interfaces,
    migrations,
    password,
    topology,
)
from gureum.services.compute.servers import api as servers
from gureum.services.compute.services import api as services
from gureum.services.compute.usage import api as usage
from gureum.services.compute.withdrawn import api as withdrawn

NOUNS = (
    discovery,
    servers,
    actions,
    documents,
    addresses,
    interfaces,
    actions_log,
    password,
    migrations,
    topology,
    flavors,
    keypairs,
    security_groups,
    server_groups,
    limits,
    quota_sets,
    usage,
    availability_zones,
    hypervisors,
    services,
    aggregates,
    withdrawn,
)
