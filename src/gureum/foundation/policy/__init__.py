"""Policy: rules by the field's own names, defaults in code, overrides in the operator's policy.yaml.

Not here: which resource a caller may see at all; that is the project predicate of each query. The invariant:
a rule that nobody registered denies. Read next: `http/routes.py`, where every route names its rule.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from oslo_policy import _checks, _parser  # `policy` beside them loads oslo.config: 0.2 s of each start

from gureum.foundation.cache import Cache
from gureum.foundation.caller import Caller
from gureum.foundation.errors import Forbidden
from gureum.foundation.policy.operators_file import (
    OperatorsFile,
    PolicyFileError,
    compiled,
    problems,
    require_no_circle,
)

log = logging.getLogger("gureum.policy")

_checks.extension_checks = {}
"""No checks of other packages: to look for them through all that is installed took 60 ms of each start and loaded
`requests` for the checks that ask another server, which have no place inside a transaction."""

CACHED_ANSWERS = 8192
CLOUD_ROLES = ("admin", "service")

CLOUD_ADMINISTRATORS = ("admin", "admin_required", "context_is_admin")
"""Rules that are never true for a token of a domain, whatever an operator's file puts in their place."""
_NOT_OF_A_DOMAIN = " and not scope:domain"

SHARED_RULES: dict[str, str] = {
    **dict.fromkeys(CLOUD_ADMINISTRATORS, "role:admin" + _NOT_OF_A_DOMAIN),
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
        """Raises PolicyFileError for an override file that cannot be used."""
        self._defaults = {name: Rule(name, check, scopes=EVERY_SCOPE) for name, check in SHARED_RULES.items()}
        self._file = OperatorsFile(override) if override else None
        self._overrides = self._file.first() if self._file else {}
        self._lock = threading.Lock()
        self.add(rules)

    def add(self, rules: Iterable[Rule]) -> None:
        """Register defaults; a name may be registered once. Raises PolicyFileError if overrides refer in a circle."""
        for rule in rules:
            if rule.name in self._defaults:
                raise ValueError(f"policy rule {rule.name} is registered twice")
            self._defaults[rule.name] = rule
        self._bare = self._compile({})
        self._ruleset = self._compile(self._overrides)
        self._report()

    def _compile(self, overrides: Mapping[str, str]) -> _Ruleset:
        """Raises PolicyFileError."""
        parsed = {text: _parser.parse_rule(text) for text in {rule.check for rule in self._defaults.values()}}
        checks = {name: parsed[rule.check] for name, rule in self._defaults.items()}
        try:
            for name, text in overrides.items():
                bound = _NOT_OF_A_DOMAIN if name in CLOUD_ADMINISTRATORS else ""
                checks[name] = compiled(f"({text or '@'}){bound}" if bound else text)
            require_no_circle(checks)
        except RecursionError as error:
            raise PolicyFileError("its rules refer to each other, or nest, too deeply") from error
        return _Ruleset(_Checks(checks))

    def reload(self) -> None:
        """Take the override file's rules if its text changed. A file that cannot be used changes nothing."""
        if self._file is None:
            return
        with self._lock:
            changed = self._file.look()
            if changed is None:
                return
            overrides, text = changed
            try:
                self._ruleset = self._compile(overrides)
            except PolicyFileError as error:
                self._file.refuse(str(error), text)
                return
            self._overrides = overrides
            self._file.take(text)
            self._report()

    def problems(self, overrides: Mapping[str, str]) -> list[str]:
        """What in overrides would not do what was meant, a sentence each. Raises PolicyFileError if nothing would."""
        self._compile(overrides)
        return problems(overrides, self.names)

    def _report(self) -> None:
        if self._file is not None:
            for problem in problems(self._overrides, self.names):
                log.error("policy file %s: %s", self._file.path, problem)

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
            ruleset.answers.put(question, answer, ruleset.answers.generation)
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
        if not self.allows(rule, caller, target):
            self.require_scope(rule, caller)
            raise _forbidden(f"Policy doesn't allow {rule} to be performed.", caller)

    def require_scope(self, rule: str, caller: Caller) -> None:
        """Raises Forbidden for a token of a scope that the rule is not for, whatever the target."""
        registered = self._defaults.get(rule)
        if registered is not None and caller.scope not in registered.scopes:
            scopes = " or ".join(registered.scopes)
            raise _forbidden(f"{rule} is for tokens of the scope {scopes}; this token is {caller.scope}.", caller)

    def is_bounded(self, rule: str) -> bool:
        """Whether the rule's default says whose things it is for, or why it need not.

        It names something of its target (`project_id:%(project_id)s`), a role that is the cloud's, or the system scope.
        """
        registered = self._defaults[rule]
        return bool(registered.unbounded) or _is_bounded(_parser.parse_rule(registered.check), self._bare.checks)


def _forbidden(public: str, caller: Caller) -> Forbidden:
    return Forbidden(public, internal=f"user {caller.user_id} roles {caller.roles} scope {caller.scope}")


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
        self.answers: Cache[Any, bool] = Cache(CACHED_ANSWERS)


class _Checks(dict[str, Any]):
    """Compiled checks by name. A name that is missing, which a rule may still refer to, denies."""

    def __missing__(self, name: str) -> Any:
        return self["nobody"]
