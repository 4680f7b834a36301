"""The tables of security groups and rules."""

from __future__ import annotations

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from gureum.foundation.db.types import Id
from gureum.services.network import spellings
from gureum.services.network.spellings import spelled
from gureum.services.network.standard import Owned, OwnedRow, Standard, StandardRow

DEFAULT = "default"
ETHERTYPE = spellings.word_of("IPv4", "IPv6")


class SecurityGroup(Standard):
    """`revision` rises with each change of the rules."""

    __tablename__ = "security_groups"

    stateful: Mapped[bool] = mapped_column(default=True)


class SecurityGroupRule(Owned):
    """`prefix` is the remote prefix with the client's host bits; `normal_prefix` the range that it means."""

    __tablename__ = "security_group_rules"

    group_id: Mapped[str] = mapped_column(Id, index=True)
    direction: Mapped[str] = mapped_column(String(8), info=spelled(spellings.lower))
    ethertype: Mapped[str] = mapped_column(String(4), info=spelled(ETHERTYPE))
    protocol: Mapped[str | None] = mapped_column(String(16))
    port_min: Mapped[int | None]
    port_max: Mapped[int | None]
    prefix: Mapped[str | None] = mapped_column(String(64), info=spelled(spellings.interface))
    normal_prefix: Mapped[str | None] = mapped_column(String(64), info=spelled(spellings.network))
    remote_group_id: Mapped[str | None] = mapped_column(Id, index=True)
    revision: Mapped[int] = mapped_column(default=0)


class GroupRow(StandardRow, frozen=True, gc=False):
    """What is read of a security group."""

    stateful: bool


class RuleRow(OwnedRow, frozen=True, gc=False):
    """What is read of a rule."""

    group_id: str
    direction: str
    ethertype: str
    protocol: str | None
    port_min: int | None
    port_max: int | None
    prefix: str | None
    normal_prefix: str | None
    remote_group_id: str | None


class UnwrittenGroup(GroupRow, frozen=True, gc=False):
    """A default group that is not written, with its rules."""

    rules: list[RuleRow]
