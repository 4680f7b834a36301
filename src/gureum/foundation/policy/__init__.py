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
from typing import Any

from oslo_policy import _checks, _parser  # `policy` beside them loads oslo.config: 0.2 s of each start

from gureum.foundation.caller import Caller
from gureum.foundation.errors import Forbidden

log = logging.getLogger("gureum.policy")

_checks.extension_checks = {}
"""No checks of other packages: to look for them through all that is installed took 60 ms of each start and loaded
`requests` for the checks that ask another server, which have no place inside a transaction."""

RELOAD_S = 2.0
REMEMBERED = 8192

SHARED_RULES: dict[str, str] = {
    "admin": "role:admin",
    "admin_required": "role:admin",
    "context_is_admin": "role:admin",
    "project_manager": "role:manager and project_id:%(project_id)s",
    "project_member": "role:member and project_id:%(project_id)s",
    "project_reader": "role:reader and project_id:%(project_id)s",
    "project_manager_or_admin": "rule:project_manager or rule:admin",
    "project_member_or_admin": "rule:project_member or rule:admin",
    "project_reader_or_admin": "rule:project_reader or rule:admin",
    "any_authenticated": "@",
    "nobody": "!",
}


@dataclass(frozen=True, slots=True)
class Rule:
    """A named default. `check` is in the policy language of oslo.policy; `description` is for operators."""

    name: str
    check: str
    description: str = ""


class Policy:
    """All rules of a process. Reads the override file again when it changes."""

    def __init__(self, rules: Iterable[Rule] = (), override: Path | None = None) -> None:
        self._defaults = dict(SHARED_RULES)
        self._override = override
        self._stamp: float | None = None
        self._lock = threading.Lock()
        self.add(rules)

    def add(self, rules: Iterable[Rule]) -> None:
        """Register defaults; a name may be registered once."""
        for rule in rules:
            if rule.name in self._defaults:
                raise ValueError(f"policy rule {rule.name} is registered twice")
            self._defaults[rule.name] = rule.check
        self._rules = self._compile({})
        self.reload()

    def _compile(self, overrides: Mapping[str, str]) -> _Rules:
        self._answers: dict[Any, bool] = {}
        parsed = {text: _parser.parse_rule(text) for text in set(self._defaults.values())}
        defaults = {name: parsed[text] for name, text in self._defaults.items()}
        return _Rules(defaults | {name: _parser.parse_rule(text) for name, text in overrides.items()})

    def reload(self) -> None:
        """Take the override file's rules if it changed since the last look. A broken file changes nothing."""
        if self._override is None:
            return
        stamp = self._override.stat().st_mtime if self._override.exists() else None
        with self._lock:
            if stamp == self._stamp:
                return
            try:
                parsed = _read_overrides(self._override) if stamp else {}
                self._rules = self._compile({k: v for k, v in parsed.items() if k in self._defaults})
            except (ValueError, OSError) as error:
                log.error("policy file %s is not used: %s", self._override, error)  # noqa: TRY400 the text says it all
            self._stamp = stamp

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._defaults)

    def allows(self, rule: str, caller: Caller, target: Mapping[str, Any]) -> bool:
        """Whether `caller` may do `rule` to `target`, whose values come from the database alone."""
        who = (caller.user_id, caller.project_id, caller.domain_id, caller.system, caller.roles)
        try:
            question = (rule, who, *target.items())
            answer = self._answers.get(question)
        except TypeError:  # a target with lists or dictionaries is not remembered
            return self._check(rule, caller, target)
        if answer is None:
            answer = self._check(rule, caller, target)
            if len(self._answers) >= REMEMBERED:
                self._answers.clear()
            self._answers[question] = answer
        return answer

    def _check(self, rule: str, caller: Caller, target: Mapping[str, Any]) -> bool:
        rules = self._rules
        check = rules.get(rule) if rule in self._defaults else None
        if check is None:
            return False
        # What is not there matches nothing: a missing domain of the caller is not the missing domain of a target.
        known = {name: value for name, value in target.items() if value is not None}
        held = {name: value for name, value in caller.credentials().items() if value is not None}
        return bool(check(known, held, _Holder(rules), rule))

    def enforce(self, rule: str, caller: Caller, target: Mapping[str, Any]) -> None:
        if not self.allows(rule, caller, target):
            raise Forbidden(
                f"Policy doesn't allow {rule} to be performed.", internal=f"user {caller.user_id} roles {caller.roles}"
            )


class _Rules(dict[str, Any]):
    """Compiled checks by name. A name that is missing, which a rule may still refer to, denies."""

    def __missing__(self, name: str) -> Any:
        return self["nobody"]


class _Holder:
    """What oslo.policy's checks read of an enforcer: the rules."""

    def __init__(self, rules: _Rules) -> None:
        self.rules = rules


def _read_overrides(file: Path) -> dict[str, str]:
    """Raises ValueError for what is no YAML, OSError for a file that cannot be read."""
    from oslo_policy.policy import parse_file_contents

    return parse_file_contents(file.read_text())
