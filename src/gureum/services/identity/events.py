"""What identity tells other services."""

from __future__ import annotations

from typing import ClassVar

from gureum.foundation.events.event import Event


class ProjectDeleted(Event, frozen=True):
    """Its tokens and grants are gone; what other services hold of it stays until it is cleaned."""

    KIND: ClassVar[str] = "project.deleted"
    id: str
    name: str
    domain_id: str

    @property
    def project_id(self) -> str:
        return self.id


class DomainDeleted(Event, frozen=True):
    """Each of its projects and users is told of before."""

    KIND: ClassVar[str] = "domain.deleted"
    id: str
    name: str


class UserDeleted(Event, frozen=True):
    KIND: ClassVar[str] = "user.deleted"
    id: str
    domain_id: str
