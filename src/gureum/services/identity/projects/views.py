"""What clients are shown of a project, beside the properties that its client chose."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from gureum.foundation.http.call import Call
from gureum.foundation.http.views import Extended, JsonValue, View
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.fields import ShownOptions
from gureum.services.identity.listing import SelfLink, self_link
from gureum.services.identity.projects.model import Project


class ProjectRow(Struct, frozen=True, gc=False):
    """What lists read of a project."""

    id: str
    name: str
    domain_id: str
    description: str
    enabled: bool
    parent_id: str | None
    is_domain: bool
    tags: list[str]
    options: ShownOptions
    extra: dict[str, JsonValue]


class ProjectView(View):
    id: str
    name: str
    domain_id: str | None
    description: str
    enabled: bool
    parent_id: str | None
    is_domain: bool
    tags: list[str]
    options: ShownOptions
    links: SelfLink


class FamilyMember(View):
    """An entry of the lists of parents and of the subtree."""

    project: Extended[ProjectView]


Family = list[FamilyMember] | dict[str, JsonValue] | None | UnsetType
"""As a list, or as a tree of ids; null for a tree without any."""


class WithFamily(ProjectView):
    """A project with what is above and below it, where that is asked for."""

    parents: Family = UNSET
    subtree: Family = UNSET


def view_of(call: Call[IdentityDeps], row: Project | ProjectRow) -> Extended[ProjectView]:
    """A project as lists and its own page show it."""
    return Extended(
        ProjectView(
            row.id,
            row.name,
            None if row.is_domain else row.domain_id,
            row.description,
            row.enabled,
            row.parent_id,
            row.is_domain,
            row.tags,
            row.options,
            self_link(call, "projects", row.id),
        ),
        row.extra,
    )
