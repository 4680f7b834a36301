"""What a request names is there, or the answer is 404 in identity's words."""

from __future__ import annotations

from typing import TypeVar

from gureum.foundation.db.engine import Tx
from gureum.foundation.db.types import Row
from gureum.foundation.errors import NotFound
from gureum.services.identity.projects.model import Project

Found = TypeVar("Found")
Model = TypeVar("Model", bound=Row)


def existing(row: Found | None, kind: str, name: str | None) -> Found:
    """The row, if there is one. Raises NotFound that says which `kind` of thing is missing, by its id or name."""
    if row is None:
        raise NotFound(f"Could not find {kind}: {name}.")
    return row


def existing_row(tx: Tx, model: type[Model], kind: str, id_: str) -> Model:
    """The row of this id. Raises NotFound."""
    return existing(tx.get(model, id_), kind, id_)


def existing_project(tx: Tx, project_id: str) -> Project:
    """A project that is no domain. Raises NotFound."""
    row = tx.get(Project, project_id)
    return existing(None if row is None or row.is_domain else row, "project", project_id)


def existing_domain(tx: Tx, domain_id: str) -> Project:
    """A project that acts as a domain. Raises NotFound."""
    row = tx.get(Project, domain_id)
    return existing(row if row is not None and row.is_domain else None, "domain", domain_id)
