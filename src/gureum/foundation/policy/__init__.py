"""Policy: rules by the field's own names, defaults in code, overrides in the operator's policy.yaml.

Not here: which resource a caller may see at all; that is the project predicate of each query. The invariant:
a rule that nobody registered denies. Read next: `http/routes.py`, where every route names its rule.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from oslo_policy import _checks, _parser  # `policy` beside them loads oslo.config: 0.2 s of each start

from gureum.foundation.caller import Caller
from gureum.foundation.errors import Forbidden

log = logging.getLogger("gureum.policy")

_checks.extension_checks = {}
"""No checks of other packages: to look for them through all that is installed took 60 ms of each start and loaded
`requests` for the checks that ask another server, which have no place inside a transaction."""

RELOAD_S = 2.0
CACHED_ANSWERS = 8192
CLOUD_ROLES = ("admin", "service")
_REFERENCE = re.compile(r"rule:([^\s()]+)")

SHARED_RULES: dict[str, str] = {
    "admin": "role:admin and not scope:domain",
    "admin_required": "role:admin and not scope:domain",
    "context_is_admin": "role:admin and not scope:domain",
    "project_manager": "role:manager and project_id:%(project_id)s",
    "project_member": "role:member and project_id:%(project_id)s",
    "project_reader": "role:reader and project_id:%(project_id)s",
    "project_manager_or_admin": "rule:project_manager or rule:admin",
    "project_member_or_admin": "rule:project_member or rule:admin",
    "project_reader_or_admin": "rule:project_reader or rule:admin",
    "any_authenticated": "@",
    "nobody": "!",
}


Scope = Literal["project", "domain", "system", "unscoped"]
PROJECT: tuple[Scope, ...] = ("project",)
EVERY_SCOPE: tuple[Scope, ...] = ("project", "domain", "system", "unscoped")


@dataclass(frozen=True, slots=True)
class Rule:
    """A named default. `check` is in the policy language of oslo.policy; `description` is for operators.

    `scopes` are the scopes of a token that the rule is for. A token of another scope is refused before the check,
    whatever its roles: an administrator of a domain holds the role admin too. An operator's file changes checks only.
    `unbounded` says why a check that names nothing of its target (`@`, `role:reader`) is safe: what else keeps each
    caller to its own. Start-up refuses a route with such a rule and no reason.
    """

    name: str
    check: str
    description: str = ""
    scopes: tuple[Scope, ...] = PROJECT
    unbounded: str = ""


class Policy:
    """All rules of a process. Reads the override file again when it changes."""

    def __init__(self, rules: Iterable[Rule] = (), override: Path | None = None) -> None:
        self._defaults = {name: Rule(name, check, scopes=EVERY_SCOPE) for name, check in SHARED_RULES.items()}
        self._override = override
        self._stamp: float | None = None
        self._lock = threading.Lock()
        self.add(rules)

    def add(self, rules: Iterable[Rule]) -> None:
        """Register defaults; a name may be registered once."""
        for rule in rules:
            if rule.name in self._defaults:
                raise ValueError(f"policy rule {rule.name} is registered twice")
            self._defaults[rule.name] = rule
        self._ruleset = self._bare = self._compile({})
        self.reload()

    def _compile(self, overrides: Mapping[str, str]) -> _Ruleset:
        parsed = {text: _parser.parse_rule(text) for text in {rule.check for rule in self._defaults.values()}}
        defaults = {name: parsed[rule.check] for name, rule in self._defaults.items()}
        return _Ruleset(_Checks(defaults | {name: _parser.parse_rule(text) for name, text in overrides.items()}))

    def reload(self) -> None:
        """Take the override file's rules if it changed since the last look. A broken file changes nothing."""
        if self._override is None:
            return
        stamp = self._override.stat().st_mtime if self._override.exists() else None
        with self._lock:
            if stamp == self._stamp:
                return
            try:
                overrides = read_overrides(self._override) if stamp else {}
                self._ruleset = self._compile(overrides)
            except (ValueError, OSError) as error:
                log.error("policy file %s is not used: %s", self._override, error)  # noqa: TRY400 the text says it all
            else:
                for name in unused_names(overrides, self.names):
                    log.error(
                        "policy file %s: no rule is named %s, and no other rule refers to it", self._override, name
                    )
            self._stamp = stamp

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._defaults)

    def allows(self, rule: str, caller: Caller, target: Mapping[str, Any]) -> bool:
        """Whether `caller` may do `rule` to `target`, whose values come from the database alone."""
        ruleset = self._ruleset  # read once: the answer is kept beside the checks that gave it
        who = (caller.user_id, caller.project_id, caller.domain_id, caller.system, caller.roles)
        try:
            question = (rule, who, *target.items())
            answer = ruleset.answers.get(question)
        except TypeError:  # a target with lists or dictionaries is not cached
            return self._check(ruleset, rule, caller, target)
        if answer is None:
            answer = self._check(ruleset, rule, caller, target)
            if len(ruleset.answers) >= CACHED_ANSWERS:
                ruleset.answers.clear()
            ruleset.answers[question] = answer
        return answer

    def _check(self, ruleset: _Ruleset, rule: str, caller: Caller, target: Mapping[str, Any]) -> bool:
        registered = self._defaults.get(rule)
        if registered is None or caller.scope not in registered.scopes:
            return False
        # What is not there matches nothing: a missing domain of the caller is not the missing domain of a target.
        known = {name: value for name, value in target.items() if value is not None}
        held = {name: value for name, value in caller.credentials().items() if value is not None}
        return bool(ruleset.checks[rule](known, held, ruleset, rule))

    def enforce(self, rule: str, caller: Caller, target: Mapping[str, Any]) -> None:
        """Raises Forbidden, with the reason where it is the token's scope."""
        if self.allows(rule, caller, target):
            return
        registered = self._defaults.get(rule)
        public = f"Policy doesn't allow {rule} to be performed."
        if registered is not None and caller.scope not in registered.scopes:
            public = (
                f"{rule} is for tokens of the scope {' or '.join(registered.scopes)}; this token is {caller.scope}."
            )
        raise Forbidden(public, internal=f"user {caller.user_id} roles {caller.roles} scope {caller.scope}")

    def is_bounded(self, rule: str) -> bool:
        """Whether the rule's default says whose things it is for, or why it need not.

        It names something of its target (`project_id:%(project_id)s`), a role that is the cloud's, or the system scope.
        """
        registered = self._defaults[rule]
        return bool(registered.unbounded) or _is_bounded(_parser.parse_rule(registered.check), self._bare.checks)


def _is_bounded(check: Any, checks: Mapping[str, Any]) -> bool:
    if isinstance(check, _checks.AndCheck):
        return any(_is_bounded(part, checks) for part in check.rules)
    if isinstance(check, _checks.OrCheck):
        return all(_is_bounded(part, checks) for part in check.rules)
    if isinstance(check, _checks.RuleCheck):
        return _is_bounded(checks[check.match], checks)
    if isinstance(check, _checks.RoleCheck):
        return check.match in CLOUD_ROLES
    if isinstance(check, _checks.GenericCheck):
        return "%(" in check.match or check.kind == "system_scope"
    return isinstance(check, _checks.FalseCheck)


class _Ruleset:
    """Compiled checks with the answers that they gave: replaced as a whole, so that no answer outlives its checks.

    `rules` is what the checks of oslo.policy read of an enforcer.
    """

    __slots__ = ("answers", "checks", "rules")

    def __init__(self, checks: _Checks) -> None:
        self.checks = self.rules = checks
        self.answers: dict[Any, bool] = {}


class _Checks(dict[str, Any]):
    """Compiled checks by name. A name that is missing, which a rule may still refer to, denies."""

    def __missing__(self, name: str) -> Any:
        return self["nobody"]


def read_overrides(file: Path) -> dict[str, str]:
    """The checks of an operator's file by name. Raises ValueError for what is no YAML, OSError if it is unreadable."""
    from oslo_policy.policy import parse_file_contents

    return parse_file_contents(file.read_text())


def unused_names(overrides: Mapping[str, str], names: Iterable[str]) -> list[str]:
    """Names that change nothing: neither a rule of the code nor referred to by another of the file. Mostly misspelt."""
    referred = {name for text in overrides.values() for name in _REFERENCE.findall(text)}
    return sorted(overrides.keys() - set(names) - referred)
