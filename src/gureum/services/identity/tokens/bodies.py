"""What a request for a token may say. Source: identity API reference, "Authentication and token management", OS-TRUST,
OS-OAUTH1. Unknown members are let be, as the reference does."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct, field

Text = Annotated[str, Meta(max_length=255)]
Secret = Annotated[str, Meta(max_length=4096)]
Token = Annotated[str, Meta(max_length=8192)]


class DomainRef(Struct):
    id: Text | None = None
    name: Text | None = None


class UserRef(Struct):
    id: Text | None = None
    name: Text | None = None
    domain: DomainRef | None = None
    password: Secret | None = None
    passcode: Text | None = None


class UserMethod(Struct):
    """password and totp: a user with a secret."""

    user: UserRef


class TokenMethod(Struct):
    id: Token


class CredentialMethod(Struct):
    secret: Secret
    id: Text | None = None
    name: Text | None = None
    user: UserRef | None = None


class OauthMethod(Struct):
    """The proof is in the Authorization header."""


class Identity(Struct):
    methods: Annotated[list[Text], Meta(min_length=1, max_length=8)]
    password: UserMethod | None = None
    totp: UserMethod | None = None
    token: TokenMethod | None = None
    application_credential: CredentialMethod | None = None
    oauth1: OauthMethod | None = None


class ProjectRef(Struct):
    id: Text | None = None
    name: Text | None = None
    domain: DomainRef | None = None


class SystemRef(Struct):
    all: bool = False


class TrustRef(Struct):
    id: Text


class Scope(Struct):
    project: ProjectRef | None = None
    domain: DomainRef | None = None
    system: SystemRef | None = None
    trust: TrustRef | None = field(default=None, name="OS-TRUST:trust")


class Auth(Struct):
    identity: Identity
    scope: Scope | str | None = None


class AuthBody(Struct):
    auth: Auth
