"""CVE-2026-22797 at every route: headers that a proxy's middleware would set change no answer."""

from __future__ import annotations

import pytest
from tests.api.policy_matrix.asking import SERVICES, ask
from tests.api.policy_matrix.personas import OTHER_DOMAIN, OTHER_PROJECT, OWN_PROJECT, UNSCOPED
from tests.api.policy_matrix.world import matrix_world
from tests.api.security.test_identity_attacks import FORGED

ASKED = [(OWN_PROJECT, "r"), (OTHER_PROJECT, "m"), (OTHER_DOMAIN, "a"), (UNSCOPED, "-")]


@pytest.fixture(scope="module")
def world(request, tmp_path_factory):
    with matrix_world(request, tmp_path_factory) as world:
        yield world


@pytest.mark.parametrize("service", SERVICES)
def test_cve_2026_22797_forged_headers_change_no_answer(world, service):
    ids = world.things.ids
    names = {"ADMIN": ids["administrator"], "PROJECT": ids["project_id"], "default": ids["domain_id"]}
    forged = {header.replace("-", "_"): names.get(value, value) for header, value in FORGED.items()}
    asked = [who for who in world.personas if (who.place, who.letter) in ASKED]
    before, after = ask(world, service, asked), ask(world, service, asked, **forged)
    for plain, lied in zip(before, after, strict=True):
        honest = [answer.status for *_, answer in plain.answers]
        assert [answer.status for *_, answer in lied.answers] == honest, plain.question.name
