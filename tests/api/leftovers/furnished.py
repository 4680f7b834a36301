"""A project with something of every kind that services hold."""

from __future__ import annotations

from tests.cloud import ADMIN_PASSWORD

NETWORK = "/network/v2.0"


def made(answer):
    assert answer.status in (200, 201, 202), answer.content
    return next(iter(answer.json().values()))


def new_project(cloud, name):
    """A project in which admin is a member; its id."""
    admin = cloud.client()
    project_id = made(admin.post("/identity/v3/projects", {"project": {"name": name}}))["id"]
    me = next(one["id"] for one in admin.get("/identity/v3/users").json()["users"] if one["name"] == "admin")
    role = next(one["id"] for one in admin.get("/identity/v3/roles").json()["roles"] if one["name"] == "admin")
    assert admin.request("PUT", f"/identity/v3/projects/{project_id}/users/{me}/roles/{role}").status == 204
    return project_id


def image(client, visibility):
    new = {"name": visibility, "disk_format": "raw", "container_format": "bare", "visibility": visibility}
    answer = client.post("/image/v2/images", {**new, "protected": True})
    assert answer.status == 201, answer.content


def furnish(cloud, name="tenant"):
    """A project with something of every kind; its id."""
    public_image = cloud.image()
    project_id = new_project(cloud, name)
    client = cloud.client("admin", name, ADMIN_PASSWORD)
    network_id = cloud.network(client)
    subnet_id = made(client.get(f"{NETWORK}/subnets?network_id={network_id}"))[0]["id"]
    external = made(client.get(f"{NETWORK}/networks?router:external=True"))[0]["id"]
    gateway = {"router": {"external_gateway_info": {"network_id": external}}}
    router_id = made(client.post(f"{NETWORK}/routers", gateway))["id"]
    leg = client.request("PUT", f"{NETWORK}/routers/{router_id}/add_router_interface", {"subnet_id": subnet_id})
    assert leg.status == 200, leg.content
    made(client.post(f"{NETWORK}/security-groups", {"security_group": {"name": "web"}}))
    port_id = made(client.post(f"{NETWORK}/ports", {"port": {"network_id": network_id}}))["id"]
    floating = {"floatingip": {"floating_network_id": external, "port_id": port_id}}
    made(client.post(f"{NETWORK}/floatingips", floating))
    group = {"server_group": {"name": "far", "policies": ["anti-affinity"]}}
    made(client.post("/compute/v2.1/os-server-groups", group))
    for _ in range(2):
        cloud.server(client, imageRef=public_image, networks=[{"uuid": network_id}])
    image(client, "private")
    image(client, "public")
    cloud.settle()
    return project_id


def delete_project(cloud, project_id):
    assert cloud.client().delete(f"/identity/v3/projects/{project_id}").status == 204
    cloud.settle()
