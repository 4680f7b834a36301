"""Every route x persona x scope, asked over HTTP of the real handlers, in one golden file for each service.

Whoever widens or narrows a right sees it in the diff: write the files anew with GUREUM_GOLDEN=write. What may not
change with them is asserted beside. `GUREUM_MATRIX=postgresql` asks the same of a cloud on PostgreSQL.
"""

from __future__ import annotations

import os
import re

import pytest

from tests.api.policy_matrix.asking import FOLDER, SERVICES, ask, mark, successes, written
from tests.api.policy_matrix.personas import (
    OTHER_DOMAIN,
    OWN_DOMAIN,
    SIBLING,
    SYSTEM,
    UNSCOPED,
)
from tests.api.policy_matrix.things import SHARED
from tests.api.policy_matrix.world import matrix_world

OUTSIDERS = {
    "GET /v2.1/os-quota-sets/{project_id}/defaults": "the same for every project",
    "POST /v3/users/{user_id}/credentials/OS-EC2 (its own)": "opens nothing without a role in the project",
}
"""Answers to outsiders whose requests name a thing of alpha's, with the reason."""
REFUSED_TO_ALL = {
    "DELETE /v3/projects/{project_id} (the domain)": "a domain is deleted as a domain",
    "POST /v3/users/{user_id}/password": "asks for the password, not for a token",
    "POST /v3/ec2tokens": "the signature is wrong",
    "POST /v3/s3tokens": "the signature is wrong",
    "POST /v3/OS-OAUTH1/access_token": "asks for a signature, not for a token",
    "POST /v2.1/os-aggregates/{aggregate_id}/action (remove_host)": "the aggregate has no host",
    "GET /v2.0/agents/{agent_id}": "the simulated network has no agents",
    "DELETE /v2/stores/{store_id}/{image_id}": "the last store that holds the image",
    "GET /v2/cache": "the cache is off",
    "DELETE /v2/cache": "the cache is off",
    "PUT /v2/cache/{image_id}": "the cache is off",
    "DELETE /v2/cache/{image_id}": "the cache is off",
}
"""What passes for nobody, with the reason; any other such line would prove nothing of the wall."""
READER_WRITES = {
    "POST /v3/auth/tokens": "another token of its own",
    "DELETE /v3/auth/tokens (its own)": "its own token",
    "POST /v3/users/{user_id}/application_credentials (its own)": "gives on no more than the token has",
    "POST /v3/credentials (its own)": "stored for the user itself",
    "POST /v3/users/{user_id}/credentials/OS-EC2 (its own)": "the user's own",
    "POST /v3/OS-TRUST/trusts (its own)": "gives on no more than the user has",
    "POST /v2.1/os-keypairs": "keypairs are the user's",
}
SERVICE_WRITES = {
    "placement:": "what compute and network hold and offer",
    "identity:revoke_token": "its own token",
    "identity:create_application_credential": "its own",
    "identity:create_credential": "its own",
    "identity:ec2_create_credential": "its own",
    "os_compute_api:os-keypairs:": "its own",
    "add_image_location": "compute's snapshots, block storage's images",
    "public": "its own token",
}


@pytest.fixture(scope="module")
def world(request, tmp_path_factory):
    with matrix_world(request, tmp_path_factory) as world:
        yield world


@pytest.fixture(scope="module", params=SERVICES)
def rows(request, world):
    """Every route of one service with the answer of every persona."""
    return ask(world, request.param)


def service_of(rows):
    return rows[0].question.api.name


def test_every_route_and_persona_is_as_the_golden_file_says(rows):
    golden = FOLDER / f"{service_of(rows)}.txt"
    answered = written(rows)
    if os.environ.get("GUREUM_GOLDEN") == "write":
        golden.write_text(answered)
    before, after = golden.read_text().splitlines(), answered.splitlines()
    changed = [line for line in before if line not in after] + [line for line in after if line not in before]
    assert before == after, "rights changed; read this, then write the golden file anew:\n" + "\n".join(changed)


def test_every_request_passes_for_somebody(rows):
    """A request that is refused to all, for its own mistake, would say nothing of who is refused."""
    for row in rows:
        passed = any(mark(answer.status) in "+!" for *_, answer in row.answers)
        assert passed or row.question.name in REFUSED_TO_ALL, row.question.name


def test_no_answer_is_a_fault_of_the_server(rows):
    faults = [
        (row.question.name, persona.name, answer.status, answer.content)
        for row in rows
        for persona, _, answer in row.answers
        if answer.status >= 500 and answer.status != 501  # what compute says it does not offer
    ]
    assert not faults


def test_reading_never_writes(rows):
    """A list that creates what it lists (default groups, quotas) fills a database without a trace."""
    wrote = [row.question.name for row in rows if row.writes and not row.question.is_write]
    assert not wrote


def test_another_project_neither_changes_nor_finds_what_is_alphas(rows, world):
    """A request of an outsider that names a thing of alpha's in its path or in the body of a write never succeeds."""
    private = private_ids(world.things, SIBLING)
    through = [
        (question.name, persona.name)
        for question, persona, request, _ in successes(rows)
        if is_outsider(persona)
        and question.name not in OUTSIDERS
        and names_any(private, request.url.partition("?")[0] + (request.body.decode() if question.is_write else ""))
    ]
    assert not through


def test_another_project_sees_nothing_of_alphas(rows, world):
    """No answer to an outsider holds the id of a thing of alpha's, and to another domain nothing called alpha."""
    for question, persona, request, answer in successes(rows):
        if not is_outsider(persona) or question.name in OUTSIDERS:
            continue
        private = private_ids(world.things, persona.place)
        shown = answer.content.decode("utf-8", "replace").replace(request.url.partition("?")[2] or "\0", "")
        assert not names_any(private, shown), (question.name, persona.name, shown[:500])
        if persona.place is not SIBLING:
            assert "alpha" not in shown, (question.name, persona.name, shown[:500])


def test_only_tokens_of_projects_open_the_services_of_projects(rows):
    if service_of(rows) == "identity":
        pytest.skip("identity has domains and the system")
    places = (OWN_DOMAIN, SYSTEM, OTHER_DOMAIN, UNSCOPED)
    opened = [(question.name, persona.name) for question, persona, *_ in successes(rows) if persona.place in places]
    assert not opened


def test_readers_write_nothing_but_what_is_their_own(rows):
    for question, persona, *_ in successes(rows):
        if persona.letter == "r" and question.is_write:
            name = re.sub(r"@.*", "", question.name)
            assert name in READER_WRITES, (question.name, persona.name)


def test_the_role_service_writes_nothing_but_what_is_named(rows):
    for question, persona, *_ in successes(rows):
        if persona.letter == "s" and question.is_write:
            assert question.route.policy.startswith(tuple(SERVICE_WRITES)), (question.name, persona.name)


def test_the_routes_of_computes_v2_are_those_of_v2_1(world):
    """The matrix leaves v2 out, which may differ in microversions alone."""
    (compute,) = (api for api in world.cloud.control.app.apis if api.name == "compute")
    newer = {(route.method, route.path, route.policy, route.handler) for route in compute.routes}
    elder = [route for route in compute.routes if route.path.startswith("/v2/")]
    assert elder
    for route in elder:
        assert (route.method, route.path.replace("/v2/", "/v2.1/", 1), route.policy, route.handler) in newer


def is_outsider(persona):
    """One who has no part in alpha-one; the role service is the cloud's."""
    return persona.is_outsider and persona.letter != "s"


def private_ids(things, place):
    """The ids that a place must not see; to another project of the domain the domain itself is no secret."""
    shared = SHARED | ({"domain_id"} if place is SIBLING else set())
    return {value for name, value in things.ids.items() if name not in shared and len(value) >= 8}


def names_any(private, text):
    return any(value in text for value in private)
