"""Compute at every microversion from 2.1 to 2.96. Source: compute API reference, "REST API version history"."""

from __future__ import annotations

import itertools

import pytest
from tests.api.microversions.recording import Recorder, check
from tests.cloud import SimulatedCloud

from gureum.foundation import clock

V21 = "/compute/v2.1"
VERSIONS = [(2, minor) for minor in range(1, 97)]
CHANGED = (
    2,
    3,
    5,
    9,
    10,
    19,
    26,
    32,
    33,
    37,
    38,
    42,
    43,
    44,
    47,
    52,
    54,
    55,
    57,
    63,
    66,
    67,
    71,
    73,
    74,
    75,
    90,
    94,
    96,
)
FEW = sorted({(2, minor) for changed in CHANGED for minor in (changed - 1, changed)})
"""Before and after each change that concerns servers, for what takes long."""
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB6jA+Z8OdLjM+T7ywSCpu7UU3W7tPBNDhT4S1uLCJcN me"
FILES = [{"path": "/a", "contents": "YQ=="}]


class World:
    """A cloud with one server that has a port, and requests at any version by its administrator and its owner."""

    def __init__(self, folder, moving):
        self.cloud = SimulatedCloud(folder, hosts=1)
        self.admin, self.demo = self.cloud.client("admin"), self.cloud.client("demo")
        token = self.demo.get("/identity/v3/auth/tokens", X_Subject_Token=self.demo.headers["X-Auth-Token"]).json()[
            "token"
        ]
        self.project, self.user = token["project"]["id"], token["user"]["id"]
        self.image = self.cloud.image()
        self.network = self.cloud.network(self.demo, "net", "10.0.0.0/20")
        self.numbers = itertools.count()
        unlimited = {"quota_set": {"instances": -1, "cores": -1, "ram": -1, "key_pairs": -1, "server_groups": -1}}
        mine = self.admin.get("/identity/v3/auth/projects").json()["projects"][0]["id"]
        for project in (self.project, mine):
            assert self.admin.put(f"{V21}/os-quota-sets/{project}", unlimited).status == 200
        self.demo.post(f"{V21}/os-keypairs", {"keypair": {"name": "key", "public_key": PUBLIC_KEY}})
        self.group = self.demo.post(
            f"{V21}/os-server-groups", {"server_group": {"name": "group", "policies": ["affinity"]}}
        ).json()["server_group"]["id"]
        body = {
            "name": "one",
            "flavorRef": "42",
            "imageRef": self.image,
            "networks": [{"uuid": self.network}],
            "key_name": "key",
            "metadata": {"a": "b"},
        }
        hints = {"os:scheduler_hints": {"group": self.group}}
        self.server = self.demo.post(f"{V21}/servers", {"server": body, **hints}).json()["server"]["id"]
        self.cloud.settle()
        moving.advance(600)
        self.cloud.beat()
        assert self.get(f"/servers/{self.server}")((2, 1)).json()["server"]["status"] == "ACTIVE"
        self.port = self.demo.get(f"/network/v2.0/ports?device_id={self.server}").json()["ports"][0]["id"]

    def recorder(self, names=None, versions=VERSIONS):
        known = {
            self.server: "<server>", self.image: "<image>", self.network: "<network>", self.port: "<port>",
            self.project: "<project>", self.user: "<user>", self.group: "<group>", **(names or {}),
        }  # fmt: skip
        return Recorder(versions, known)

    def get(self, path, who="admin"):
        return lambda version: self.send("GET", path, None, version, who)

    def send(self, method, path, body, version, who="admin"):
        client = self.admin if who == "admin" else self.demo
        return client.request(method, V21 + path, body, OpenStack_API_Version=f"compute {version[0]}.{version[1]}")

    def ask(self, method, path, body=None, who="demo", after=None):
        """A request for each version; `after(answer)` puts things back."""

        def sent(version):
            made = body(next(self.numbers)) if callable(body) else body
            found = self.send(method, path, made, version, who)
            if after is not None and found.status < 400:
                after(found)
            return found

        return sent

    def gone(self, path, *keys):
        """Delete what an answer tells of."""

        def delete(found):
            value = found.json()
            for key in keys:
                value = value[key]
            assert self.send("DELETE", f"{path}/{value}", None, (2, 96)).status < 300

        return delete


@pytest.fixture
def world(tmp_path):
    """One for each test: what a test makes shows in the lists and counts of no other."""
    moving = clock.VirtualClock()
    with clock.use(moving):
        world = World(tmp_path, moving)
        yield world
        world.cloud.close()


def new_server(world, who="demo", **fields):
    """A new server; an empty list of networks stands for none, in the words of each version."""
    body = {"server": {"name": "new", "flavorRef": "42", "imageRef": world.image, **fields}}
    gone = world.gone("/servers", "server", "id")
    if fields.get("networks") != [] or len(fields) == 1:
        return world.ask("POST", "/servers", body, who, gone)
    elder = {"server": {**body["server"], "networks": []}}
    newer = {"server": {**body["server"], "networks": "none"}}
    return lambda version: world.ask("POST", "/servers", newer if version >= (2, 37) else elder, who, gone)(version)


def test_servers(world):
    told, one = world.recorder(), f"/servers/{world.server}"
    told.answer("GET /servers/{id} as an administrator", world.get(one))
    told.answer("GET /servers/{id} as its owner", world.get(one, "demo"))
    told.answer("GET /servers", world.get("/servers", "demo"))
    told.answer("GET /servers/detail as its owner", world.get("/servers/detail", "demo"))
    told.answer("PUT /servers/{id}", world.ask("PUT", one, {"server": {"name": "one"}}, "admin"))
    told.answer("POST /servers without networks", new_server(world))
    check("compute/servers", told.text())


def test_requests_for_new_servers(world):
    told = world.recorder()
    for what, value in (("none", "none"), ("one", [{"uuid": world.network}]), ("an empty list", [])):
        told.request(f"POST /servers, networks: {what}", new_server(world, networks=value), 37)
    tagged = [{"uuid": world.network, "tag": "nic"}]
    told.request("POST /servers, networks with a tag", new_server(world, networks=tagged), 32, 33, 37, 42)
    told.request("POST /servers, description, without networks", new_server(world, description="d"), 19, 37)
    told.request("POST /servers, personality, without networks", new_server(world, personality=FILES), 37, 57)
    for field, value, since in (
        ("description", "d", 19),
        ("tags", ["t"], 52),
        ("trusted_image_certificates", ["c"], 63),
        ("hostname", "name", 90),
        ("hostname", "name.example.org", 94),
        ("personality", FILES, 57),
        ("OS-DCF:diskConfig", "AUTO", 37),
        ("host", "host1", 74),
        ("hypervisor_hostname", "host1", 74),
    ):
        who = "admin" if value == "host1" else "demo"
        told.request(
            f"POST /servers, {field}: {value}", new_server(world, who, networks=[], **{field: value}), since, 90
        )
    check("compute/servers-requests", told.text())


def test_changes_of_servers(world):
    told, one = world.recorder(), f"/servers/{world.server}"
    for field, value, since in (("description", None, 19), ("hostname", "one", 90), ("hostname", "a.b", 94)):
        told.request(
            f"PUT /servers/{{id}}, {field}: {value}", world.ask("PUT", one, {"server": {field: value}}), since, 90
        )
    for field, value, since in (
        ("description", None, 19),
        ("key_name", "key", 54),
        ("user_data", None, 57),
        ("hostname", "one", 90),
        ("hostname", "a.b", 94),
        ("trusted_image_certificates", None, 63),
        ("personality", [], 57),
    ):
        told.request(f"rebuild, {field}: {value}", rebuild(world, **{field: value}), since, 90)
    locked = {"lock": {"locked_reason": "r"}}
    unlock = lambda _: world.send("POST", f"{one}/action", {"unlock": None}, (2, 1))  # noqa: E731
    told.request("lock, locked_reason", world.ask("POST", f"{one}/action", locked, after=unlock), 73)
    for action in ({"addFixedIp": {"networkId": world.port}}, {"removeFixedIp": {"address": "192.0.2.1"}}):
        told.request(next(iter(action)), world.ask("POST", f"{one}/action", action), 44)
    check("compute/servers-changes", told.text())


def test_rebuilt_servers(world):
    told = world.recorder(versions=FEW)
    told.answer("rebuild", rebuild(world))
    check("compute/servers-rebuilt", told.text())


def test_lists_of_servers(world):
    told = world.recorder()
    for query in (
        "ip6=2001:db8::1",
        "tags=t",
        "changes-before=2000-01-01T00:00:00Z",
        "locked=true",
        "limit=1",
        "limit=0",
    ):
        told.answer(f"GET /servers?{query}", world.get(f"/servers?{query}", "demo"))
    for query in ("status=bogus", "bogus=1", "sort_key=bogus"):
        for path in ("/servers", "/servers/detail"):
            told.request(f"GET {path}?{query}", world.get(f"{path}?{query}", "demo"))
    told.answer("GET /servers/{id}/tags", world.get(f"/servers/{world.server}/tags"))
    check("compute/servers-lists", told.text())


def rebuild(world, **fields):
    def done(_):
        world.cloud.settle()

    return world.ask(
        "POST", f"/servers/{world.server}/action", {"rebuild": {"imageRef": world.image, **fields}}, after=done
    )


def test_instance_actions(world):
    told, one = world.recorder(), f"/servers/{world.server}/os-instance-actions"
    actions = world.get(one)((2, 1)).json()["instanceActions"]
    made = next(action for action in actions if action["action"] == "create")["request_id"]
    told.answer("GET .../os-instance-actions/{id} as an administrator", world.get(f"{one}/{made}"))
    told.answer("GET .../os-instance-actions/{id} as the owner", world.get(f"{one}/{made}", "demo"))
    for query in ("limit=1", "changes-since=2000-01-01T00:00:00Z", "changes-before=2100-01-01T00:00:00Z", "bogus=1"):
        told.request(f"GET .../os-instance-actions?{query}", world.get(f"{one}?{query}", "demo"))
    check("compute/instance-actions", told.text())


def test_interfaces(world):
    told, one = world.recorder(), f"/servers/{world.server}/os-interface"
    told.answer("GET .../os-interface", world.get(one))
    told.answer("GET .../os-interface/{port}", world.get(f"{one}/{world.port}"))
    told.request(
        "POST .../os-interface, tag",
        world.ask("POST", one, {"interfaceAttachment": {"net_id": world.port, "tag": "t"}}),
    )
    check("compute/interfaces", told.text())


def test_flavors(world):
    told = world.recorder()
    one = {"flavor": {"name": "f", "ram": 64, "vcpus": 1, "disk": 0, "id": "f"}}
    assert world.send("POST", "/flavors", one, (2, 1)).status == 200
    told.answer("GET /flavors/{id} as an administrator", world.get("/flavors/f"))
    told.answer("GET /flavors/{id} as a member", world.get("/flavors/f", "demo"))
    told.answer("GET /flavors?limit=1", world.get("/flavors?limit=1"))
    told.answer("GET /flavors/detail?limit=1", world.get("/flavors/detail?limit=1"))
    body = {"flavor": {"name": "g", "ram": 64, "vcpus": 1, "disk": 0, "id": "g"}}
    told.answer("POST /flavors", world.ask("POST", "/flavors", body, "admin", world.gone("/flavors", "flavor", "id")))
    described = {"flavor": {**body["flavor"], "description": "d"}}
    told.request(
        "POST /flavors, description",
        world.ask("POST", "/flavors", described, "admin", world.gone("/flavors", "flavor", "id")),
    )
    told.answer("PUT /flavors/{id}", world.ask("PUT", "/flavors/f", {"flavor": {"description": "d"}}, "admin"))
    told.request(
        "addTenantAccess of a public flavor",
        world.ask(
            "POST",
            "/flavors/f/action",
            {"addTenantAccess": {"tenant": world.project}},
            "admin",
            after=lambda _: world.send(
                "POST", "/flavors/f/action", {"removeTenantAccess": {"tenant": world.project}}, (2, 1)
            ),
        ),
    )
    for query in ("bogus=1", "is_public=bogus", "sort_key=bogus"):
        told.request(f"GET /flavors?{query}", world.get(f"/flavors?{query}"))
    check("compute/flavors", told.text())


def test_keypairs(world):
    told, at = world.recorder(), "/os-keypairs"
    gone = lambda found: world.demo.delete(f"{V21}{at}/{found.json()['keypair']['name']}")  # noqa: E731
    told.answer("GET /os-keypairs", world.get(at, "demo"))
    told.answer("GET /os-keypairs/{name}", world.get(f"{at}/key", "demo"))
    told.answer(
        "POST /os-keypairs, imported",
        world.ask("POST", at, {"keypair": {"name": "k", "public_key": PUBLIC_KEY}}, after=gone),
    )
    made = world.recorder(versions=[(2, 1), (2, 2), (2, 91), (2, 92), (2, 96)])
    made.answer("POST /os-keypairs, made", world.ask("POST", at, {"keypair": {"name": "k"}}, after=gone))
    for field, value in (("type", "ssh"), ("user_id", world.user), ("name", "a@b.c")):
        body = {"keypair": {"name": "k", "public_key": PUBLIC_KEY, field: value}}
        told.request(f"POST /os-keypairs, {field}", world.ask("POST", at, body, after=gone))
    told.request(
        "DELETE /os-keypairs/{name}",
        lambda version: (
            world.send("POST", at, {"keypair": {"name": "k", "public_key": PUBLIC_KEY}}, (2, 1), "demo"),
            world.send("DELETE", f"{at}/k", None, version, "demo"),
        )[1],
    )
    for query in ("limit=1", "marker=bogus", f"user_id={world.user}", "bogus=1"):
        told.request(f"GET /os-keypairs?{query.replace(world.user, '{user}')}", world.get(f"{at}?{query}", "admin"))
    check("compute/keypairs", told.text() + "\n" + made.text())


def test_server_groups(world):
    told, at = world.recorder(), "/os-server-groups"
    gone = lambda found: world.demo.delete(f"{V21}{at}/{found.json()['server_group']['id']}")  # noqa: E731
    told.answer("GET /os-server-groups/{id}", world.get(f"{at}/{world.group}", "demo"))
    told.answer("GET /os-server-groups", world.get(at, "demo"))
    for fields in (
        {"policies": ["affinity"]}, {"policies": ["soft-affinity"]}, {"policies": []}, {"policy": "affinity"},
        {"policy": "soft-anti-affinity"}, {"policy": "anti-affinity", "rules": {"max_server_per_host": 3}},
    ):  # fmt: skip
        told.request(
            f"POST /os-server-groups, {fields}",
            world.ask("POST", at, {"server_group": {"name": "g", **fields}}, after=gone),
        )
    told.answer(
        "POST /os-server-groups with policies or policy",
        lambda version: world.ask(
            "POST",
            at,
            {
                "server_group": {
                    "name": "g",
                    **({"policy": "affinity"} if version >= (2, 64) else {"policies": ["affinity"]}),
                }
            },
            after=gone,
        )(version),
    )
    told.request("GET /os-server-groups?bogus=1", world.get(f"{at}?bogus=1"))
    check("compute/server-groups", told.text())


def test_hypervisors(world):
    told, at = world.recorder(), "/os-hypervisors"
    uuid = world.get(at)((2, 96)).json()["hypervisors"][0]["id"]
    number = world.get(at)((2, 1)).json()["hypervisors"][0]["id"]
    service = world.get(f"{at}/detail")((2, 1)).json()["hypervisors"][0]["service"]["id"]
    told.names |= {uuid: "<hypervisor>", str(number): "<number>", str(service): "<service number>"}
    id_of = lambda version: uuid if version >= (2, 53) else number  # noqa: E731
    told.answer("GET /os-hypervisors", world.get(at))
    told.answer("GET /os-hypervisors/detail", world.get(f"{at}/detail"))
    told.answer("GET /os-hypervisors/{id}", lambda version: world.get(f"{at}/{id_of(version)}")(version))
    told.answer(
        "GET /os-hypervisors/{id}?with_servers=true",
        lambda version: world.get(f"{at}/{id_of(version)}?with_servers=true")(version),
    )
    told.answer("GET /os-hypervisors/statistics", world.get(f"{at}/statistics"))
    told.answer("GET /os-hypervisors/{name}/search", world.get(f"{at}/host/search"))
    told.answer("GET /os-hypervisors/{name}/servers", world.get(f"{at}/host/servers"))
    told.request("GET /os-hypervisors/{id}/uptime", lambda version: world.get(f"{at}/{id_of(version)}/uptime")(version))
    for query in ("limit=1", "hypervisor_hostname_pattern=none", "with_servers=true", "bogus=1"):
        told.request(f"GET /os-hypervisors?{query}", world.get(f"{at}?{query}"))
    told.request("GET /os-hypervisors/{number}", world.get(f"{at}/{number}"))
    told.request("GET /os-hypervisors/{uuid}", world.get(f"{at}/{uuid}"))
    check("compute/hypervisors", told.text())


def test_services(world):
    told, at = world.recorder(), "/os-services"
    services = world.get(at)((2, 96)).json()["services"]
    uuid = next(one["id"] for one in services if one["binary"] == "nova-compute")
    number = world.get(f"{at}?binary=nova-compute")((2, 1)).json()["services"][0]["id"]
    told.names |= {uuid: "<service>", str(number): "<number>"}
    named = {"host": "host1", "binary": "nova-compute"}
    told.answer("GET /os-services?binary=nova-compute", world.get(f"{at}?binary=nova-compute"))
    told.answer("PUT /os-services/disable", world.ask("PUT", f"{at}/disable", named, "admin"))
    told.answer(
        "PUT /os-services/disable-log-reason",
        world.ask("PUT", f"{at}/disable-log-reason", {**named, "disabled_reason": "r"}, "admin"),
    )
    told.answer("PUT /os-services/enable", world.ask("PUT", f"{at}/enable", named, "admin"))
    told.answer(
        "PUT /os-services/force-down", world.ask("PUT", f"{at}/force-down", {**named, "forced_down": False}, "admin")
    )
    told.answer("PUT /os-services/{id}", world.ask("PUT", f"{at}/{uuid}", {"status": "enabled"}, "admin"))
    told.request("GET /os-services?bogus=1", world.get(f"{at}?bogus=1"))
    told.request("DELETE /os-services/1", world.ask("DELETE", f"{at}/0", None, "admin"))
    check("compute/services", told.text())


def test_aggregates(world):
    made = world.send("POST", "/os-aggregates", {"aggregate": {"name": "a", "availability_zone": "z"}}, (2, 96)).json()
    one, at = made["aggregate"]["id"], "/os-aggregates"
    told = world.recorder({made["aggregate"]["uuid"]: "<aggregate>"})
    told.answer("GET /os-aggregates", world.get(at))
    told.answer("GET /os-aggregates/{id}", world.get(f"{at}/{one}"))
    told.answer("PUT /os-aggregates/{id}", world.ask("PUT", f"{at}/{one}", {"aggregate": {"name": "a"}}, "admin"))
    told.answer(
        "POST /os-aggregates",
        lambda version: without_number(
            world.ask("POST", at, {"aggregate": {"name": "b"}}, "admin", world.gone(at, "aggregate", "id"))(version)
        ),
    )
    told.request(
        "POST /os-aggregates/{id}/images",
        world.ask("POST", f"{at}/{one}/images", {"cache": [{"id": world.image}]}, "admin"),
    )
    assert world.send("DELETE", f"{at}/{one}", None, (2, 1)).status == 200
    check("compute/aggregates", told.text())


def without_number(found):
    body = found.json()
    body["aggregate"].pop("id")
    found.json = lambda: body
    return found


def test_quotas_and_limits(world):
    told, one = world.recorder(), f"/os-quota-sets/{world.project}"
    told.answer("GET /limits", world.get("/limits", "demo"))
    told.answer("GET /os-quota-sets/{project}", world.get(one))
    told.answer("GET /os-quota-sets/{project}/defaults", world.get(f"{one}/defaults"))
    told.answer("GET /os-quota-sets/{project}/detail", world.get(f"{one}/detail"))
    told.answer("PUT /os-quota-sets/{project}", world.ask("PUT", one, {"quota_set": {"instances": -1}}, "admin"))
    told.answer("GET /os-quota-class-sets/default", world.get("/os-quota-class-sets/default"))
    told.answer(
        "PUT /os-quota-class-sets/default",
        world.ask("PUT", "/os-quota-class-sets/default", {"quota_class_set": {"cores": 20}}, "admin"),
    )
    for field in ("floating_ips", "injected_files", "server_groups", "metadata_items"):
        told.request(
            f"PUT /os-quota-sets/{{project}}, {field}", world.ask("PUT", one, {"quota_set": {field: -1}}, "admin")
        )
        told.request(
            f"PUT /os-quota-class-sets/default, {field}",
            world.ask("PUT", "/os-quota-class-sets/default", {"quota_class_set": {field: -1}}, "admin"),
        )
    for path in ("/limits?bogus=1", f"{one}?bogus=1"):
        told.request(f"GET {path.replace(world.project, '{project}')}", world.get(path))
    world.send(
        "PUT",
        "/os-quota-class-sets/default",
        {"quota_class_set": {"server_groups": 10, "metadata_items": 128}},
        (2, 96),
    )
    check("compute/quotas-and-limits", told.text())


def test_usage(world):
    told, at = world.recorder(), "/os-simple-tenant-usage"
    told.answer("GET /os-simple-tenant-usage?limit=1", world.get(f"{at}?limit=1"))
    told.request("GET /os-simple-tenant-usage?bogus=1", world.get(f"{at}?bogus=1"))
    told.answer("GET /os-simple-tenant-usage/{project}?limit=1", world.get(f"{at}/{world.project}?limit=1"))
    check("compute/usage", told.text())


def test_what_only_stands_for_the_network_service(world):
    told = world.recorder()
    for path in (
        "/os-security-groups",
        "/os-networks",
        "/os-floating-ips",
        "/os-floating-ip-pools",
        "/images",
        "/os-hosts",
    ):
        told.request(f"GET {path}", world.get(path, "demo"))
    told.request("GET /servers/{id}/os-virtual-interfaces", world.get(f"/servers/{world.server}/os-virtual-interfaces"))
    told.answer("GET /os-security-groups", world.get("/os-security-groups", "demo"))
    check("compute/proxies", told.text())
