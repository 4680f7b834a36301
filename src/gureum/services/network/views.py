"""What the views of all nouns have in common: their shared fields, and `fields=`, which chooses among fields.

A noun's view adds its own fields to `StandardView`, whose values are `standard(row)`. Read next: `listing.py`.
Source: network API reference, the standard-attr-* extensions and "Filtering and column selection".
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec import UNSET

from gureum.foundation import clock
from gureum.foundation.http.call import Call
from gureum.foundation.http.views import View
from gureum.services.network.context import NetworkContext
from gureum.services.network.standard import Owned, OwnedRow, Standard, StandardRow


class OwnedView(View):
    """The fields of everything that a project has."""

    id: str
    tenant_id: str
    project_id: str
    description: str
    tags: list[str]
    revision_number: int
    created_at: str
    updated_at: str


class StandardView(OwnedView):
    """The fields of every noun with a name."""

    name: str


OwnedValues = tuple[str, str, str, str, list[str], int, str, str]
StandardValues = tuple[str, str, str, str, list[str], int, str, str, str]


def owned(row: Owned | OwnedRow, tags: list[str]) -> OwnedValues:
    """The values of an `OwnedView`, in the order of its fields."""
    project_id = row.project_id
    made, changed = clock.iso(row.created_at), clock.iso(row.updated_at)
    return row.id, project_id, project_id, row.description, tags, row.revision, made, changed


def standard(row: Standard | StandardRow) -> StandardValues:
    """The values of a `StandardView`, in the order of its fields."""
    return (*owned(row, row.tags), row.name)


def select_fields(call: Call[NetworkContext], views: Sequence[View]) -> None:
    """Leave in views, made for this request, what `fields` names; unknown names are ignored, none means all."""
    names = {name for name in call.params("fields") if name}
    if names:
        for view in views:
            keep_fields(view, names)


def keep_fields(view: View, names: Collection[str]) -> None:
    """Leave out every field that clients do not know by one of these names."""
    for field, name in zip(view.__struct_fields__, view.__struct_encode_fields__, strict=True):
        if name not in names:
            setattr(view, field, UNSET)
