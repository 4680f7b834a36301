"""Every route asked by every persona: what is sent, and how the answers are written down.

`requests/*.txt` say what is sent to routes that have a body or more than one form. A line is
`METHOD path[?query][@microversion] [(label)] [[parameter=thing ...]] [: body]`, `$name` is the id of a thing.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from string import Template
from typing import Any

from tests.api.client import Answer
from tests.api.policy_matrix.personas import PLACES, Persona
from tests.api.policy_matrix.rollback import Writes, rolled_back
from tests.api.policy_matrix.things import TAGGED
from tests.api.policy_matrix.world import World
from tests.api.security.everything import NOTHING
from tests.cloud import SimulatedCloud

from gureum.foundation.http.routes import PUBLIC, Api, Route, Runs

FOLDER = Path(__file__).parent
SERVICES = ("identity", "compute", "network", "image", "placement")
_LINE = re.compile(
    r"(?P<method>[A-Z]+) (?P<path>[^ ?@]+)(?P<query>\?[^ @]+)?(@(?P<version>[0-9.]+))?"
    r"( \((?P<label>[^)]+)\))?( \[(?P<use>[^]]+)\])?( : (?P<body>.+))?"
)
DATA = b"data"


@dataclass(frozen=True)
class Question:
    """One request to a route. `use` names the thing for a parameter of the path, or for `subject`, the token asked about."""

    api: Api
    route: Route
    query: str = ""
    version: str = ""
    label: str = ""
    use: tuple[tuple[str, str], ...] = ()
    body: str = ""

    @property
    def name(self) -> str:
        version = f"@{self.version}" if self.version else self._range()
        label = f" ({self.label})" if self.label else ""
        return f"{self.route.method} {self.route.path}{self.query}{version}{label}"

    def _range(self) -> str:
        since, until = self.route.since, self.route.until
        return ("@" if since or until else "") + "-".join(
            f"{version[0]}.{version[1]}" if version else ""
            for version in ((since, until) if until else (since,) if since else ())
        )

    @property
    def is_write(self) -> bool:
        return self.route.method not in ("GET", "HEAD")


def questions(cloud: SimulatedCloud, service: str) -> list[Question]:
    """Every route of a service in every form. Compute's v2 has v2.1's routes, which a test compares."""
    (api,) = (api for api in cloud.control.app.apis if api.name == service)
    forms = _forms(FOLDER / "requests" / f"{service}.txt")
    asked = []
    for route in api.routes:
        if route.policy == PUBLIC and route.method == "GET":
            continue
        if service == "compute" and route.path.startswith("/v2/"):
            continue
        own = forms.get((route.method, route.path), [])
        fitting = [form for form in own if not form["version"] or _serves(route, form["version"])]
        needs_body = route.body is not None or route.place() is Runs.STREAM
        if not any(not form["query"] and not form["label"] for form in fitting) and not (needs_body and fitting):
            fitting.insert(0, {"query": "", "version": "", "label": "", "use": (), "body": ""})
        for form in fitting:
            if needs_body and not form["body"] and not form["version"]:
                raise AssertionError(
                    f"{service}: say in requests/{service}.txt what {route.method} {route.path} is sent"
                )
            asked.append(Question(api, route, **form))
    known = {(route.method, route.path) for route in api.routes}
    assert forms.keys() <= known, f"no such routes: {sorted(forms.keys() - known)}"
    return asked


def _serves(route: Route, version: str) -> bool:
    major, minor = map(int, version.split("."))
    return (route.since or (0, 0)) <= (major, minor) <= (route.until or (9, 999))


def _forms(file: Path) -> dict[tuple[str, str], list[dict[str, Any]]]:
    forms: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for line in file.read_text().splitlines():
        if line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        assert match, f"{file.name}: {line}"
        form: dict[str, Any] = {name: match[name] or "" for name in ("query", "version", "label", "body")}
        form["use"] = tuple(pair.split("=") for pair in (match["use"] or "").split())
        forms.setdefault((match["method"], match["path"]), []).append(form)
    return forms


# -- filling ---------------------------------------------------------------------------------------------

SPECIAL = [  # the first line that fits the route and the parameter says which thing it is
    ("DELETE /v3/domains/{domain_id}$", "domain_id", "disabled_domain"),
    ("/cascade$", "project_id", "disabled_project"),
    ("DELETE /v3/regions/", "region_id", "free_region"),
    ("DELETE /v3/services/", "service_id", "free_service"),
    ("PUT /v3/projects/.*/tags/", "tag", "fresh_tag"),
    ("security_compliance", "domain_id", "default_domain"),
    ("security_compliance/", "option", "minimum"),
    ("/v2.0/extensions/", "alias", "network_extension"),
    ("/system/users/", "actor_id", "system_user"),
    ("/system/groups/", "actor_id", "system_group"),
    ("/users/{actor_id}", "actor_id", "user_id"),
    ("/groups/{actor_id}", "actor_id", "group_id"),
    ("/projects/{target_id}", "target_id", "project_id"),
    ("/domains/{target_id}", "target_id", "domain_id"),
    ("/system/", "role_id", "reader_role"),
    ("{actor_id}/roles|trusts/|access_tokens/", "role_id", "member_role"),
    ("application_credentials/", "credential_id", "application_credential"),
    ("DELETE .*/access_rules/", "rule_id", "free_access_rule"),
    ("access_rules/", "rule_id", "access_rule"),
    ("registered_limits/", "limit_id", "registered_limit"),
    ("OS-EP-FILTER", "group_id", "endpoint_group"),
    ("access_tokens/", "token_id", "access_token"),
    ("consumers/", "consumer_id", "oauth_consumer"),
    ("server-groups", "group_id", "server_group"),
    ("DELETE .*security-groups/{group_id}$", "group_id", "free_group"),
    ("security-groups", "group_id", "security_group"),
    ("security-group-rules", "rule_id", "security_rule"),
    ("DELETE /v2.0/networks/{network_id}$", "network_id", "free_network"),
    ("DELETE /v2.0/subnets/{subnet_id}$", "subnet_id", "free_subnet"),
    ("DELETE /v2.0/routers/{router_id}$", "router_id", "free_router"),
    ("add_router_interface", "router_id", "free_router"),
    ("os-keypairs", "name", "keypair"),
    ("os-services", "service_id", "compute_service"),
    ("os-extra_specs", "key", "spec"),
    ("os-interface", "port_id", "server_port"),
    ("resource_types/", "name", "type_name"),
    ("GET .*/file$", "image_id", "image_id"),
    ("/(file|stage|locations|import)$", "image_id", "queued_image"),
    ("reactivate", "image_id", "inactive_image"),
    ("/traits/|/resource_classes/", "name", "custom"),
]
_FIXED = {"network_extension": "router", "alias": "OS-EXT-AZ", "agent_id": NOTHING, "name": "default"}


def _thing(question: Question, parameter: str) -> str:
    for name, thing in question.use:
        if name == parameter:
            return thing
    route = f"{question.route.method} {question.route.path}"
    if parameter == "resource_id":
        return next(key for plural, key in TAGGED.items() if f"/{plural}/" in route)
    for pattern, name, thing in SPECIAL:
        if name == parameter and re.search(pattern.replace("{", r"\{").replace("}", r"\}"), route):
            return thing
    return parameter


@dataclass(frozen=True)
class Request:
    method: str
    url: str
    headers: dict[str, str]
    body: bytes


def request_of(question: Question, persona: Persona, ids: dict[str, str]) -> Request:
    """What the persona sends: its own ids are `own_user` and `own_token`."""
    token = persona.client.headers["X-Auth-Token"]
    known = {**_FIXED, **ids, "own_user": persona.user_id, "own_token": token}
    path = re.sub(r"\{(\w+)(:path)?\}", lambda match: known[_thing(question, match[1])], question.route.path)
    query = Template(question.query).substitute(known)
    headers = {"x-auth-token": token, **_version(question), "content-type": "application/json"}
    if (subject := dict(question.use).get("subject")) is not None:
        headers["x-subject-token"] = known[subject]
    body = Template(question.body).substitute(known).encode()
    if body == DATA:
        headers["content-type"] = "application/octet-stream"
    elif question.api.name == "image" and question.route.method == "PATCH":
        headers["content-type"] = "application/openstack-images-v2.1-json-patch"
    elif body:
        json.loads(body)
    return Request(question.route.method, question.api.prefix + path + query, headers, body)


def _version(question: Question) -> dict[str, str]:
    versions = question.api.versions
    if versions is None:
        return {}
    newest = min(question.route.until or versions.maximum, versions.maximum)
    version = question.version or f"{newest[0]}.{newest[1]}"
    return {"openstack-api-version": f"{question.api.name} {version}"}


# -- asking ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """A question with the request and the answer of every persona, and how many transactions wrote for them."""

    question: Question
    answers: list[tuple[Persona, Request, Answer]]
    writes: int


def ask(world: World, service: str, personas: Sequence[Persona] = (), **headers: str) -> list[Row]:
    """Ask everything of one service, and undo what each request wrote. `headers` are sent beside the usual ones."""
    asked = questions(world.cloud, service)
    extra = {name.replace("_", "-").lower(): value for name, value in headers.items()}

    async def run(writes: Writes) -> list[Row]:
        rows = []
        for question in asked:
            answers, before = [], writes.count
            for persona in personas or world.personas:
                request = request_of(question, persona, world.things.ids)
                sent = replace(request, headers={**request.headers, **extra})
                answers.append((persona, request, await send(world.cloud.control.app, sent)))
            rows.append(Row(question, answers, writes.count - before))
        return rows

    with rolled_back(world.cloud.control.database) as writes:
        return asyncio.run(run(writes))


async def send(app: Any, request: Request) -> Answer:
    path, _, query = request.url.partition("?")
    scope = {
        "type": "http",
        "method": request.method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in request.headers.items()],
    }
    messages = [{"type": "http.request", "body": request.body, "more_body": False}]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if not messages:
            await asyncio.Event().wait()
        return messages.pop()

    async def take(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, take)
    content = b"".join(message.get("body", b"") for message in sent[1:])
    return Answer(sent[0]["status"], {}, content)


# -- writing down ----------------------------------------------------------------------------------------

LEGEND = """\
# Every route as every persona, asked of the real handlers for what the project alpha-one of the domain alpha owns.
# A column is a token: its letters are the roles {r}eader, {m}ember, ma{n}ager, {a}dmin, {s}ervice in the place above.
# + done   ! passed the policy, refused for another reason   x 403   ? 404   1 401
# Written anew with GUREUM_GOLDEN=write; read the difference as the change of rights that it is.
""".replace("{", "(").replace("}", ")")


def mark(status: int) -> str:
    if 200 <= status < 400:
        return "+"
    return {401: "1", 403: "x", 404: "?"}.get(status, "!")


def written(rows: list[Row]) -> str:
    """The golden file: groups of marks, then the route."""
    head = [LEGEND]
    names = [place.name.split() for place in PLACES]
    for line in (0, 1):
        words = [name[line] if line < len(name) else "" for name in names]
        head.append(
            "# "
            + " ".join(word[:9].ljust(max(9, len(place.letters))) for word, place in zip(words, PLACES, strict=True))
        )
    head.append("# " + " ".join(place.letters.ljust(9) for place in PLACES))
    lines = []
    for row in rows:
        marks = {place.name: "" for place in PLACES}
        for persona, _, answer in row.answers:
            marks[persona.place.name] += mark(answer.status)
        lines.append(
            "  "
            + " ".join(text.ljust(9) for text in marks.values())
            + f" {row.question.name} | {row.question.route.policy}"
        )
    return "\n".join([*head, *lines]) + "\n"


def successes(rows: list[Row]) -> Iterator[tuple[Question, Persona, Request, Answer]]:
    for row in rows:
        for persona, request, answer in row.answers:
            if 200 <= answer.status < 400:
                yield row.question, persona, request, answer
