"""Tokens: validated, issued for an application credential, issued for a password."""

from __future__ import annotations

import os
from collections.abc import Iterator

from bench import limits
from bench.client import Client, steady
from bench.cloud import Cloud, password_body
from bench.figures import Figure


def rows(cloud: Cloud, runs: int) -> Iterator[Figure]:
    admin = cloud.admin
    token = admin.headers["X-Auth-Token"]
    validate = admin.request("GET", "/identity/v3/auth/tokens")
    validate.headers["X-Subject-Token"] = token
    rate = max(steady(cloud.port, validate).per_s for _ in range(runs))
    yield Figure("token validation, 8 connections", rate, "/s", 4000, limit=limits.empty_note())

    issue = Client(cloud.port).request("POST", "/identity/v3/auth/tokens", _credential_body(cloud))
    rate = max(steady(cloud.port, issue).per_s for _ in range(runs))
    yield Figure("token from application credential, 8 connections", rate, "/s", 1500, limit=limits.empty_note())

    password = Client(cloud.port).request("POST", "/identity/v3/auth/tokens", password_body("admin"))
    rate = max(steady(cloud.port, password).per_s for _ in range(runs))
    bare = limits.password_hash()
    note = f"argon2id alone on {os.cpu_count()} cores {bare:.0f}/s"
    yield Figure("token from password (argon2id), 8 connections", rate, "/s", 0.8 * bare, limit=note)


def _credential_body(cloud: Cloud) -> dict[str, object]:
    users = cloud.admin.call("GET", "/identity/v3/users")["users"]
    user = next(entry["id"] for entry in users if entry["name"] == "admin")
    wanted = {"application_credential": {"name": "bench"}}
    made = cloud.admin.call("POST", f"/identity/v3/users/{user}/application_credentials", wanted)
    credential = made["application_credential"]
    proof = {"id": credential["id"], "secret": credential["secret"]}
    return {"auth": {"identity": {"methods": ["application_credential"], "application_credential": proof}}}
