"""What an operator may set of identity. docs/operate/many-machines.md has every option."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec

from gureum.foundation.config import Section


class AuthConfig(Section):
    """`hash` is how new passwords are kept; `hash_time_cost` its passes or rounds, 0 for what is usual for it."""

    SECTION: ClassVar[str] = "auth"

    keys: str = "keys"
    token_lifetime_s: int = 3600
    hash: Literal["argon2id", "bcrypt", "pbkdf2"] = "argon2id"
    hash_time_cost: Annotated[int, msgspec.Meta(ge=0, le=10_000_000)] = 0
    hash_memory_kib: Annotated[int, msgspec.Meta(ge=8)] = 19456


class IdentityConfig(Section):
    """Rules for accounts; 0 turns a number off, as all but the lock-out are by default.

    A user is locked out for `lockout_duration_s` after `lockout_failure_attempts` wrong secrets in a row: passwords,
    pass codes and chosen secrets of application credentials count together.
    `unique_last_password_count` counts the present password. A user that does nothing for
    `disable_user_account_days_inactive` days is disabled. `trust_depth` bounds redelegations.
    """

    SECTION: ClassVar[str] = "identity"

    lockout_failure_attempts: int = 10
    lockout_duration_s: int = 300
    password_expires_days: int = 0
    unique_last_password_count: int = 0
    minimum_password_age_days: int = 0
    password_regex: str = ""
    password_regex_description: str = ""
    change_password_upon_first_use: bool = False
    disable_user_account_days_inactive: int = 0
    trust_depth: int = 3
    project_depth: int = 5
    receipt_lifetime_s: int = 300
    signature_window_s: int = 900
    limit_model: Literal["flat", "strict_two_level"] = "flat"


class FirstUsersConfig(Section):
    """Of the section [bootstrap]: the passwords of the first administrator and of the user `demo`, used once."""

    SECTION: ClassVar[str] = "bootstrap"

    admin_password: str = ""
    demo_password: str = ""
