"""Every route of a whole simulated cloud, and one of each noun to ask it for."""

from __future__ import annotations

import re

NOTHING = "00000000-0000-0000-0000-000000000000"
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB6jA+Z8OdLjM+T7ywSCpu7UU3W7tPBNDhT4S1uLCJcN me"


def one_of_each(cloud):
    """One of each noun of the project `demo`: path parameter -> id; made through the API."""
    demo = cloud.client("demo")
    admin = cloud.client("admin")

    def new(client, url, body, *keys):
        answer = client.post(url, body, OpenStack_API_Version="compute 2.79")
        assert answer.status in (200, 201, 202), (url, answer.content)
        found = answer.json()
        for key in keys:
            found = found[key]
        return found

    image = cloud.image()
    network = cloud.network(demo)
    subnet = demo.get(f"/network/v2.0/subnets?network_id={network}").json()["subnets"][0]["id"]
    net = "/network/v2.0"
    public = next(row["id"] for row in demo.get(f"{net}/networks").json()["networks"] if row["router:external"])
    router = new(
        demo,
        f"{net}/routers",
        {"router": {"name": "r", "external_gateway_info": {"network_id": public}}},
        "router",
        "id",
    )
    assert demo.put(f"{net}/routers/{router}/add_router_interface", {"subnet_id": subnet}).status == 200
    group = new(demo, f"{net}/security-groups", {"security_group": {"name": "g"}}, "security_group", "id")
    port = new(demo, f"{net}/ports", {"port": {"network_id": network}}, "port", "id")
    server = cloud.server(demo, imageRef=image, networks=[{"port": port}], tags=["tag"], metadata={"key": "v"})
    cloud.settle()
    token = demo.get("/identity/v3/auth/tokens", X_Subject_Token=demo.headers["X-Auth-Token"]).json()["token"]
    compute = "/compute/v2.1"
    found = {
        "server_id": server,
        "port_id": port,
        "network_id": network,
        "subnet_id": subnet,
        "router_id": router,
        "group_id": group,
        "rule_id": demo.get(f"{net}/security-group-rules").json()["security_group_rules"][0]["id"],
        "floatingip_id": new(demo, f"{net}/floatingips", {"floatingip": {"floating_network_id": public}}, "floatingip", "id"),
        "image_id": new(demo, "/image/v2/images", {"name": "own", "disk_format": "raw", "container_format": "bare"}, "id"),
        "name": new(demo, f"{compute}/os-keypairs", {"keypair": {"name": "k", "public_key": PUBLIC_KEY}}, "keypair", "name"),
        "server_group": new(demo, f"{compute}/os-server-groups", {"server_group": {"name": "sg", "policy": "affinity"}}, "server_group", "id"),
        "aggregate_id": new(admin, f"{compute}/os-aggregates", {"aggregate": {"name": "a"}}, "aggregate", "id"),
        "user_id": token["user"]["id"],
        "project_id": token["project"]["id"],
        "domain_id": "default",
        "region_id": "RegionOne",
        "flavor_id": "42",
        "tag": "tag",
        "key": "key",
        "network": "net",
        "consumer_id": server,
        "uuid": admin.get("/placement/resource_providers").json()["resource_providers"][0]["uuid"],
        "resource_class": "VCPU",
        "role_id": admin.get("/identity/v3/roles").json()["roles"][0]["id"],
        "credential_id": new(
            demo, f"/identity/v3/users/{token['user']['id']}/application_credentials",
            {"application_credential": {"name": "robot"}}, "application_credential", "id",
        ),
    }  # fmt: skip
    found["resource_id"] = found["target_id"] = found["project_id"]
    found["actor_id"] = found["user_id"]
    return found


def routes(cloud, *methods):
    for api in cloud.control.app.apis:
        for route in api.routes:
            if route.method in methods:
                yield api, route


def url_of(api, route, things):
    path = route.path
    if "/{resource_id}/tags" in path:
        kind = path.split("/")[-4] if path.endswith("{tag}") else path.split("/")[-3]
        noun = {"security-groups": "group_id"}.get(kind, kind.rstrip("s") + "_id")
        path = path.replace("{resource_id}", things.get(noun, NOTHING))
    if "server-groups" in path:
        path = path.replace("{group_id}", things["server_group"])
    return api.prefix + re.sub(r"\{(\w+)(:path)?\}", lambda match: str(things.get(match[1], NOTHING)), path)


def versions_of(api, route):
    """The oldest and the newest version that the route answers in, as headers."""
    if api.versions is None:
        return [{}]
    since = route.since or api.versions.minimum
    until = route.until or api.versions.maximum
    return [{"OpenStack_API_Version": f"{api.name} {major}.{minor}"} for major, minor in dict.fromkeys((since, until))]
