"""Names of domains, projects, users, groups and roles: shown as they were given, compared and unique without case.

Upstream's database compares so, and clients rely on it (`--os-user-domain-name default`). It also keeps a role named
`Admin` from standing beside `admin`: checks of roles in policies know no case.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, Text
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.orm import Mapped, mapped_column, validates

from gureum.foundation.db.types import Name


def folded(name: str) -> str:
    """The form in which names are compared."""
    return name.casefold()


def _key_of_row(context: DefaultExecutionContext) -> str:
    return folded(str(context.get_current_parameters()["name"]))  # type: ignore[no-untyped-call]  # SQLAlchemy's


class AnyCaseName:
    """The columns of a name. `name_key` follows `name`; a table's unique constraint is over it."""

    name: Mapped[str] = mapped_column(Name)
    name_key: Mapped[str] = mapped_column(Text, default=_key_of_row)

    @validates("name")
    def _follow(self, _column: str, name: str) -> str:
        self.name_key = folded(name)
        return name

    @classmethod
    def is_named(cls, name: str) -> ColumnElement[bool]:
        """The condition that a row has this name, in whatever case."""
        return cls.name_key == folded(name)
