"""Tokens: validated, issued for an application credential, issued for a password; lists with many entries."""

from __future__ import annotations

import os
from collections.abc import Iterator

from bench import limits
from bench.client import Client
from bench.cloud import PASSWORD, Cloud, Load, on_fresh_clouds, password_body
from bench.figures import Figure
from bench.sizes import Sizes

TOKENS = "/identity/v3/auth/tokens"


def rows(sizes: Sizes) -> Iterator[Figure]:
    runs = on_fresh_clouds(sizes, lambda cloud: _one_run(cloud, sizes))
    empty = limits.empty_note(sizes.limit_s)
    hashes = limits.password_hash(sizes.limit_s)
    note = f"argon2id alone on {os.cpu_count()} cores {hashes:.1f}/s"
    validated, credential, password = (
        max(loads, key=lambda load: load.rate.per_s) for loads in zip(*runs, strict=True)
    )
    yield Figure(
        "token-validation",
        "token validation, 8 connections",
        validated.rate.per_s,
        "/s",
        4000,
        limit=empty,
        note=validated.note(),
        upstream="561/s (2.8 ms CPU)",
    )
    yield Figure(
        "token-credential",
        "token from application credential, 8 connections",
        credential.rate.per_s,
        "/s",
        1500,
        limit=empty,
        note=credential.note(),
    )
    yield Figure(
        "token-password",
        "token from password (argon2id), 8 connections",
        password.rate.per_s,
        "/s",
        0.8 * hashes,
        limit=note,
        note=password.note(),
        upstream="9.9/s",
    )


def _one_run(cloud: Cloud, sizes: Sizes) -> tuple[Load, Load, Load]:
    validate = cloud.admin.request("GET", TOKENS)
    validate.headers["X-Subject-Token"] = cloud.admin.headers["X-Auth-Token"]
    issue = Client(cloud.port).request("POST", TOKENS, _credential_body(cloud))
    password = Client(cloud.port).request("POST", TOKENS, password_body("admin", PASSWORD))
    return (
        cloud.steady(validate, seconds=sizes.seconds),
        cloud.steady(issue, seconds=sizes.seconds),
        cloud.steady(password, seconds=sizes.seconds),
    )


def _credential_body(cloud: Cloud) -> dict[str, object]:
    users = cloud.admin.call("GET", "/identity/v3/users")["users"]
    user = next(entry["id"] for entry in users if entry["name"] == "admin")
    wanted = {"application_credential": {"name": "bench"}}
    made = cloud.admin.call("POST", f"/identity/v3/users/{user}/application_credentials", wanted)
    credential = made["application_credential"]
    proof = {"id": credential["id"], "secret": credential["secret"]}
    return {"auth": {"identity": {"methods": ["application_credential"], "application_credential": proof}}}
