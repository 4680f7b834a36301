"""What must hold for every route of every API, tried on a whole simulated cloud."""

from __future__ import annotations

import json
import re
from typing import get_origin

import pytest
from tests.api.client import Client
from tests.api.security.everything import NOTHING, routes, url_of, versions_of

from gureum.foundation.http.routes import Runs


def test_get_never_writes(cloud, things):
    """A listing that creates resources (default security groups, quotas, …) fills a database without a trace."""
    asked = 0
    reached = 0
    for who in ("admin", "demo"):
        client = cloud.client(who)
        token = {"X_Subject_Token": client.headers["X-Auth-Token"]}
        for api, route in routes(cloud, "GET", "HEAD"):
            for version in versions_of(api, route):
                before = cloud.control.database.counters.commits
                url = url_of(api, route, things)
                answer = client.request(route.method, url, **token, **version)
                assert answer.status < 500 or answer.status == route.status, (
                    route.method,
                    url,
                    version,
                    answer.content,
                )
                assert cloud.control.database.counters.commits == before, f"{route.method} {url} wrote"
                asked += 1
                reached += answer.status < 400
    assert asked > 300
    assert reached > asked / 2, "most of the routes must really answer, or the test proves nothing"


def test_a_stranger_gets_401_everywhere_but_at_the_door(cloud, things):
    strangers = [Client(cloud.control.app), Client(cloud.control.app, {"X-Auth-Token": "gAAAAAnonsense"})]
    for api, route in routes(cloud, "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"):
        if route.policy == "public":
            continue
        for stranger in strangers:
            for version in versions_of(api, route)[:1]:
                answer = stranger.request(route.method, url_of(api, route, things), **version)
                assert answer.status == 401, (route.method, route.path, answer.status)


# -- bodies ----------------------------------------------------------------------------------------------

HUGE = "1" + "0" * 5000
BODIES = {
    "too large": b'{"x": "' + b"x" * (1 << 20) + b'"}',
    "too deep": b'{"x": ' * 5000 + b"1" + b"}" * 5000,
    "deep lists": b"[" * 100_000,
    "NUL escaped": b'{"x": "a\\u0000b"}',
    "NUL": b'{"x": "a\x00b"}',
    "invalid UTF-8": b'{"x": "\xff\xfe"}',
    "half a surrogate": b'{"x": "\\ud800"}',
    "not a number": b'{"x": NaN}',
    "cut": b'{"x": ',
    "empty": b"",
    "a list": b"[]",
    "null": b"null",
    "a text": b'"x"',
}


def wrapper(url):
    """The key under which the noun's fields stand, by trying: `os-server-groups` -> server_group."""
    last = [part for part in url.split("/") if part and part != NOTHING][-1]
    return last.removeprefix("os-").rstrip("s").replace("-", "_")


def numbers(url):
    key = wrapper(url)
    for number in (HUGE, HUGE[:400], "1e999", "-1e999", str(2**63), str(-(2**63) - 1), str(2**31)):
        fields = (
            "name",
            "ram",
            "vcpus",
            "disk",
            "size",
            "min_count",
            "port_range_min",
            "ip_version",
            "min_disk",
            "generation",
            "protocol",
            "mtu",
            "expires_at",
        )
        inner = ", ".join(f'"{field}": {number}' for field in fields)
        yield number[:12], f'{{"{key}": {{{inner}}}}}'.encode()
        yield number[:12], f"{{{inner}}}".encode()


def reads_json(route):
    return route.place() is not Runs.STREAM and route.body is not None


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_bodies_that_no_route_accepts(cloud, things, method):
    admin = cloud.client("admin")
    tried = 0
    for api, route in routes(cloud, method):
        if not reads_json(route):
            continue
        url = url_of(api, route, things)
        kind = {}
        if api.name == "image" and method == "PATCH":
            kind = {"content_type": "application/openstack-images-v2.1-json-patch"}
        for version in versions_of(api, route)[-1:]:
            for name, raw in [*BODIES.items(), *numbers(url)]:
                if name == "a list" and (kind or get_origin(route.body) is list):
                    continue  # a patch that changes nothing, or none of what the route takes a list of
                before = cloud.control.database.counters.commits
                answer = admin.request(method, url, raw=raw, **version, **kind)
                where = (method, url, name, answer.status, answer.content[:300])
                tried += 1
                if name not in BODIES and api.name == "identity" and answer.status in (200, 201):
                    assert _numbers_as_sent(answer.content, raw), (
                        where
                    )  # attributes of the client's own, kept as they came
                    continue
                assert 400 <= answer.status < 500, where
                assert cloud.control.database.counters.commits == before, f"{method} {url} wrote on {name}"
                assert b"Traceback" not in answer.content
    assert tried > 100


def _numbers_as_sent(answer, raw):
    sent = next(iter(json.loads(raw).values()))
    shown = next(iter(json.loads(answer).values()))
    return all(shown.get(key) == value for key, value in sent.items() if key in shown)


def test_queries_that_no_route_accepts(cloud, things):
    """Hostile values of every common filter: an answer or a clear 4xx, never a 500."""
    admin = cloud.client("admin")
    values = (
        "%00",
        "%ff%fe",
        "99999999999999999999",
        "-1",
        "%27%20OR%201%3D1--",
        "x" * 3000,
        "%0d%0aSet-Cookie:%20a=b",
        "%ed%a0%80",
    )
    keys = (
        "limit",
        "marker",
        "name",
        "id",
        "sort_key",
        "sort_dir",
        "fields",
        "status",
        "project_id",
        "tags",
        "fixed_ips",
        "changes-since",
        "resources",
    )
    for api, route in routes(cloud, "GET"):
        if "{" in route.path or route.policy == "public":
            continue
        for version in versions_of(api, route)[-1:]:
            for value in values:
                query = "&".join(f"{key}={value}" for key in keys)
                answer = admin.get(f"{api.prefix}{route.path}?{query}", **version)
                assert answer.status < 500, (route.path, query[:80], answer.content)
                assert "set-cookie" not in answer.headers
            for key in keys:
                answer = admin.get(f"{api.prefix}{route.path}?{key}=%27%3B--", **version)
                assert answer.status < 500, (route.path, key, answer.content)


# -- projects --------------------------------------------------------------------------------------------


PRIVATE = (
    "server_id",
    "port_id",
    "network_id",
    "subnet_id",
    "router_id",
    "group_id",
    "floatingip_id",
    "image_id",
    "server_group",
    "credential_id",
)


def test_cve_2026_93856_list_crosses_projects(cloud, things, stranger):
    """No collection, in any version or filtered by the victim's own ids, shows a stranger what is the victim's."""
    secrets = {name: things[name] for name in PRIVATE} | {"project": things["project_id"]}
    queries = (
        "",
        "?all_tenants=1",
        "?all_projects=1",
        f"?project_id={things['project_id']}",
        f"?tenant_id={things['project_id']}",
        f"?all_tenants=1&project_id={things['project_id']}",
        f"?owner={things['project_id']}&visibility=private",
        "?visibility=all",
        f"?user_id={things['user_id']}",
        f"?network_id={things['network_id']}",
        f"?device_id={things['server_id']}",
        f"?id={things['server_id']}&id={things['port_id']}&id={things['network_id']}",
        f"?marker={things['server_id']}",
    )
    asked = 0
    for api, route in routes(cloud, "GET"):
        if "{" in route.path or route.policy == "public":
            continue
        for version in versions_of(api, route):
            for query in queries:
                answer = stranger.get(api.prefix + route.path + query, **version)
                assert answer.status < 500, (route.path, query, answer.content)
                if answer.status >= 400:
                    continue
                asked += 1
                text = (
                    json.dumps([item for item in _leaves(answer.json()) if "?" not in item]) if answer.content else ""
                )
                leaked = [name for name, value in secrets.items() if value in text]
                assert not leaked, (route.path, version, query, leaked)
    assert asked > 100


def _leaves(value):
    """All texts of a document; links repeat the query and are left out by the caller."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    elif isinstance(value, str):
        yield value


def test_what_is_anothers_is_not_found_by_its_id(cloud, things, stranger):
    """Shown, changed or deleted: a stranger's request ends as if the thing did not exist, and writes nothing."""
    tried = 0
    for api, route in routes(cloud, "GET", "HEAD", "PUT", "PATCH", "DELETE", "POST"):
        named = set(re.findall(r"\{(\w+)", route.path))
        if api.name not in ("compute", "network", "image", "identity") or not named & {
            *PRIVATE,
            "resource_id",
            "consumer_id",
        }:
            continue
        for version in versions_of(api, route)[-1:]:
            before = cloud.control.database.counters.commits
            answer = stranger.request(route.method, url_of(api, route, things), **version)
            assert 400 <= answer.status < 500, (route.method, route.path, answer.status, answer.content)
            assert cloud.control.database.counters.commits == before, (route.method, route.path)
            tried += 1
    assert tried > 40
