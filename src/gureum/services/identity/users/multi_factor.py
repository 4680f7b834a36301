"""Which methods a user must show together. Pure. Source: keystone's guide on multi-factor authentication."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

OFFERED = frozenset({"password", "totp", "token", "application_credential", "oauth1", "ec2credential"})


def rules_of(options: Mapping[str, Any]) -> list[frozenset[str]]:
    """The user's rules; a rule without a method that is offered here counts for nothing, so that nobody is shut out."""
    if options.get("multi_factor_auth_enabled") is False:
        return []
    wanted = (OFFERED.intersection(rule) for rule in options.get("multi_factor_auth_rules") or [])
    return [rule for rule in wanted if rule]


def is_enough(options: Mapping[str, Any], methods: Iterable[str]) -> bool:
    """Whether the methods fulfil one of the rules, or there is none."""
    rules = rules_of(options)
    shown = frozenset(methods)
    return not rules or any(rule <= shown for rule in rules)
