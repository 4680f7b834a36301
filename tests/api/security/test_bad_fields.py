"""Each field of each body of each route with what it does not take; each elder form of a body with what it does not know.

Answered must be a 4xx in the API's dialect that names the field, with nothing written: not by a commit, and, looked at
once more at the end, not by a change of any table.
"""

from __future__ import annotations

import hashlib
import json

import pytest
from sqlalchemy import inspect, text
from tests.api.security.everything import url_of
from tests.api.security.samples import OwnKey, Schemas, replaced

from gureum.foundation.http.openapi import document
from gureum.foundation.http.versioned import starts

APIS = ("identity", "placement", "image", "compute", "network")


def content(database):
    """A hash of each table's rows."""
    found = {}
    with database.read() as tx:
        for table in inspect(tx.connection()).get_table_names():
            rows = sorted(map(repr, tx.execute(text(f'SELECT * FROM "{table}"'))))
            found[table] = hashlib.sha256("\n".join(rows).encode()).hexdigest()
    return found


def api_of(cloud, name):
    return next(api for api in cloud.control.app.apis if api.name == name)


def forms(api):
    """(headers, method, path, schemas, schema, whether it is the newest) of each form of each body."""
    versions = {None} if api.versions is None else {
        version
        for route in api.routes
        for version in (route.since, route.until, *starts(route.body))
        if version
    } | {api.versions.minimum, api.versions.maximum}  # fmt: skip
    seen, told = set(), set()
    for version in sorted(versions, key=lambda one: one or (0, 0), reverse=True):
        found = document(api, {}, version)
        schemas = Schemas(found)
        headers = {} if version is None else {"OpenStack_API_Version": f"{api.name} {version[0]}.{version[1]}"}
        for path, item in found["paths"].items():
            for method, operation in item.items():
                if "requestBody" not in operation or "schema" not in next(
                    iter(operation["requestBody"]["content"].values())
                ):
                    continue
                schema = schemas.of(operation)
                mark = (method, path, json.dumps([schemas.plain(schema), *map(schemas.plain, schema.get("oneOf", []))]))
                if mark in seen:
                    continue
                seen.add(mark)
                (media,) = operation["requestBody"]["content"]
                for one in schema.get("oneOf", [schema]):
                    newest = (method, path) not in told
                    yield {**headers, "content_type": media}, method.upper(), path, schemas, one, newest
                told.add((method, path))


def url(api, path, things):
    route = next(route for route in api.routes if route.path.replace(":path}", "}") == path)
    return url_of(api, route, things)


@pytest.fixture(scope="module")
def serving_admin(cloud):
    """An administrator with the role service, who passes the rule of every route."""
    admin, base = cloud.client("admin"), "/identity/v3"
    (role,) = admin.get(f"{base}/roles?name=service").json()["roles"]
    (user,) = admin.get(f"{base}/users?name=admin").json()["users"]
    (project,) = admin.get(f"{base}/projects?name=admin").json()["projects"]
    assert admin.put(f"{base}/projects/{project['id']}/users/{user['id']}/roles/{role['id']}").status == 204
    return cloud.client("admin")


@pytest.mark.parametrize("name", APIS)
def test_no_field_takes_what_its_type_does_not_hold(cloud, things, serving_admin, name):
    api, admin, database = api_of(cloud, name), serving_admin, cloud.control.database
    before, commits = content(database), database.counters.commits
    asked, wrong = 0, []
    for headers, method, path, schemas, schema, newest in forms(api):
        body = schemas.sample(schema)
        assert schemas.fits(schema, body), (path, body)
        for at, inner in schemas.places(schema):
            for bad in schemas.misfits(inner):
                if not newest and not (isinstance(bad, dict) and "unexpected" in bad):
                    continue
                answer = admin.request(method, url(api, path, things), replaced(body, at, bad), **headers)
                asked += 1
                fault = fault_of(name, named(method, body, at, bad), answer)
                if database.counters.commits != commits:
                    commits = database.counters.commits
                    fault = "wrote"
                if fault:
                    wrong.append((fault, method, path, at, repr(bad)[:60], answer.status, answer.content[:200]))
    assert not wrong, f"{len(wrong)} of {asked}:\n" + "\n".join(map(str, wrong[:12]))
    assert asked > 100
    assert content(database) == before


def named(method, body, at, bad):
    """The words of which a refusal holds one: the field's name. A value of a JSON patch is of the field of its path."""
    if isinstance(bad, dict) and "unexpected" in bad:
        return ("unexpected",)
    fields = [key for key in reversed(at) if isinstance(key, str) and not isinstance(key, OwnKey)]
    if method == "PATCH" and isinstance(body, list) and fields:
        return (*fields, body[0]["path"].removeprefix("/"), "custom property")
    return (fields[0] if fields else "",)


def fault_of(name, fields, answer):
    if not 400 <= answer.status < 500:
        return "not refused"
    try:
        said = message_of(name, answer.json())
    except (KeyError, ValueError, TypeError, IndexError):
        return "not in the dialect"
    if len(said) > 600:
        return "says too much"
    if answer.status == 413 or "is not there at this microversion" in said:
        return None
    return None if any(field in said for field in fields) else "does not name the field"


def message_of(name, body):
    if name == "compute":
        ((_, inner),) = body.items()
        return inner["message"]
    if name == "network":
        return body["NeutronError"]["message"]
    if name == "placement":
        return body["errors"][0]["detail"]
    return body["message"] if name == "image" else body["error"]["message"]
