"""Rules for accounts and passwords, as the operator set them under [identity]. Pure: a standing and a time go in.

Source: identity API reference, "Users" (options, password_expires_at); keystone's guide on security compliance.
Read next: `sign_in.py`, which asks and keeps count.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from gureum.foundation.errors import BadRequest
from gureum.services.identity.config import IdentityConfig
from gureum.services.identity.users.model import User


class UserOptions(Struct, forbid_unknown_fields=True, frozen=True):
    """The options of a user as a body has them; null takes one away."""

    ignore_change_password_upon_first_use: bool | UnsetType | None = UNSET
    ignore_password_expiry: bool | UnsetType | None = UNSET
    ignore_lockout_failure_attempts: bool | UnsetType | None = UNSET
    ignore_user_inactivity: bool | UnsetType | None = UNSET
    lock_password: bool | UnsetType | None = UNSET
    multi_factor_auth_enabled: bool | UnsetType | None = UNSET
    multi_factor_auth_rules: list[list[str]] | UnsetType | None = UNSET


class Standing(Struct, frozen=True, gc=False):
    """What of a user the rules look at. `self_set` tells a password that its user chose from an administrator's."""

    enabled: bool
    options: Mapping[str, Any]
    created_at: datetime
    failed_count: int = 0
    failed_at: datetime | None = None
    last_active_at: datetime | None = None
    password_set_at: datetime | None = None
    password_expires_at: datetime | None = None
    self_set: bool = False


class Account(Struct, frozen=True, gc=False):
    """What a sign-in reads of a user."""

    id: str
    password_hash: str | None
    enabled: bool
    options: dict[str, Any]
    created_at: datetime
    failed_count: int
    failed_at: datetime | None
    last_active_at: datetime | None
    password_set_at: datetime | None
    password_expires_at: datetime | None
    password_self_set: bool


def standing_of(row: Account | User) -> Standing:
    """What of a user's row the rules look at."""
    return Standing(
        row.enabled,
        row.options,
        row.created_at,
        row.failed_count,
        row.failed_at,
        row.last_active_at,
        row.password_set_at,
        row.password_expires_at,
        row.password_self_set,
    )


def is_locked(rules: IdentityConfig, user: Standing, now: datetime) -> bool:
    """Whether too many wrong passwords came in a row, too short a time ago."""
    if not rules.lockout_failure_attempts or user.options.get("ignore_lockout_failure_attempts"):
        return False
    if user.failed_count < rules.lockout_failure_attempts or user.failed_at is None:
        return False
    return not lockout_is_over(rules, user.failed_at, now)


def lockout_is_over(rules: IdentityConfig, failed_at: datetime, now: datetime) -> bool:
    return bool(rules.lockout_duration_s) and failed_at + timedelta(seconds=rules.lockout_duration_s) <= now


def is_enabled(rules: IdentityConfig, user: Standing, now: datetime) -> bool:
    """Enabled, and not inactive for longer than the rules allow."""
    days = rules.disable_user_account_days_inactive
    if not days or not user.enabled or user.options.get("ignore_user_inactivity"):
        return user.enabled
    return (user.last_active_at or user.created_at) + timedelta(days=days) > now


def is_expired(user: Standing, now: datetime) -> bool:
    if user.options.get("ignore_password_expiry"):
        return False
    return user.password_expires_at is not None and user.password_expires_at <= now


def expiry(rules: IdentityConfig, options: Mapping[str, Any], now: datetime, *, self_set: bool) -> datetime | None:
    """When a password that is set now ends: at once when its user must choose another one first."""
    first_use = rules.change_password_upon_first_use and not options.get("ignore_change_password_upon_first_use")
    if first_use and not self_set:
        return now
    if not rules.password_expires_days or options.get("ignore_password_expiry"):
        return None
    return now + timedelta(days=rules.password_expires_days)


def check_strength(rules: IdentityConfig, password: str) -> None:
    """Raises BadRequest."""
    if rules.password_regex and not re.match(rules.password_regex, password):
        wanted = rules.password_regex_description or "the pattern that the operator set"
        raise BadRequest(f"The password does not match the requirements: {wanted}.")


def check_own_change(rules: IdentityConfig, user: Standing, now: datetime) -> None:
    """Whether a user may set its own password now. Raises BadRequest."""
    if user.options.get("lock_password"):
        raise BadRequest("This user's password may be changed by an administrator only.")
    days = rules.minimum_password_age_days
    if not days or not user.self_set or user.password_set_at is None:
        return
    earliest = user.password_set_at + timedelta(days=days)
    if now < earliest:
        left = -((now - earliest) // timedelta(days=1))
        raise BadRequest(
            f"Cannot change password before minimum age {days} days is met. Please change your password after"
            f" {left} day(s) or contact an administrator to reset your password."
        )
