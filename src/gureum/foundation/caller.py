"""Who calls: the validated token as every service sees it. Made by identity, read by everyone, never by a client."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

EC2_METHOD = "ec2credential"
"""A signature with an EC2 key, which is for one project: so are its token and those made from it."""


@dataclass(frozen=True, slots=True)
class AccessRule:
    """A request that a narrowed token may make; `http/access.py` says how it is matched."""

    service: str
    method: str
    path: str


@dataclass(frozen=True, slots=True)
class Caller:
    """A token's facts. Exactly one of project, domain and system scope is set, or none (unscoped)."""

    user_id: str = ""
    user_name: str = ""
    user_domain_id: str = ""
    user_domain_name: str = ""
    project_id: str | None = None
    project_name: str | None = None
    project_domain_id: str | None = None
    project_domain_name: str | None = None
    domain_id: str | None = None
    domain_name: str | None = None
    system: bool = False
    roles: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    audit_ids: tuple[str, ...] = ()
    issued_at: float = 0.0
    expires_at: float = 0.0
    application_credential_id: str | None = None
    trust_id: str | None = None
    access_token_id: str | None = None
    access_rules: tuple[AccessRule, ...] | None = None
    token_id: str = ""
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def scope(self) -> Literal["project", "domain", "system", "unscoped"]:
        """What the token's roles are held on."""
        if self.project_id is not None:
            return "project"
        if self.domain_id is not None:
            return "domain"
        return "system" if self.system else "unscoped"

    @property
    def is_admin(self) -> bool:
        """Whether the token is an administrator's of the cloud: sees every project's resources in every service.

        The role admin on a domain is a role within that domain alone.
        """
        return "admin" in self.roles and self.scope in ("project", "system")

    @property
    def is_delegated(self) -> bool:
        """Whether the token stands for a limited grant (application credential, trust, OAuth, EC2 key)."""
        return (
            self.application_credential_id is not None
            or self.trust_id is not None
            or self.access_token_id is not None
            or EC2_METHOD in self.methods
        )

    def credentials(self) -> dict[str, Any]:
        """The credentials that policy rules may name, with the field's own keys."""
        return {
            "user_id": self.user_id,
            "user_domain_id": self.user_domain_id,
            "project_id": self.project_id,
            "tenant_id": self.project_id,
            "project_domain_id": self.project_domain_id,
            "domain_id": self.domain_id,
            "system_scope": "all" if self.system else None,
            "scope": self.scope,
            "roles": list(self.roles),
            "is_admin": self.is_admin,
        }


SERVICE = Caller(user_name="gureum", roles=("admin",), system=True)
"""The cloud acting on its own: reconcilers and bootstrap."""
