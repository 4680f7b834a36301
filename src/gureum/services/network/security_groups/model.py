"""The tables of security groups and rules."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from gureum.foundation import clock, ids
from gureum.foundation.db.types import Id, Row
from gureum.services.network import spellings
from gureum.services.network.spellings import spelled
from gureum.services.network.standard import Standard

DEFAULT = "default"
ETHERTYPE = spellings.word_of("IPv4", "IPv6")


class SecurityGroup(Standard, Row):
    """`revision` rises with each change of the rules."""

    __tablename__ = "security_groups"

    stateful: Mapped[bool] = mapped_column(default=True)


class SecurityGroupRule(Row):
    """`prefix` is the remote prefix with the client's host bits; `normal_prefix` the range that it means."""

    __tablename__ = "security_group_rules"

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=ids.new_uuid)
    project_id: Mapped[str] = mapped_column(Id, index=True)
    group_id: Mapped[str] = mapped_column(Id, index=True)
    direction: Mapped[str] = mapped_column(String(8), info=spelled(spellings.lower))
    ethertype: Mapped[str] = mapped_column(String(4), info=spelled(ETHERTYPE))
    protocol: Mapped[str | None] = mapped_column(String(16))
    port_min: Mapped[int | None]
    port_max: Mapped[int | None]
    prefix: Mapped[str | None] = mapped_column(String(64), info=spelled(spellings.interface))
    normal_prefix: Mapped[str | None] = mapped_column(String(64), info=spelled(spellings.network))
    remote_group_id: Mapped[str | None] = mapped_column(Id, index=True)
    description: Mapped[str] = mapped_column(String(255), default="")
    revision: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(default=clock.utcnow)
    updated_at: Mapped[datetime] = mapped_column(default=clock.utcnow)
