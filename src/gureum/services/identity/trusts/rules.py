"""What a new trust may be, given the one that it is redelegated from. Pure.

Source: identity API reference, OS-TRUST; the redelegation rules of keystone's user guide on trusts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gureum.foundation.errors import BadRequest, Forbidden


@dataclass(frozen=True, slots=True)
class Wanted:
    """The terms of a new trust. `redelegation_count` None leaves it to the rules."""

    impersonation: bool
    role_ids: frozenset[str]
    expires_at: datetime | None
    remaining_uses: int | None
    allow_redelegation: bool
    redelegation_count: int | None


@dataclass(frozen=True, slots=True)
class Parent:
    """The terms of a trust that is being passed on."""

    impersonation: bool
    role_ids: frozenset[str]
    expires_at: datetime | None
    redelegation_count: int


@dataclass(frozen=True, slots=True)
class Terms:
    """What the rules leave to be stored."""

    redelegation_count: int
    expires_at: datetime | None


def terms(wanted: Wanted, chain: Sequence[Parent], *, deepest: int) -> Terms:
    """`chain` is what it is redelegated from, the nearest first; `deepest` bounds every count.

    Raises BadRequest and Forbidden.
    """
    may_pass_on = wanted.allow_redelegation and wanted.redelegation_count != 0
    if wanted.remaining_uses is not None and may_pass_on:
        raise BadRequest("remaining_uses must not be set if redelegation is allowed.")
    asked = wanted.redelegation_count
    if may_pass_on and asked is not None and asked > deepest:
        raise Forbidden(f"Requested redelegation depth of {asked} is greater than allowed {deepest}.")
    expires_at = wanted.expires_at
    for parent in chain:
        expires_at = _within(wanted, parent, expires_at)
    if not may_pass_on:
        return Terms(0, expires_at)
    if not chain:
        return Terms(deepest if asked is None else asked, expires_at)
    left = chain[0].redelegation_count - 1
    if asked is not None and asked != left:
        raise Forbidden(f"Requested redelegation count of {asked} does not match remaining redelegation depth {left}.")
    return Terms(left, expires_at)


def _within(wanted: Wanted, parent: Parent, expires_at: datetime | None) -> datetime | None:
    """Raises Forbidden for what is more than the parent gives; returns the end, bounded by the parent's."""
    if parent.redelegation_count <= 0:
        raise Forbidden("Redelegation allowed for delegated by trust only: this trust may not be passed on.")
    if wanted.impersonation and not parent.impersonation:
        raise Forbidden("Impersonation is not allowed because redelegated trust does not specify impersonation.")
    if not wanted.role_ids <= parent.role_ids:
        raise Forbidden("Some of requested roles are not in redelegated trust.")
    if parent.expires_at is None:
        return expires_at
    if expires_at is not None and expires_at > parent.expires_at:
        raise Forbidden("Requested expiration time is more than redelegated trust can provide.")
    return expires_at or parent.expires_at
