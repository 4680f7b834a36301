"""Every list with every filter that names what another domain or project has: nothing is shown, nothing is told.

The answer for a thing of alpha's is the same as for one that does not exist, so that no filter is an oracle either.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace

import pytest
from tests.api.policy_matrix.asking import SERVICES, Question, request_of, send
from tests.api.policy_matrix.personas import OTHER_DOMAIN, OTHER_PROJECT, SIBLING
from tests.api.policy_matrix.rollback import rolled_back
from tests.api.policy_matrix.things import SHARED
from tests.api.policy_matrix.world import matrix_world
from tests.api.security.everything import NOTHING

from gureum.foundation.http.routes import PUBLIC

OUTSIDERS = [(OTHER_PROJECT, "n"), (OTHER_DOMAIN, "a"), (OTHER_DOMAIN, "n"), (SIBLING, "n")]
EVERYWHERE = ("all_tenants", "all_projects", "project_id", "tenant_id", "owner", "user_id", "domain_id")
WIDER = ("", "&all_tenants=1", "&visibility=all")
BY_NAME = [  # the first that fits the parameter's name says which ids it is tried with
    ("^(id|marker)$", "server_id network_id port_id image_id security_group router_id project_id user_id group_id"),
    ("project|tenant|^owner$|parent", "project_id"),
    ("domain", "domain_id"),
    ("user|trust", "user_id"),
    ("network_id", "network_id"),
    ("subnet", "subnet_id"),
    ("group", "security_group group_id"),
    ("router", "router_id"),
    ("port", "port_id"),
    ("device", "server_id router_id"),
    ("image", "image_id"),
]
TEXTS = [
    ("^(name|display_name)$", "alpha alpha-net alpha-server alpha-one"),
    ("tag", "tag"),
    ("visibility", "private shared all community"),
    ("member_status", "all"),
    ("^ip|address|fixed_ips", "10.0.0 10.0.0.1 ip_address=10.0.0.1"),
    ("^all_|^deleted$", "1"),
]


@pytest.fixture(scope="module")
def world(request, tmp_path_factory):
    with matrix_world(request, tmp_path_factory) as world:
        yield world


def values_of(parameter, ids):
    for pattern, texts in TEXTS:
        if re.search(pattern, parameter):
            return texts.split()
    names = next((names for pattern, names in BY_NAME if re.search(pattern, parameter)), "")
    return [ids[name] for name in names.split()]


def queries(route, ids):
    """(query, value that it names)."""
    for parameter in dict.fromkeys((*route.query, *EVERYWHERE)):
        for value in values_of(parameter, ids):
            for wider in WIDER if parameter in EVERYWHERE else ("",):
                yield f"?{parameter}={value}{wider}", value


def without(text, value):
    """An answer's text without the id that was asked for and without the request's own."""
    value = value if len(value) >= 8 else "\0"  # links repeat it; a short one is part of other ids
    return re.sub(r"req-[0-9a-f-]{36}", "", re.sub(re.escape(value), "", text, flags=re.IGNORECASE))


@pytest.mark.parametrize("service", SERVICES)
def test_no_filter_shows_or_tells_what_is_anothers(world, service):
    ids, app = world.things.ids, world.cloud.control.app
    personas = [who for who in world.personas if (who.place, who.letter) in OUTSIDERS]
    (api,) = (api for api in app.apis if api.name == service)
    lists = [
        route for route in api.routes if route.method == "GET" and "{" not in route.path and route.policy != PUBLIC
    ]
    asked = 0

    async def attack() -> None:
        nonlocal asked
        for route in lists:
            for query, value in queries(route, ids):
                for persona in personas:
                    plain = request_of(Question(api, route), persona, ids)
                    answer = await send(app, replace(plain, url=plain.url + query))
                    shown = without(answer.content.decode(), value)
                    where = (persona.name, route.path, query, answer.status, shown[:300])
                    assert answer.status < 500, where
                    assert not any(secret in shown for secret in secrets(ids, persona)), where
                    if value in secrets(ids, persona):
                        absent = await send(app, replace(plain, url=plain.url + query.replace(value, NOTHING)))
                        same = (answer.status, shown) == (absent.status, without(absent.content.decode(), NOTHING))
                        assert same, (where, absent.content)
                    asked += 1

    with rolled_back(world.cloud.control.database):
        asyncio.run(attack())
    assert asked > 100


def secrets(ids, persona):
    """What this persona must not read: alpha's ids, and to another domain the domain itself."""
    shared = SHARED | {"owner_token"} | ({"domain_id"} if persona.place is SIBLING else set())
    return {value for name, value in ids.items() if name not in shared and len(value) >= 8}
