"""Bodies of projects: they take properties of the client's own beside their fields.

Source: identity API reference, "Projects".
"""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from gureum.foundation.errors import BadRequest
from gureum.services.identity.fields import (
    Description,
    IdText,
    ProjectName,
    ResourceChange,
    ResourceOptions,
    Tag,
)

Tags = Annotated[list[Tag], Meta(max_length=80)]


class NewProject(Struct):
    name: ProjectName
    description: Description = ""
    enabled: bool = True
    domain_id: IdText | None = None
    parent_id: IdText | None = None
    is_domain: bool = False
    tags: Tags = []
    options: ResourceOptions = ResourceOptions()


class ProjectChange(ResourceChange):
    name: ProjectName | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    domain_id: IdText | None | UnsetType = UNSET
    parent_id: IdText | None | UnsetType = UNSET
    is_domain: bool | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET


def distinct(tags: list[str]) -> list[str]:
    """Tags as they are stored. Raises BadRequest for one that is given twice."""
    if len(set(tags)) != len(tags):
        raise BadRequest("Invalid input: a tag is given twice.")
    return sorted(tags)
