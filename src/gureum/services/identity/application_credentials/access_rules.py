"""Access rules of application credentials: kept for their user until deleted, shared by equal ones.

Source: identity API reference, "Application credentials", access rules. The edge enforces them
(`foundation/http/access.py`), for every service.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct
from sqlalchemy import select

from gureum.foundation import ids
from gureum.foundation.caller import AccessRule, Caller
from gureum.foundation.db.engine import Tx
from gureum.foundation.errors import BadRequest, Forbidden, NotFound
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route
from gureum.foundation.http.views import Listed
from gureum.foundation.policy import Rule
from gureum.services.identity import listing
from gureum.services.identity.application_credentials.model import ApplicationCredential, StoredAccessRule
from gureum.services.identity.application_credentials.views import AccessRuleRow, AccessRuleView
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.fields import PERSONAL
from gureum.services.identity.finding import existing
from gureum.services.identity.listing import declared, query, self_link
from gureum.services.identity.tokens.views import BriefAccessRule

_SYSTEM_READER = "(role:reader and system_scope:all)"
_OWN = " or user_id:%(target.user.id)s"
RULES = (
    Rule("identity:list_access_rules", _SYSTEM_READER + _OWN, "List a user's access rules", scopes=PERSONAL),
    Rule("identity:get_access_rule", _SYSTEM_READER + _OWN, "Show an access rule", scopes=PERSONAL),
    Rule(
        "identity:delete_access_rule",
        "(role:admin and system_scope:all)" + _OWN,
        "Delete an access rule",
        scopes=PERSONAL,
    ),
)
METHODS = ("POST", "GET", "HEAD", "PATCH", "PUT", "DELETE")


class RuleRef(Struct, forbid_unknown_fields=True):
    """Either the id of a rule that is there, or all of a new one."""

    id: Annotated[str, Meta(max_length=64)] | None = None
    service: Annotated[str, Meta(min_length=1, max_length=255)] | None = None
    method: Annotated[str, Meta(pattern=rf"^({'|'.join(METHODS)})\Z")] | None = None
    path: Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^(\*\*|/)")] | None = None


def stored(tx: Tx, caller: Caller, user_id: str, wanted: list[RuleRef]) -> list[str]:
    """The ids of the wanted rules, made where they are new. A caller with access rules may grant only these."""
    mine = select(StoredAccessRule).where(StoredAccessRule.user_id == user_id)
    rows = list(tx.scalars(mine))
    by_id = {row.id: row for row in rows}
    by_value = {_value(row): row for row in rows}
    chosen: list[StoredAccessRule] = []
    for ref in wanted:
        row = by_id.get(ref.id) if ref.id is not None else by_value.get(_asked(ref))
        if row is None and ref.id is not None:
            raise NotFound(f"Could not find access rule: {ref.id}.")
        if row is None:
            rule = _asked(ref)
            row = StoredAccessRule(
                id=ids.new_hex(), user_id=user_id, service=rule.service, method=rule.method, path=rule.path
            )
            tx.add(row)
            by_value[rule] = row
        chosen.append(row)
    if caller.access_rules is not None and not {_value(row) for row in chosen} <= set(caller.access_rules):
        raise Forbidden("A token with access rules gives on no other ones.")
    if caller.access_rules is not None and not chosen:
        raise Forbidden("A token with access rules makes no credential without them.")
    return list(dict.fromkeys(row.id for row in chosen))


def _asked(ref: RuleRef) -> AccessRule:
    if ref.service is None or ref.method is None or ref.path is None:
        raise BadRequest("An access rule has service, method and path, or the id of one that is there.")
    return AccessRule(ref.service, ref.method, ref.path)


def _value(row: StoredAccessRule) -> AccessRule:
    return AccessRule(row.service, row.method, row.path)


def views_of(tx: Tx, rule_ids: list[str]) -> list[BriefAccessRule]:
    """As an application credential shows its rules."""
    rows = {row.id: row for row in tx.scalars(select(StoredAccessRule).where(StoredAccessRule.id.in_(rule_ids)))}
    shown = [rows[id_] for id_ in rule_ids if id_ in rows]
    return [BriefAccessRule(row.id, row.path, row.method, row.service) for row in shown]


def _view(call: Call[IdentityDeps], row: StoredAccessRule | AccessRuleRow) -> AccessRuleView:
    links = self_link(call, "users", f"{row.user_id}/access_rules/{row.id}")
    return AccessRuleView(row.id, row.path, row.method, row.service, links)


_ACCESS_RULES = declared(
    "access_rules",
    StoredAccessRule,
    {
        "service": StoredAccessRule.service,
        "path": StoredAccessRule.path,
        "method": StoredAccessRule.method,
    },
    AccessRuleRow,
)


def index(call: Call[IdentityDeps], user_id: str) -> Listed[AccessRuleView]:
    call.enforce(**{"target.user.id": user_id})
    return listing.index(call, _ACCESS_RULES, _view, StoredAccessRule.user_id == user_id)


def _find(call: Call[IdentityDeps], user_id: str, rule_id: str) -> StoredAccessRule:
    call.enforce(**{"target.user.id": user_id})
    mine = (StoredAccessRule.id == rule_id, StoredAccessRule.user_id == user_id)
    return existing(call.tx.scalar(select(StoredAccessRule).where(*mine)), "access rule", rule_id)


def show(call: Call[IdentityDeps], user_id: str, rule_id: str) -> AccessRuleView:
    return _view(call, _find(call, user_id, rule_id))


def delete(call: Call[IdentityDeps], user_id: str, rule_id: str) -> None:
    row = _find(call, user_id, rule_id)
    used = select(ApplicationCredential.access_rule_ids).where(ApplicationCredential.user_id == user_id)
    if any(row.id in rule_ids for rule_ids in call.tx.scalars(used)):
        raise Forbidden("The access rule is used by an application credential.")
    call.tx.delete(row)


_ALL = "/v3/users/{user_id}/access_rules"
_ONE = _ALL + "/{rule_id}"
ROUTES = (
    Route(
        "GET",
        _ALL,
        index,
        "identity:list_access_rules",
        envelope="access_rules",
        target="handler",
        query=query(_ACCESS_RULES),
    ),
    Route("GET", _ONE, show, "identity:get_access_rule", envelope="access_rule", target="handler"),
    Route("DELETE", _ONE, delete, "identity:delete_access_rule", 204, target="handler"),
)
