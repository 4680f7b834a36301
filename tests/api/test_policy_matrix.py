"""Every route x persona in one golden file: whoever widens or narrows a rule sees it in the diff.

The question asked is the one of the edge: may this persona do this to what is its own. Rules that look at a
target of the database answer here for a target of the caller's own project, user and domain.
Write the golden file anew with GUREUM_GOLDEN=write.
"""

from __future__ import annotations

import os
from pathlib import Path

from gureum.foundation.caller import Caller
from gureum.foundation.http.routes import PUBLIC
from gureum.roles.control import build
from tests.cloud import config

GOLDEN = Path(__file__).with_name("policy_matrix.txt")
ROLES = {
    "reader": ("reader",),
    "member": ("member", "reader"),
    "manager": ("manager", "member", "reader"),
    "admin": ("admin", "manager", "member", "reader"),
}


def personas():
    for role, held in ROLES.items():
        yield (
            f"project-{role}",
            Caller(user_id="u", user_domain_id="d", project_id="p", project_domain_id="d", roles=held),
        )
        yield f"domain-{role}", Caller(user_id="u", user_domain_id="d", domain_id="d", roles=held)
        yield f"system-{role}", Caller(user_id="u", user_domain_id="d", system=True, roles=held)
    yield "unscoped", Caller(user_id="u", user_domain_id="d")


def own_target(caller):
    target = {
        "project_id": caller.project_id,
        "tenant_id": caller.project_id,
        "user_id": caller.user_id,
        "domain_id": caller.domain_id,
        "target.user.id": caller.user_id,
        "target.user.domain_id": "d",
        "target.group.domain_id": "d",
        "target.credential.user_id": caller.user_id,
        "target.project.id": caller.project_id,
        "target.project.domain_id": "d",
        "target.domain.id": "d",
        "target.domain_id": "d",
        "target.role.is_admin": "False",
        "target.actor.domain_id": "d",
        "target.token.user_id": caller.user_id,
        "target.limit.project_id": caller.project_id,
        "target.limit.domain_id": caller.domain_id,
        "target.trust.trustor_user_id": caller.user_id,
        "target.trust.trustee_user_id": caller.user_id,
    }
    return {name: value for name, value in target.items() if value is not None}


def matrix(control):
    lines = []
    for api in control.app.apis:
        for route in api.routes:
            since = f" {route.since[0]}.{route.since[1]}+" if route.since else ""
            name = f"{route.method} {api.prefix}{route.path}{since}"
            if route.policy == PUBLIC:
                lines.append(f"{name} | {PUBLIC} | everyone")
                continue
            policy = control.app.policy
            allowed = [who for who, caller in personas() if policy.allows(route.policy, caller, own_target(caller))]
            lines.append(f"{name} | {route.policy} | {' '.join(allowed) or 'nobody'}")
    return "\n".join(sorted(set(lines))) + "\n"


def test_every_route_and_persona_is_as_the_golden_file_says(tmp_path):
    control = build(config(tmp_path))
    try:
        found = matrix(control)
    finally:
        control.bus.close()
        control.database.close()
    if os.environ.get("GUREUM_GOLDEN") == "write":
        GOLDEN.write_text(found)
    missing = sorted(set(GOLDEN.read_text().splitlines()) - set(found.splitlines()))
    added = sorted(set(found.splitlines()) - set(GOLDEN.read_text().splitlines()))
    assert not missing, "routes or rules changed; read this, then write the golden file anew:\n" + "\n".join(
        missing + added
    )
    assert not added, "routes were added; read this, then write the golden file anew:\n" + "\n".join(added)
