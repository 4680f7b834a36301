"""Finding a namespace for a caller, and what its nouns share.

Invariant: a namespace that the caller may not see does not exist for it (404), whatever it asks; what it sees it may
still not change (403), and a protected one loses nothing (403).
"""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import select

from gureum.foundation.errors import Forbidden, NotFound
from gureum.foundation.http.call import Call
from gureum.foundation.http.collections import Pages, Viewer, of_project
from gureum.foundation.policy import Rule
from gureum.services.image.deps import ImageDeps
from gureum.services.image.metadefs.model import NAME_CHARACTERS, Namespace, visible_to

Name80 = Annotated[str, Meta(min_length=1, max_length=NAME_CHARACTERS)]
ROOT = "/v2/metadefs/namespaces"
ONE = ROOT + "/{namespace_name}"

EVERYONE, ADMIN = "rule:metadef_default", "rule:metadef_admin"
RULES = (
    Rule("metadef_default", "rule:admin or role:reader", "What everyone may do with metadata definitions"),
    Rule("metadef_admin", "rule:admin", "What administrators alone may do with metadata definitions"),
)


def rules(noun: str, *verbs: tuple[str, str]) -> tuple[Rule, ...]:
    """(rule's name, what it allows) of a noun: reading is everyone's, the rest the administrators'."""
    return tuple(
        Rule(name, EVERYONE, f"{told} {noun}", unbounded="`REACH` is part of each query")
        if name.startswith(("get_", "list_"))
        else Rule(name, ADMIN, f"{told} {noun}")
        for name, told in verbs
    )


REACH = of_project(visible_to)
PAGES = Pages(most=1000, direction="desc")
NEWEST_FIRST = (("created_at", True),)


def find(call: Call[ImageDeps], name: str) -> Namespace:
    """The namespace, if the caller sees it and the route's rule allows. Raises NotFound or Forbidden."""
    within = REACH.conditions(call, Viewer.of(call.caller))
    namespace: Namespace | None = call.tx.scalar(select(Namespace).where(Namespace.namespace == name, *within))
    if namespace is None:
        raise NotFound(f"Metadata definition namespace={name[:NAME_CHARACTERS]} was not found.")
    call.enforce(
        project_id=namespace.owner, tenant_id=namespace.owner, owner=namespace.owner, visibility=namespace.visibility
    )
    return namespace


def find_open(call: Call[ImageDeps], name: str) -> Namespace:
    """A namespace that may lose something. Raises NotFound, Forbidden for a protected one."""
    namespace = find(call, name)
    if namespace.protected:
        raise Forbidden(f"Metadata definition namespace {namespace.namespace} is protected and cannot be deleted.")
    return namespace


def path_of(namespace: str, *rest: str) -> str:
    """Where a definition is, relative to the endpoint."""
    return "/".join([ROOT, quote(namespace, safe=":"), *(quote(part, safe=":") for part in rest)])


def or_unset(text: str | None) -> str | UnsetType:
    """The value, or UNSET for None: a definition leaves out what it does not have."""
    return UNSET if text is None else text
