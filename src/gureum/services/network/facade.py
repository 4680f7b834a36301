"""What other services may ask of the network. Everything runs in the caller's transaction.

The implementation is in `server_ports/`; read its `planning.py` for what is refused and `views.py` for the documents.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import or_, select

from gureum.foundation.caller import Caller
from gureum.foundation.db.engine import Tx
from gureum.services.network.context import NetworkContext
from gureum.services.network.events import (
    AddressesChanged,
    FloatingIpCreated,
    FloatingIpDeleted,
    NetworkCreated,
    NetworkDeleted,
    PortCreated,
    PortDeleted,
    PortsChanged,
)
from gureum.services.network.floating_ips.model import FloatingIp
from gureum.services.network.ports.model import IpAllocation, Port
from gureum.services.network.security_groups.legacy import LegacyGroup, LegacyRule, LegacySecurityGroups, NewIngressRule
from gureum.services.network.server_ports import operations, planning, views, wiring
from gureum.services.network.server_ports.model import Address, Interface, NicPlan, NicRequest, NicWanted, Wiring

__all__ = [
    "Address",
    "AddressesChanged",
    "FloatingIpCreated",
    "FloatingIpDeleted",
    "Interface",
    "LegacyGroup",
    "LegacyRule",
    "NetworkCreated",
    "NetworkDeleted",
    "NetworkFacade",
    "NewIngressRule",
    "NicPlan",
    "NicRequest",
    "NicWanted",
    "PortCreated",
    "PortDeleted",
    "PortsChanged",
    "Wiring",
]


class NetworkFacade:
    """One per process: the ports of servers. `security_groups` are the groups in the words of the compute API."""

    def __init__(self, ctx: NetworkContext) -> None:
        self._ctx = ctx
        self.security_groups = LegacySecurityGroups(ctx)

    def plan(self, tx: Tx, caller: Caller, request: NicRequest, count: int) -> NicPlan:
        """Check the interfaces of `count` servers of the caller's project, quota included.

        Raises BadRequest, Forbidden (OverQuota among them), Conflict in the words of the compute API.
        """
        return planning.plan(tx, self._ctx, caller, request, count)

    def create_server_ports(self, tx: Tx, plan: NicPlan, server_id: str, project_id: str, zone: str) -> None:
        """Make or adopt the plan's ports, in the transaction that planned them.

        Raises Conflict when addresses run out.
        """
        operations.create(tx, self._ctx, plan, (server_id, project_id, zone))

    def bind(self, tx: Tx, server_id: str, host: str | None) -> None:
        """The server's ports belong on `host` (nowhere for None)."""
        operations.bind(tx, self._ctx, server_id, host)

    def wiring(self, tx: Tx, server_id: str) -> Wiring:
        """What the server's host is told: interfaces in attach order, network_data.json, addresses. One statement."""
        return wiring.wiring(tx, server_id, self._ctx.config.dns_servers)

    def addresses(self, tx: Tx, server_ids: Sequence[str]) -> dict[str, list[Address]]:
        """Every server's addresses, one statement; a server without any has no entry."""
        return views.addresses(tx, server_ids)

    def interfaces(self, tx: Tx, server_id: str) -> list[Interface]:
        """The server's interfaces in attach order."""
        return views.interfaces(tx, server_id)

    def attach(self, tx: Tx, caller: Caller, server_id: str, wanted: NicWanted, zone: str) -> str:
        """One more interface; returns its port id. Bound to where the server's others are; else `bind` binds it.

        An empty `wanted` means the project's only network. Raises as `plan` does.
        """
        mode = "listed" if wanted.network_id or wanted.port_id else "auto"
        request = NicRequest("listed", (wanted,)) if mode == "listed" else NicRequest("auto")
        plan = planning.plan(tx, self._ctx, caller, request, 1)
        place, host = operations.next_position(tx, server_id)
        made = operations.create(tx, self._ctx, plan, (server_id, caller.project_id or "", zone), place)
        tx.flush()
        if host is not None:
            operations.bind(tx, self._ctx, server_id, host)
        return made[0] if made else ""

    def detach(self, tx: Tx, server_id: str, port_id: str) -> None:
        """Take one interface away. Raises NotFound."""
        operations.detach(tx, self._ctx, server_id, port_id)

    def add_fixed_ip(self, tx: Tx, server_id: str, network_id: str) -> None:
        """One more address on the network for the server's port there. Raises BadRequest."""
        operations.add_address(tx, self._ctx, server_id, network_id)

    def remove_fixed_ip(self, tx: Tx, server_id: str, address: str) -> None:
        """Take a fixed address away. Raises BadRequest when the server has no such address."""
        operations.remove_address(tx, self._ctx, server_id, address)

    def release(self, tx: Tx, server_id: str) -> None:
        """The server is gone: its own ports are deleted, its user's are free again."""
        operations.release(tx, self._ctx, server_id)

    def servers_with_address(self, tx: Tx, parts: Sequence[str]) -> list[str]:
        """The servers that have an address, fixed or floating, with one of `parts` in it."""
        fixed = or_(*(IpAllocation.ip.contains(part, autoescape=True) for part in parts))
        floating = or_(*(FloatingIp.ip.contains(part, autoescape=True) for part in parts))
        holders = select(IpAllocation.owner_id).where(fixed).union(select(FloatingIp.port_id).where(floating))
        return list(
            tx.scalars(select(Port.server_id).where(Port.id.in_(holders), Port.server_id.isnot(None)).distinct())
        )
