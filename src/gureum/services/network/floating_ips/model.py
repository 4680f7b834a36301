"""The floating IPs table."""

from __future__ import annotations

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from gureum.foundation.db.types import Id
from gureum.services.network import spellings
from gureum.services.network.spellings import spelled
from gureum.services.network.standard import Standard, TaggedRow


class FloatingIp(Standard):
    """`port_id`, `fixed_ip` and `router_id` are set together, the address is ACTIVE; or none is, and it is DOWN.

    `own_port_id` is the port that holds the address in the external network; the API shows it without a project.
    """

    __tablename__ = "floating_ips"

    network_id: Mapped[str] = mapped_column(Id, index=True)
    ip: Mapped[str] = mapped_column(String(64), info=spelled(spellings.address))
    own_port_id: Mapped[str] = mapped_column(Id)
    port_id: Mapped[str | None] = mapped_column(Id, index=True)
    fixed_ip: Mapped[str | None] = mapped_column(String(64), info=spelled(spellings.address))
    router_id: Mapped[str | None] = mapped_column(Id, index=True)
    status: Mapped[str] = mapped_column(String(8), default="DOWN", info=spelled(spellings.upper))


class FloatingIpRow(TaggedRow, frozen=True, gc=False):
    """What is read of a floating IP."""

    network_id: str
    ip: str
    port_id: str | None
    fixed_ip: str | None
    router_id: str | None
    status: str
