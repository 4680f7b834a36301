"""Security groups in the words of the compute API, whose old routes stand for the network's (until 2.35).

Only ingress rules are told. Refusals are the network's own rules translated: what the network calls a conflict or an
invalid value is a bad request there. Source: compute API reference, "Security groups", "Rules for security group".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec import UNSET, UnsetType
from sqlalchemy import select

from gureum.foundation import ids
from gureum.foundation.caller import Caller
from gureum.foundation.db.engine import Tx
from gureum.foundation.errors import BadRequest, Conflict, NotFound, OverQuota
from gureum.foundation.http.views import View
from gureum.foundation.quota import Refusal
from gureum.services.network.context import NetworkContext
from gureum.services.network.ports.model import Port, PortGroup
from gureum.services.network.security_groups import operations, rules
from gureum.services.network.security_groups.model import DEFAULT, SecurityGroup, SecurityGroupRule
from gureum.services.network.server_ports import operations as ports
from gureum.services.network.server_ports import views
from gureum.services.network.standard import touch

INGRESS = "ingress"


class LegacyPeer(View):
    """The group whose servers a rule lets in; empty for a range of addresses."""

    name: str | UnsetType = UNSET
    tenant_id: str | UnsetType = UNSET


class LegacyRange(View):
    """The addresses that a rule lets in; empty for a group."""

    cidr: str | UnsetType = UNSET


class LegacyRule(View):
    id: str
    parent_group_id: str
    ip_protocol: str | None
    from_port: int | None
    to_port: int | None
    group: LegacyPeer
    ip_range: LegacyRange


class LegacyGroup(View):
    id: str
    name: str
    description: str
    tenant_id: str
    rules: list[LegacyRule]


def shown(
    groups: Sequence[SecurityGroup], entering: Sequence[SecurityGroupRule], names: dict[str, str]
) -> list[LegacyGroup]:
    """The views of groups with those of `entering` that are theirs; `names` are the names of remote groups."""
    by_group: dict[str, list[LegacyRule]] = {group.id: [] for group in groups}
    for rule in entering:
        by_group[rule.group_id].append(rule_view(rule, names))
    return [
        LegacyGroup(group.id, group.name, group.description, group.project_id, by_group[group.id]) for group in groups
    ]


def rule_view(rule: SecurityGroupRule, names: dict[str, str]) -> LegacyRule:
    """Without a port range the compute API shows the whole range, -1 for ICMP."""
    peer, addresses = LegacyPeer(), LegacyRange()
    if rule.remote_group_id:
        peer = LegacyPeer(names.get(rule.remote_group_id, ""), rule.project_id)
    else:
        addresses = LegacyRange(rule.prefix or ("::/0" if rule.ethertype == "IPv6" else "0.0.0.0/0"))
    low, high = rule.port_min, rule.port_max
    if low is None and high is None and rule.protocol is not None:
        number = rules.number_of(rule.protocol)
        low, high = (-1, -1) if number in rules.ICMP else (1, 65535) if number in rules.WITH_PORTS else (None, None)
    return LegacyRule(rule.id, rule.group_id, rule.protocol, low, high, peer, addresses)


@dataclass(frozen=True, slots=True)
class NewIngressRule:
    """A rule in the compute API's values: `ports` -1 for any; `cidr` or `remote_group_id`, or neither for everybody."""

    group_id: str
    protocol: str | None
    ports: tuple[int | None, int | None]
    cidr: str | None = None
    remote_group_id: str | None = None


def _too_many(things: str) -> Refusal:
    """The compute API's words for a quota of the network."""
    return lambda overruns: OverQuota(f"Quota exceeded, too many {things} ({overruns[0]}).")


class LegacySecurityGroups:
    """Everything in the caller's transaction. A group out of the caller's reach is a group that is not there."""

    def __init__(self, ctx: NetworkContext) -> None:
        self._ctx = ctx

    def index(self, tx: Tx, caller: Caller, *, all_projects: bool) -> list[LegacyGroup]:
        """The project's groups, its default group written or not; an administrator's `all_projects`."""
        statement = select(SecurityGroup).order_by(SecurityGroup.created_at, SecurityGroup.id)
        if not (all_projects and caller.is_admin):
            statement = statement.where(SecurityGroup.project_id == caller.project_id)
        groups = list(tx.scalars(statement))
        default = operations.default_id(caller.project_id or "")
        unwritten = [] if any(group.id == default for group in groups) else self._unwritten(tx, caller)
        return [*unwritten, *self._views(tx, groups)]

    def show(self, tx: Tx, caller: Caller, group_id: str) -> LegacyGroup:
        """Raises NotFound."""
        group = self._find(tx, caller, group_id)
        if group is None:
            return self._unwritten(tx, caller)[0]
        return self._views(tx, [group])[0]

    def create(self, tx: Tx, caller: Caller, name: str, description: str) -> LegacyGroup:
        """Raises BadRequest, OverQuota."""
        project_id = caller.project_id or ""
        operations.materialise(tx, self._ctx, project_id)
        self._ctx.quotas.require(tx, project_id, {"security_group": 1}, refusal=_too_many("security groups"))
        group = SecurityGroup(project_id=project_id, name=name, description=description, stateful=True)
        try:
            operations.create_group(tx, self._ctx, group)
        except Conflict as error:
            raise BadRequest(error.public) from error
        return self._views(tx, [group])[0]

    def update(self, tx: Tx, caller: Caller, group_id: str, name: str, description: str) -> LegacyGroup:
        """Raises NotFound, BadRequest."""
        group = self._written(tx, caller, group_id)
        try:
            operations.rename_group(group, name)
        except Conflict as error:
            raise BadRequest(error.public) from error
        group.description = description
        touch(tx, self._ctx.changes, "security_group", group)
        return self._views(tx, [group])[0]

    def delete(self, tx: Tx, caller: Caller, group_id: str) -> None:
        """Raises NotFound; BadRequest for a group in use and for the default one."""
        group = self._written(tx, caller, group_id)
        try:
            operations.delete_group(tx, self._ctx, group, force_default=False)
        except Conflict as error:
            raise BadRequest(error.public) from error

    def add_rule(self, tx: Tx, caller: Caller, new: NewIngressRule) -> LegacyRule:
        """Raises NotFound, BadRequest, OverQuota."""
        rule = ingress_rule(new)
        group = self._written(tx, caller, rule.group_id)
        names: dict[str, str] = {}
        if rule.remote_group_id is not None:
            remote = self._written(tx, caller, rule.remote_group_id)
            names[remote.id] = remote.name
        rule.project_id = group.project_id
        refusal = _too_many("security group rules")
        self._ctx.quotas.require(tx, group.project_id, {"security_group_rule": 1}, refusal=refusal)
        try:
            operations.add_rule(tx, self._ctx, group, rule)
        except Conflict as error:
            raise BadRequest(error.public) from error
        return rule_view(rule, names)

    def remove_rule(self, tx: Tx, caller: Caller, rule_id: str) -> None:
        """Raises NotFound."""
        project_id = caller.project_id or ""
        if rule_id in operations.default_ids(project_id):
            operations.materialise(tx, self._ctx, project_id)
            tx.flush()
        statement = select(SecurityGroupRule).where(SecurityGroupRule.id == rule_id)
        if not caller.is_admin:
            statement = statement.where(SecurityGroupRule.project_id == project_id)
        rule = tx.scalar(statement)
        if rule is None:
            raise NotFound(f"Security group rule {rule_id} could not be found.")
        operations.remove_rule(tx, self._ctx, rule)

    def of_server(self, tx: Tx, server_id: str) -> list[LegacyGroup]:
        """The groups of a server with their ingress rules."""
        held = select(PortGroup.group_id).join(Port, Port.id == PortGroup.port_id).where(Port.server_id == server_id)
        statement = select(SecurityGroup).where(SecurityGroup.id.in_(held)).order_by(SecurityGroup.name)
        return self._views(tx, tx.scalars(statement).all())

    def names_of_servers(self, tx: Tx, server_ids: Sequence[str]) -> dict[str, list[str]]:
        """Every server's groups by name, one statement; a server without any has no entry."""
        return views.security_groups(tx, server_ids)

    def add_to_server(self, tx: Tx, server_id: str, name: str) -> None:
        """Give the server's ports a group by name or id. Raises NotFound."""
        ports.add_group(tx, self._ctx, server_id, name)

    def remove_from_server(self, tx: Tx, caller: Caller, server_id: str, name: str) -> None:
        """Take a group from the server's ports. Raises NotFound."""
        ports.remove_group(tx, self._ctx, caller, server_id, name)

    def _find(self, tx: Tx, caller: Caller, group_id: str) -> SecurityGroup | None:
        """None stands for the caller's default group before it is written."""
        statement = select(SecurityGroup).where(SecurityGroup.id == group_id)
        if not caller.is_admin:
            statement = statement.where(SecurityGroup.project_id == caller.project_id)
        group: SecurityGroup | None = tx.scalar(statement)
        if group is None and group_id != operations.default_id(caller.project_id or ""):
            raise NotFound(f"Security group {group_id} not found.")
        return group

    def _written(self, tx: Tx, caller: Caller, group_id: str) -> SecurityGroup:
        group = self._find(tx, caller, group_id)
        if group is None:
            operations.materialise(tx, self._ctx, caller.project_id or "")
            tx.flush()
            group = self._find(tx, caller, group_id)
        assert group is not None
        return group

    def _unwritten(self, tx: Tx, caller: Caller) -> list[LegacyGroup]:
        default = operations.default_group(tx, self._ctx, caller.project_id or "")
        if default is None:
            return []
        entering = [rule for rule in default.rules if rule.direction == INGRESS]
        return shown([default.group], entering, {default.group.id: DEFAULT})

    def _views(self, tx: Tx, groups: Sequence[SecurityGroup]) -> list[LegacyGroup]:
        mine = (SecurityGroupRule.group_id.in_([group.id for group in groups]), SecurityGroupRule.direction == INGRESS)
        statement = select(SecurityGroupRule).where(*mine)
        found = tx.scalars(statement.order_by(SecurityGroupRule.created_at, SecurityGroupRule.id)).all()
        remote = {rule.remote_group_id for rule in found if rule.remote_group_id}
        named = select(SecurityGroup.id, SecurityGroup.name).where(SecurityGroup.id.in_(remote))
        names = {row.id: row.name for row in tx.execute(named)} if remote else {}
        return shown(groups, found, names)


def ingress_rule(new: NewIngressRule) -> SecurityGroupRule:
    """An unsaved rule. Raises BadRequest. ICMPv6 and ranges with a colon mean IPv6."""
    cidr = new.cidr
    if new.remote_group_id is None and not cidr:
        cidr = "0.0.0.0/0"
    ethertype = "IPv6" if cidr and ":" in cidr else "IPv4"
    protocol = rules.canonical(rules.protocol_of(new.protocol), ethertype)
    rules.check_family(protocol, ethertype)
    low, high = (None if port == -1 else port for port in new.ports)
    low, high = rules.ports_of(protocol, low, high)
    return SecurityGroupRule(
        id=ids.new_uuid(),
        group_id=new.group_id,
        direction=INGRESS,
        ethertype=ethertype,
        protocol=protocol,
        port_min=low,
        port_max=high,
        prefix=None if new.remote_group_id else cidr,
        normal_prefix=None if new.remote_group_id else rules.prefix_of(cidr, ethertype),
        remote_group_id=new.remote_group_id,
        description="",
    )
