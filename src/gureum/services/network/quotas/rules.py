"""Limits and use of each counted network resource, and the check that every create makes first."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import BigInteger, BindParameter, ColumnElement, ScalarSelect, bindparam, case, func, select
from sqlalchemy.orm import InstrumentedAttribute

from gureum.foundation.db.engine import Tx
from gureum.foundation.db.prepared import Prepared
from gureum.foundation.quota import EVERY_PROJECT, Overrun, QuotaLimit, overruns
from gureum.foundation.quota import limits_of as limits_in_force
from gureum.services.identity.facade import projects_inside
from gureum.services.network import errors
from gureum.services.network.context import NetworkContext
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


def limits_of(ctx: NetworkContext, tx: Tx, project_id: str) -> dict[str, int]:
    """The limit of every quota of a project; the unified limits have the same names."""
    return limits_in_force(tx, SERVICE, project_id, DEFAULTS, ctx.limits(project_id))


def overrun_of(ctx: NetworkContext, tx: Tx, resource: str, project_id: str, amount: int = 1) -> list[Overrun]:
    """What a request for `amount` more would exceed; empty when it fits. One statement."""
    unified = ctx.limits(project_id)
    said = unified.by_resource.get(resource)
    values = {
        "project": project_id,
        "unified": said.own if said else None,
        "default": said.default if said else DEFAULTS[resource],
    }
    tree = unified.tree()
    if resource not in tree:
        ((limit, taken),) = _limit_and_use(resource).all(tx, **values)
        return overruns({resource: limit}, {resource: taken}, {resource: amount})
    ((limit, taken, together),) = _with_tree(resource).all(tx, **values, domain=unified.tree_id)
    wanted = {resource: amount}
    mine = overruns({resource: limit}, {resource: taken}, wanted)
    return mine + overruns(tree, {resource: together}, wanted, of_tree=True)


@cache
def _limit_and_use(resource: str) -> Prepared[Any]:
    """The project's limit in force, and how many there are. They are counted only against a limit: counting reads all.

    The order is that of `foundation.quota.in_force`.
    """
    return Prepared(select(*_limited(resource)))


@cache
def _with_tree(resource: str) -> Prepared[Any]:
    """The same, and how many all projects of a domain have."""
    owner = _OWNERS[resource]
    inside = owner.in_(projects_inside(bindparam("domain")))
    together = select(func.count()).select_from(owner.class_.__table__).where(inside).scalar_subquery()
    return Prepared(select(*_limited(resource), together.label("together")))


def _limited(resource: str) -> tuple[ColumnElement[int], ColumnElement[int]]:
    owner = _OWNERS[resource]
    project: BindParameter[str] = bindparam("project")
    count = select(func.count()).select_from(owner.class_.__table__).where(owner == project).scalar_subquery()
    limit = func.coalesce(
        _limit(resource, project),
        bindparam("unified", type_=BigInteger),
        _limit(resource, EVERY_PROJECT),
        bindparam("default", type_=BigInteger),
    )
    return limit.label("limit"), case((limit < 0, 0), else_=count).label("taken")


def _limit(resource: str, project_id: Any) -> ScalarSelect[int]:
    row = (QuotaLimit.service == SERVICE, QuotaLimit.project_id == project_id, QuotaLimit.resource == resource)
    return select(QuotaLimit.limit).where(*row).scalar_subquery()


def refuse_overrun(ctx: NetworkContext, tx: Tx, resource: str, project_id: str, amount: int = 1) -> None:
    """Raises Conflict (the network API's OverQuota) before anything is added."""
    found = overrun_of(ctx, tx, resource, project_id, amount)
    if found:
        raise errors.over_quota(found)
