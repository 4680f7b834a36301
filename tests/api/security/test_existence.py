"""No route of compute, network, image and placement tells a stranger whether another project's thing exists.

Each request of the policy matrix is sent for alpha-one's things and for things that are not there: the answers are the
same but for the ids. Identity is left out: its reference answers 403 for what is another's and 404 for what is not there.
"""

from __future__ import annotations

import asyncio
import re

import pytest
from tests.api.policy_matrix.asking import SERVICES, questions, request_of, send
from tests.api.policy_matrix.personas import OTHER_DOMAIN, OTHER_PROJECT, SIBLING, UNSCOPED
from tests.api.policy_matrix.rollback import rolled_back
from tests.api.policy_matrix.things import SHARED
from tests.api.policy_matrix.world import matrix_world

STRANGERS = [(OTHER_PROJECT, "n"), (OTHER_PROJECT, "r"), (OTHER_DOMAIN, "a"), (SIBLING, "n"), (UNSCOPED, "-")]
TOLD = {"GET /v2.1/os-quota-sets/{project_id}/defaults": "the reference refuses projects that are not there"}
KEPT = SHARED | {"owner_token", "fresh_tag"}


@pytest.fixture(scope="module")
def world(request, tmp_path_factory):
    with matrix_world(request, tmp_path_factory) as world:
        yield world


def absent(name, value):
    """A value of the same form that names nothing."""
    return value if name in KEPT or len(value) < 6 else re.sub(r"[0-9a-z]", "0", value)


@pytest.mark.parametrize("service", [name for name in SERVICES if name != "identity"])
def test_what_is_anothers_is_answered_like_what_is_not_there(world, service):
    ids = world.things.ids
    nothing = {name: absent(name, value) for name, value in ids.items()}
    secret = sorted({value for name, value in ids.items() if nothing[name] != value}, key=len, reverse=True)
    strangers = [who for who in world.personas if (who.place, who.letter) in STRANGERS]
    differ, asked = [], 0

    def text(answer):
        content = answer.content.decode("utf-8", "replace")
        for value in secret:
            content = content.replace(value, absent("", value))
        return re.sub(r"req-[0-9a-f-]{36}", "", content)

    async def compare() -> None:
        nonlocal asked
        for question in questions(world.cloud, service):
            for stranger in strangers:
                theirs, none = request_of(question, stranger, ids), request_of(question, stranger, nothing)
                if theirs == none:
                    continue
                there, not_there = [await send(world.cloud.control.app, request) for request in (theirs, none)]
                asked += 1
                if (there.status, text(there)) != (not_there.status, text(not_there)):
                    differ.append((question.name, stranger.name, there.status, not_there.status))

    with rolled_back(world.cloud.control.database):
        asyncio.run(compare())
    assert [line for line in differ if line[0] not in TOLD] == []
    assert asked > 10
