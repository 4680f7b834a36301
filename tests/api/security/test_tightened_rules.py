"""An operator who writes `"rule": "!"` closes every route that names the rule, to administrators too.

A handler that enforced some other, wider rule would pass every test of persons and places by default, and stay open here.
"""

from __future__ import annotations

import asyncio
import re
from unittest.mock import patch

import pytest
from tests.api.policy_matrix.asking import SERVICES, questions, request_of, send
from tests.api.policy_matrix.personas import OWN_DOMAIN, OWN_PROJECT, SYSTEM
from tests.api.policy_matrix.rollback import rolled_back
from tests.api.policy_matrix.world import matrix_world

from gureum.foundation.http.routes import PUBLIC
from gureum.foundation.policy import SHARED_RULES
from gureum.roles.assembly import CATALOGUE

ASKED = [(OWN_PROJECT, "a"), (OWN_PROJECT, "m"), (OWN_PROJECT, "s"), (SYSTEM, "a"), (OWN_DOMAIN, "n")]
RULES_OF_THEIR_OWN = (
    "POST /v2.1/servers/{server_id}/action",
    "POST /v2.1/flavors/{flavor_id}/action",
    "POST /v2.1/os-aggregates/{aggregate_id}/action",
    "POST /v3/roles (of the domain)",
    "GET /v3/role_assignments?scope.project.id=$project_id&include_subtree",
    "GET /v3/roles?domain_id=$domain_id",
    "GET /v3/roles/{role_id} (of the domain)",
    "PATCH /v3/roles/{role_id} (of the domain)",
    "DELETE /v3/roles/{role_id} (of the domain)",
    "GET /v3/OS-TRUST/trusts?",
)
"""Requests of one route that another rule is for, e.g. each action of a server."""


NOT_REACHED = {
    "os_compute_api:servers:action": "each action has a rule of its own",
    "os_compute_api:os-lock-server:unlock:unlock_override": "a server that an administrator locked",
    "get_image_location": "where the operator shows locations",
    "set_image_location": "a patch of locations",
}
"""Rules that no request of the matrix gets to, with what would, or why nothing does."""


@pytest.fixture(scope="module")
def world(request, tmp_path_factory):
    with matrix_world(request, tmp_path_factory) as world:
        yield world


@pytest.mark.parametrize("service", SERVICES)
def test_a_rule_that_is_for_nobody_closes_its_routes(world, service):
    app, policy = world.cloud.control.app, world.cloud.control.app.policy
    personas = [who for who in world.personas if (who.place, who.letter) in ASKED]
    closed = {}

    def tightened(question):
        """The route's rule alone is for nobody; of a request with a rule of its own, every other rule."""
        own = question.route.policy
        others = question.name.startswith(RULES_OF_THEIR_OWN)
        if (own, others) not in closed:
            names = policy.names - {own} if others else {own}
            closed[own, others] = policy._compile(dict.fromkeys(names, "!"))
        return closed[own, others]

    async def ask() -> list[tuple[str, str, int]]:
        opened = []
        for question in questions(world.cloud, service):
            if question.route.policy == PUBLIC:
                continue
            with patch.object(policy, "_ruleset", tightened(question)):
                for persona in personas:
                    answer = await send(app, request_of(question, persona, world.things.ids))
                    if answer.status < 400:
                        opened.append((question.name, persona.name, answer.status))
        return opened

    with rolled_back(world.cloud.control.database):
        assert asyncio.run(ask()) == []
    assert closed


def test_every_rule_is_asked_by_some_request(world):
    """A rule that nothing asks lets an operator believe that it closes something."""
    app, policy = world.cloud.control.app, world.cloud.control.app.policy
    asked = set(SHARED_RULES)
    allows = policy.allows
    referred = {name for rule in CATALOGUE.rules() for name in references(rule.check)}

    def noted(rule, caller, target):
        asked.add(rule)
        return allows(rule, caller, target)

    async def ask() -> None:
        for service in SERVICES:
            for question in questions(world.cloud, service):
                for persona in world.personas:
                    if (persona.place, persona.letter) in ASKED:
                        await send(app, request_of(question, persona, world.things.ids))

    with rolled_back(world.cloud.control.database), patch.object(policy, "allows", noted):
        asyncio.run(ask())
    assert policy.names - asked - referred == set(NOT_REACHED)


def references(check):
    return re.findall(r"rule:([^\s()]+)", check)
