"""Limits and use of each counted network resource, and the check that every create makes first."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import BindParameter, ScalarSelect, bindparam, case, func, select
from sqlalchemy.orm import InstrumentedAttribute

from gureum.foundation.db.engine import Tx
from gureum.foundation.db.prepared import Prepared
from gureum.foundation.quota import EVERY_PROJECT, Overrun, QuotaLimit, overruns
from gureum.services.network import errors
from gureum.services.network.floating_ips.model import FloatingIp
from gureum.services.network.networks.model import Network
from gureum.services.network.ports.model import Port
from gureum.services.network.routers.model import Router
from gureum.services.network.security_groups.model import SecurityGroup, SecurityGroupRule
from gureum.services.network.subnets.model import Subnet

SERVICE = "network"
DEFAULTS = {
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
_OWNERS: dict[str, InstrumentedAttribute[str]] = {
    "network": Network.project_id,
    "subnet": Subnet.project_id,
    "port": Port.project_id,
    "router": Router.project_id,
    "floatingip": FloatingIp.project_id,
    "security_group": SecurityGroup.project_id,
    "security_group_rule": SecurityGroupRule.project_id,
}


def used(tx: Tx, resource: str, project_id: str) -> int:
    """How many of `resource` a project has; 0 for what this cloud does not offer."""
    owner = _OWNERS.get(resource)
    if owner is None:
        return 0
    return tx.scalar(select(func.count()).select_from(owner.class_).where(owner == project_id)) or 0


def overrun_of(tx: Tx, resource: str, project_id: str, amount: int = 1) -> list[Overrun]:
    """What a request for `amount` more would exceed; empty when it fits. One statement."""
    ((limit, taken),) = _limit_and_use(resource).all(tx, project=project_id)
    return overruns({resource: limit}, {resource: taken}, {resource: amount})


@cache
def _limit_and_use(resource: str) -> Prepared[Any]:
    """The limit in force (the project's own, else the operator's, else the default), and how many there are.

    They are counted only against a limit: counting reads every one of them.
    """
    owner = _OWNERS[resource]
    project: BindParameter[str] = bindparam("project")
    count = select(func.count()).select_from(owner.class_.__table__).where(owner == project).scalar_subquery()
    limit = func.coalesce(_limit(resource, project), _limit(resource, EVERY_PROJECT), DEFAULTS[resource])
    return Prepared(select(limit.label("limit"), case((limit < 0, 0), else_=count).label("taken")))


def _limit(resource: str, project_id: Any) -> ScalarSelect[int]:
    row = (QuotaLimit.service == SERVICE, QuotaLimit.project_id == project_id, QuotaLimit.resource == resource)
    return select(QuotaLimit.limit).where(*row).scalar_subquery()


def refuse_overrun(tx: Tx, resource: str, project_id: str, amount: int = 1) -> None:
    """Raises Conflict (the network API's OverQuota) before anything is added."""
    found = overrun_of(tx, resource, project_id, amount)
    if found:
        raise errors.over_quota(found)
