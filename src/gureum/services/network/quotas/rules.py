"""The quotas of the network API: their defaults, and what counts against each.

The unified limits have the same names. Source: network API reference, "Quotas extension".
"""

from __future__ import annotations

from gureum.foundation.quota import Quotas, Rows
from gureum.services.network import errors
from gureum.services.network.floating_ips.model import FloatingIp
from gureum.services.network.networks.model import Network
from gureum.services.network.ports.model import Port
from gureum.services.network.routers.model import Router
from gureum.services.network.security_groups.model import SecurityGroup, SecurityGroupRule
from gureum.services.network.subnets.model import Subnet

_DEFAULTS = {
    "network": 100,
    "subnet": 100,
    "port": 500,
    "router": 10,
    "floatingip": 50,
    "security_group": 10,
    "security_group_rule": 100,
    "rbac_policy": 10,
    "subnetpool": -1,
}
_COUNTERS = {
    "network": Rows(Network.project_id).count(),
    "subnet": Rows(Subnet.project_id).count(),
    "port": Rows(Port.project_id).count(),
    "router": Rows(Router.project_id).count(),
    "floatingip": Rows(FloatingIp.project_id).count(),
    "security_group": Rows(SecurityGroup.project_id).count(),
    "security_group_rule": Rows(SecurityGroupRule.project_id).count(),
}
QUOTAS = Quotas("network", _DEFAULTS, _COUNTERS, refusal=errors.over_quota)
