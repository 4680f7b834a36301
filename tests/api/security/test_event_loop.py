"""The event loop's share of any single request is at most 5 ms, however its client made it.

Measured is the processor time of the loop's thread, over real sockets, on a whole simulated cloud: what other work of
the machine takes does not count, and what one request costs is what all others wait for.
"""

from __future__ import annotations

import gc
import json
import logging
import re

import pytest
from tests.api.client import Client
from tests.api.security.everything import routes
from tests.served import closing, served, statuses

from gureum.foundation.http.routes import Runs
from gureum.foundation.log import LineFormatter
from gureum.roles.entry import settle_memory

LOOP_S = 0.005
TRIES = 5
MIB = 1 << 20


@pytest.fixture(scope="module")
def server(cloud):
    with served(cloud.control.app) as server:
        yield server


@pytest.fixture(scope="module", autouse=True)
def memory():
    """Garbage is looked for as in a process of the control plane."""
    threshold = gc.get_threshold()
    settle_memory()
    yield
    gc.set_threshold(*threshold)
    gc.unfreeze()


@pytest.fixture(scope="module", autouse=True)
def log(tmp_path_factory):
    """Each request is written to a log, whose lines are searched for secrets."""
    handler = logging.FileHandler(tmp_path_factory.mktemp("log") / "api.log")
    handler.setFormatter(LineFormatter("api"))
    logger = logging.getLogger("gureum.http")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel("INFO")
    yield
    logger.setLevel(level)
    logger.removeHandler(handler)
    handler.close()


@pytest.fixture(scope="module")
def tokens(cloud):
    """A token of the administrator, and one with the longest and worst access rules."""
    admin = cloud.client("admin")
    token = admin.headers["X-Auth-Token"]
    user = admin.get("/identity/v3/auth/tokens", X_Subject_Token=token).json()["token"]["user"]["id"]
    services = ("identity", "compute", "network", "image", "placement")
    rules = [{"service": services[n % 5], "method": "GET", "path": f"{'**a' + '*a' * 61}{n:03}"} for n in range(63)] + [
        {"service": "compute", "method": "GET", "path": "/v2.1/**"}
    ]
    body = {"application_credential": {"name": "loop", "access_rules": rules}}
    made = admin.post(f"/identity/v3/users/{user}/application_credentials", body)
    assert made.status == 201, made.content
    secret = {key: made.json()["application_credential"][key] for key in ("id", "secret")}
    identity = {"methods": ["application_credential"], "application_credential": secret}
    answer = Client(cloud.control.app).post("/identity/v3/auth/tokens", {"auth": {"identity": identity}})
    assert answer.status == 201, answer.content
    return {"admin": token, "narrow": answer.headers["x-subject-token"]}


def request(method, target, token="", body=b"", headers=b""):
    fields = f"X-Auth-Token: {token}\r\n" if token else ""
    if body:
        fields += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return closing(f"{method} {target} HTTP/1.1\r\nHost: a\r\n{fields}".encode() + headers + b"\r\n") + body


def cost_of(server, sent: bytes) -> tuple[float, list[int]]:
    """The least of some tries: what is above it is garbage collection and the like."""
    costs = []
    for _ in range(TRIES):
        before = server.loop_s()
        answer = server.exchange(sent)
        costs.append(server.loop_s() - before)
        if costs[-1] <= LOOP_S:
            break
    return min(costs), statuses(answer)


def assert_quick(server, requests):
    """Each is answered below 500 and costs the loop 5 ms at most."""
    slow, broken = [], []
    for name, sent in requests:
        cost, seen = cost_of(server, sent)
        if cost > LOOP_S:
            slow.append(f"{name}: {cost * 1000:.1f} ms {seen}")
        if len(seen) != 1 or seen[0] >= 500 and seen[0] != 501:
            broken.append(f"{name}: {seen}")
    assert not slow, "\n".join(slow)
    assert not broken, "\n".join(broken)


def of_length(text: bytes, size: int) -> bytes:
    return (text * (size // len(text) + 1))[:size]


BODIES = {
    "brackets": b"[" * MIB,
    "pairs": b"[]" * (MIB // 2),
    "deep as allowed": (b"[" * 32 + b"]" * 32) * (MIB // 64),
    "strings": b'{"a":[' + b'"",' * (MIB // 3 - 100) + b'"","[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["]}',
    "escapes": b'{"a":"' + b'\\"' * (MIB // 2 - 10) + b'"}',
    "numbers": b'{"a":[' + b"1," * (MIB // 2 - 10) + b"1]}",
    "objects": b'{"a":[' + b'{"a":{}},' * (MIB // 9 - 10) + b"{}]}",
    "keys": json.dumps({f"k{n}": n for n in range(60_000)}).encode(),
    "digits": b'{"a":' + b"9" * (MIB - 10) + b"}",
    "no JSON": b"\xff" * MIB,
}  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
def test_bodies_that_a_handler_refuses(server, tokens, name):
    """What was decoded is freed where it was decoded."""
    targets = ["/compute/v2.1/servers/a/action", "/network/v2.0/ports", "/image/v2/metadefs/namespaces"]
    assert_quick(server, [(target, request("POST", target, tokens["admin"], BODIES[name])) for target in targets])


@pytest.mark.parametrize("size", [MIB, 64 << 10, 8 << 10])
def test_bodies_for_tokens(server, size):
    """Anybody may send them, and the small ones are decoded on the loop."""
    target = "/identity/v3/auth/tokens"
    at_size = {name: of_length(body, size) for name, body in BODIES.items()}
    at_size["methods"] = (
        b'{"auth":{"identity":{"methods":[' + b'"token",' * ((size - 100) // 8) + b'"token"],"token":{"id":"a"}}}}'
    )
    at_size["token"] = b'{"auth":{"identity":{"methods":["token"],"token":{"id":"' + b"g" * (size - 100) + b'"}}}}'
    assert_quick(server, [(name, request("POST", target, body=body)) for name, body in at_size.items()])


def test_bodies_of_every_route(cloud, server, tokens):
    requests = []
    for number, (api, route) in enumerate(routes(cloud, "POST", "PUT", "PATCH", "DELETE")):
        if route.place() is Runs.STREAM:
            continue
        name = list(BODIES)[number % len(BODIES)]
        target = api.prefix + re.sub(r"\{[^}]*\}", "a", route.path)
        requests.append(
            (f"{route.method} {target} {name}", request(route.method, target, tokens["admin"], BODIES[name]))
        )
    assert_quick(server, requests)


QUERIES = [
    "&".join(f"a{n}={n:033}" for n in range(200)),
    "&".join(f"limit={n}" for n in range(700)),
    "name=" + "%41" * 2700,
    "name=" + "a" * 8000,
    "sort=" + "a," * 4000,
    "sort_key=a&" * 700,
    "fields=" + "&fields=".join("id" for _ in range(190)),
    "fields=" + "id," * 2600,
    "name=" + "(a*)*" * 1600,
    "resources=" + "VCPU:1," * 1100,
    "required=" + "!," * 4000,
    "member_of=in:" + "a," * 4000,
    "tags=" + ",".join(f"a{n}" for n in range(1400)),
    "&".join(
        f"{name}=" + ",".join(f"a{n}" for n in range(190)) for name in ("tags", "tags-any", "not-tags", "not-tags-any")
    ),
    "&".join("tags-any=" + ",".join(f"a{n}" for n in range(10)) for _ in range(190)),
    "id=" + "&id=".join(f"a{n}" for n in range(198)),
    "marker=" + "%F0%9F%98%80" * 660,
    "&" * 8000,
    "password=" * 890,
    "password='" * 800,
    "token" + "%20" * 2600,
    "secret" * 1300,
    'password="' + "\\" * 8000,
    "%00",
    "%ff%fe",
    "a=" + "+" * 8000,
]


def test_targets_of_every_route(cloud, server, tokens):
    """Long and encoded values in the place of each parameter, and long queries."""
    values = [
        "a" * 7900,
        "%41" * 2600,
        "%2F" * 2600,
        "a/" * 3900,
        "%F0%9F%98%80" * 650,
        "%ff" * 2600,
        "%00",
        "a" + "%0a" * 2600,
    ]
    requests = []
    for number, (api, route) in enumerate(routes(cloud, "GET", "HEAD", "DELETE")):
        query = QUERIES[number % len(QUERIES)]
        plain = api.prefix + re.sub(r"\{[^}]*\}", "a", route.path)
        requests.append(
            (f"{route.method} {plain}?{query[:20]}", request(route.method, f"{plain}?{query}"[:8100], tokens["admin"]))
        )
        if "{" in route.path:
            value = values[number % len(values)]
            long = api.prefix + re.sub(r"\{[^}]*\}$|\{[^}]*\}(?!.*\{)", value, route.path, count=1)
            long = re.sub(r"\{[^}]*\}", "a", long)[:8100]
            requests.append((f"{route.method} {plain} {value[:9]}", request(route.method, long, tokens["admin"])))
    assert_quick(server, requests)


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query[:14])
def test_queries_of_lists(server, tokens, query):
    newest = b"OpenStack-API-Version: compute latest, placement latest\r\n"
    lists = [
        "/compute/v2.1/servers",
        "/network/v2.0/ports",
        "/image/v2/images",
        "/identity/v3/users",
        "/placement/resource_providers",
        "/placement/allocation_candidates",
    ]
    assert_quick(
        server, [(path, request("GET", f"{path}?{query}"[:8100], tokens["admin"], headers=newest)) for path in lists]
    )


NAMES = [
    "X-Auth-Token", "X-Subject-Token", "Authorization", "OpenStack-API-Version", "X-OpenStack-Nova-API-Version",
    "Accept", "Content-Type", "X-OpenStack-Request-ID", "OpenStack-Identity-Access-Rules", "Openstack-Auth-Receipt",
    "Range", "Content-Range", "If-Match", "Content-Length", "Transfer-Encoding", "Upgrade", "Connection", "Cookie",
    "X-Image-Meta-Store", "Host",
]  # fmt: skip
VALUES = [
    b"a",
    b",",
    b"a,",
    b"a;",
    b" a",
    b"1.",
    b"9",
    b"compute 2.1,",
    b"text/html;q=0.",
    b"Bearer ",
    b"=",
    b"-",
    b"\xff",
    b"%",
    b'"\\',
]


@pytest.mark.parametrize("name", NAMES)
def test_headers(server, tokens, name):
    requests = []
    for value in VALUES:
        field = name.encode() + b": " + of_length(value, 60_000).strip() + b"\r\n"
        for target in (
            "/compute/v2.1/servers",
            "/identity/v3/auth/tokens",
            "/image/v2/images",
            "/network/v2.0/networks",
        ):
            token = "" if name in ("X-Auth-Token", "Authorization") else tokens["admin"]
            requests.append((f"{name} {value!r} {target}", request("GET", target, token, headers=field)))
    assert_quick(server, requests)


def test_many_headers(server, tokens):
    many = b"".join(b"h%d: %s\r\n" % (n, b"a" * 600) for n in range(94))
    same = b"Accept: a\r\n" * 94
    fields = {"many": many, "the same": same}
    assert_quick(
        server, [(n, request("GET", "/compute/v2.1/servers", tokens["admin"], headers=f)) for n, f in fields.items()]
    )


def test_access_rules(server, tokens):
    servers = "/compute/v2.1/servers/"
    paths = [servers + "a" * 2000, servers + "a" * 8000, servers + "a" * 400, servers + "%41" * 2000, servers]
    requests = [(path[:30], request("GET", path, tokens["narrow"])) for path in paths]
    assert_quick(server, requests)
    assert [statuses(server.exchange(sent)) for _, sent in requests[:4]] == [[404], [401], [404], [404]]


def test_a_head_in_single_bytes_costs_no_more_than_its_pieces(server):
    """64 KiB in 2,000 pieces: the loop is woken for each, and does next to nothing."""
    with server.connect() as connection:
        before = server.loop_s()
        connection.sendall(b"GET / HTTP/1.1\r\nA: ")
        for _ in range(2000):
            connection.send(b"a" * 32)
        assert server.loop_s() - before < 2000 * 0.0005
