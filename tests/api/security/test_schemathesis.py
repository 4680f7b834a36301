"""Schemathesis over the OpenAPI documents: bodies and queries that fit the schema, and such that do not, on real things.

What no answer may do: fail with 5xx, have a status that the document does not name, an error in another dialect than the
API's, or write when it refuses. The examples are the same in every run: their number bounds the time, not a clock.
Faults are collected, one of each kind for an operation, and shown at the end with the request that brought them.
"""

from __future__ import annotations

import contextlib
import json
import re
import warnings

import jsonschema
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from tests.api.security.everything import NOTHING, one_of_each
from tests.cloud import SimulatedCloud

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import schemathesis
    from schemathesis import GenerationMode

from gureum.foundation.http.openapi import document

schemathesis.serializer.alias("application/openstack-images-v2.1-json-patch", "application/json")

OF_BODIES, OF_QUERIES, OF_PATHS, UNFIT = 12, 6, 3, 4
"""Examples of an operation: of one with a body, with a query, with neither; and of bodies that do not fit."""
RUNS = (
    *(("identity", None), ("image", None), ("network", None), ("placement", (1, 39)), ("placement", (1, 0))),
    *(("compute", (2, 96)), ("compute", (2, 1))),
    *(("compute", (2, 26)), ("compute", (2, 56)), ("compute", (2, 79))),
    *(("placement", (1, 12)), ("placement", (1, 28))),
)
PASSES = {"image": "PATCH /v2/images/{image_id}"}
"""Operations of which some generated bodies must be taken: their documents describe what fits."""
ORDER = ("get", "head", "post", "put", "patch", "delete")
SAID_BY_THE_EDGE = {404, 405}
OWN_DIALECT = {"POST /v3/OS-OAUTH2/token"}
"""RFC 6749, section 5.2, says how it refuses."""
COUNTS_FAILURES = {"POST /v3/auth/tokens", "POST /v3/users/{user_id}/password"}
"""A wrong secret is counted towards its user's lock-out: a refusal that writes."""


@pytest.fixture
def fuzzed(tmp_path):
    """A cloud of its own for each run, for anything may become of it."""
    cloud = SimulatedCloud(tmp_path, hosts=2)
    yield cloud
    cloud.close()


@pytest.fixture
def known(fuzzed):
    """Ids of things by the names of path parameters; what the cloud itself stands on is spared, others are asked for."""
    things, admin, base = one_of_each(fuzzed), fuzzed.client("admin"), "/identity/v3"

    def new(noun, **fields):
        return admin.post(f"{base}/{noun}s", {noun: fields}).json()[noun]["id"]

    spare = {
        "domain_id": new("domain", name="spare"),
        "role_id": new("role", name="spare"),
        "implied_id": new("role", name="other"),
        "region_id": new("region", id="spare"),
        "user_id": new("user", name="spare", password="x"),
        "project_id": new("project", name="spare"),
        "service_id": new("service", name="spare", type="spare"),
        "identity group_id": new("group", name="spare"),
        "placement name": "CUSTOM_SPARE",
    }
    endpoint = {"service_id": spare["service_id"], "interface": "public", "url": "http://spare"}
    spare |= {"endpoint_id": new("endpoint", **endpoint)}
    spare |= {"actor_id": spare["user_id"], "target_id": spare["project_id"], "tenant_id": spare["project_id"]}
    return {**things, **spare}


@pytest.mark.parametrize(
    ("name", "version"), RUNS, ids=lambda one: one if isinstance(one, str) else str(one and one[1])
)
def test_answers_are_as_documented(fuzzed, known, name, version):
    api = next(api for api in fuzzed.control.app.apis if api.name == name)
    found = document(api, {}, version)
    headers = {} if version is None else {"OpenStack_API_Version": f"{name} {version[0]}.{version[1]}"}
    judge = Judge(fuzzed, api, found, headers, known)
    operations = [result.ok() for result in schemathesis.openapi.from_dict(found).get_all_operations()]
    for operation in sorted(operations, key=lambda one: ORDER.index(one.method)):
        judge.ask(operation, elder=api.versions is not None and version != api.versions.maximum)
    assert not judge.faults, f"{len(judge.faults)} faults:\n" + "\n".join(map(str, judge.faults.values()))
    assert judge.asked > 20
    assert judge.done > judge.asked / 20, f"only {judge.done} of {judge.asked} succeed: that proves little"
    assert PASSES.get(name, "") in {"", *judge.passed}, "no generated body fits"


class Judge:
    """Sends generated requests and keeps the first of each kind of fault."""

    def __init__(self, cloud, api, found, headers, known):
        self.cloud, self.api, self.found, self.headers, self.known = cloud, api, found, headers, known
        self.clients = [cloud.client("admin"), cloud.client("admin"), cloud.client("demo")]
        self.faults, self.asked, self.done, self.passed = {}, 0, 0, set()
        self.errors = {
            name: jsonschema.Draft202012Validator(answer["content"]["application/json"]["schema"])
            for name, answer in found["components"]["responses"].items()
        }

    def ask(self, operation, *, elder):
        told = self.found["paths"][operation.path][operation.method]
        has_body = "requestBody" in told
        if elder and not has_body:
            return
        queried = any(one["in"] == "query" for one in told["parameters"])
        fitting = OF_BODIES if has_body else OF_QUERIES if queried else OF_PATHS
        self.generate(
            told, operation.as_strategy(generation_mode=GenerationMode.POSITIVE), fitting // (2 if elder else 1)
        )
        if has_body and not elder:
            self.generate(told, operation.as_strategy(generation_mode=GenerationMode.NEGATIVE), UNFIT)

    def generate(self, told, strategy, examples):
        @settings(
            max_examples=examples,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(strategy, st.sampled_from(self.clients), st.randoms(use_true_random=False))
        def send(case, client, chance):
            self.send(told, case, client, chance)

        with contextlib.suppress(Unsatisfiable):  # when anything fits, nothing does not
            send()

    def send(self, told, case, client, chance):
        names = {"resource_id": self.tagged(case.operation.path)}
        path = re.sub(r"\{(\w+)\}", lambda match: self.thing(match[1], case, names), case.operation.path)
        query = "&".join(
            f"{quoted(key)}={quoted(one)}" for key, value in (case.query or {}).items() for one in several(value)
        )
        body = case.body if type(case.body).__name__ != "NotSet" else None
        raw = body if isinstance(body, bytes) else b"" if body is None else encoded(self.real(body, chance))
        headers = (
            {**self.headers, "X_Subject_Token": client.headers["X-Auth-Token"]}
            if "/auth/" in path
            else {**self.headers}
        )
        if "requestBody" in told:
            headers["content_type"] = next(iter(told["requestBody"]["content"]))
        commits = self.cloud.control.database.counters.commits
        url = self.api.prefix + path + (f"?{query}" if query else "")
        answer = client.request(case.method, url, raw=raw, **headers)
        self.asked += 1
        wrote = self.cloud.control.database.counters.commits != commits
        if fault := self.fault(told, answer, wrote):
            shown = raw[:400].decode(errors="replace")
            self.faults.setdefault(
                (told["operationId"], fault),
                (fault, case.method, url[:300], shown, answer.status, answer.content[:300]),
            )

    def thing(self, name, case, names):
        """An id that is there, two times of three."""
        generated = str((case.path_parameters or {}).get(name, "x"))
        real = str(names.get(name) or self.known.get(f"{self.api.name} {name}") or self.known.get(name, NOTHING))
        return generated.replace("/", "") or "x" if len(generated) % 3 == 0 else real

    def tagged(self, path):
        noun = path.split("/")[2] if path.count("/") > 2 else ""
        return self.known.get({"security-groups": "group_id"}.get(noun, noun.rstrip("s") + "_id"))

    def real(self, body, chance):
        """The body, with ids of things that are there for two of three of those that it names."""
        if isinstance(body, dict):
            return {key: self.real_field(str(key), value, chance) for key, value in body.items()}
        return [self.real(one, chance) for one in body] if isinstance(body, list) else body

    def real_field(self, key, value, chance):
        noun = ALSO.get(key, key)
        if key == "resource_provider_generation" and chance.random() < 0.67:
            return (
                self.clients[0].get(f"/placement/resource_providers/{self.known['uuid']}").json().get("generation", 0)
            )
        if isinstance(value, str) and noun in self.known and chance.random() < 0.67:
            return self.known[noun]
        return self.real(value, chance)

    def fault(self, told, answer, wrote):
        if answer.status >= 500 and str(answer.status) not in told["responses"]:
            return "failed"
        if str(answer.status) not in told["responses"] and answer.status not in SAID_BY_THE_EDGE:
            return f"undocumented {answer.status}"
        self.done += answer.status < 400
        if answer.status < 400:
            self.passed.add(told["operationId"])
        if answer.status < 400 or told["operationId"].startswith("HEAD") or told["operationId"] in OWN_DIALECT:
            return None
        if wrote and not (answer.status == 401 and told["operationId"] in COUNTS_FAILURES):
            return "wrote though it refused"
        validator = self.errors.get(f"E{answer.status}")
        try:
            body = json.loads(answer.content)
        except ValueError:
            return "an error that is no JSON"
        return "another dialect" if validator and not validator.is_valid(body) else None


ALSO = {
    "uuid": "network_id", "port": "port_id", "imageRef": "image_id", "net_id": "network_id", "networkId": "network_id",
    "floating_network_id": "network_id", "flavorRef": "flavor_id", "key_name": "name", "security_group_id": "group_id",
    "remote_group_id": "group_id", "default_project_id": "project_id", "member": "project_id", "tenant": "project_id",
    "group": "server_group", "owner": "project_id", "security_group": "group_id",
}  # fmt: skip


def encoded(body):
    return json.dumps(body, default=str).encode("utf-8", "surrogatepass")


def several(value):
    return value if isinstance(value, list) else [value]


def quoted(value):
    from urllib.parse import quote

    return quote(str(value).encode("utf-8", "surrogatepass"), safe="")
