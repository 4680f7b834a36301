"""Bodies that name what belongs to another project: answered as if it did not exist, and nothing is written."""

from __future__ import annotations

import json
import re

import pytest
from tests.api.security.everything import NOTHING

NET = "/network/v2.0"
COMPUTE = "/compute/v2.1"
VERSION = {"OpenStack_API_Version": "compute 2.79"}


@pytest.fixture(scope="module")
def own(cloud, things, stranger):
    """What the stranger has, to fill the rest of the bodies."""

    def new(url, body, *keys):
        answer = stranger.post(url, body, **VERSION)
        assert answer.status in (200, 201, 202), (url, answer.content)
        found = answer.json()
        for key in keys:
            found = found[key]
        return found

    network = cloud.network(stranger, "theirs", "10.77.0.0/24")
    found = {
        "network": network,
        "router": new(f"{NET}/routers", {"router": {"name": "r"}}, "router", "id"),
        "port": new(f"{NET}/ports", {"port": {"network_id": network}}, "port", "id"),
        "group": new(f"{NET}/security-groups", {"security_group": {"name": "g"}}, "security_group", "id"),
        "server": cloud.server(stranger, imageRef=cloud.image("open")),
        "image": cloud.image("open too"),
    }
    public = next(row["id"] for row in stranger.get(f"{NET}/networks").json()["networks"] if row["router:external"])
    wanted = {"floatingip": {"floating_network_id": public}}
    found |= {"public": public, "floatingip": new(f"{NET}/floatingips", wanted, "floatingip", "id")}
    cloud.settle()
    return found


def server(own, **more):
    return {"server": {"name": "s", "flavorRef": "42", "imageRef": own["image"], "networks": "none", **more}}


REQUESTS = {
    "subnet in a network": ("network_id", "POST", f"{NET}/subnets", lambda own, id_: {
        "subnet": {"network_id": id_, "ip_version": 4, "cidr": "10.9.9.0/24"}}),
    "port in a network": ("network_id", "POST", f"{NET}/ports", lambda own, id_: {"port": {"network_id": id_}}),
    "ports in networks": ("network_id", "POST", f"{NET}/ports", lambda own, id_: {
        "ports": [{"network_id": own["network"]}, {"network_id": id_}]}),
    "port in a subnet": ("subnet_id", "POST", f"{NET}/ports", lambda own, id_: {
        "port": {"network_id": own["network"], "fixed_ips": [{"subnet_id": id_}]}}),
    "port with a group": ("group_id", "POST", f"{NET}/ports", lambda own, id_: {
        "port": {"network_id": own["network"], "security_groups": [id_]}}),
    "port's change to a group": ("group_id", "PUT", f"{NET}/ports/{{port}}", lambda own, id_: {
        "port": {"security_groups": [id_]}}),
    "port's change to a subnet": ("subnet_id", "PUT", f"{NET}/ports/{{port}}", lambda own, id_: {
        "port": {"fixed_ips": [{"subnet_id": id_}]}}),
    "router on a subnet": ("subnet_id", "PUT", f"{NET}/routers/{{router}}/add_router_interface", lambda own, id_: {
        "subnet_id": id_}),
    "router on a port": ("port_id", "PUT", f"{NET}/routers/{{router}}/add_router_interface", lambda own, id_: {
        "port_id": id_}),
    "router's leg removed by subnet": ("subnet_id", "PUT", f"{NET}/routers/{{router}}/remove_router_interface",
        lambda own, id_: {"subnet_id": id_}),
    "router's leg removed by port": ("port_id", "PUT", f"{NET}/routers/{{router}}/remove_router_interface",
        lambda own, id_: {"port_id": id_}),
    "gateway": ("network_id", "POST", f"{NET}/routers", lambda own, id_: {
        "router": {"external_gateway_info": {"network_id": id_}}}),
    "gateway's change": ("network_id", "PUT", f"{NET}/routers/{{router}}", lambda own, id_: {
        "router": {"external_gateway_info": {"network_id": id_}}}),
    "floating IP of a network": ("network_id", "POST", f"{NET}/floatingips", lambda own, id_: {
        "floatingip": {"floating_network_id": id_}}),
    "floating IP for a port": ("port_id", "POST", f"{NET}/floatingips", lambda own, id_: {
        "floatingip": {"floating_network_id": own["public"], "port_id": id_}}),
    "floating IP moved to a port": ("port_id", "PUT", f"{NET}/floatingips/{{floatingip}}", lambda own, id_: {
        "floatingip": {"port_id": id_}}),
    "rule of a group": ("group_id", "POST", f"{NET}/security-group-rules", lambda own, id_: {
        "security_group_rule": {"direction": "ingress", "security_group_id": id_}}),
    "rule for a group": ("group_id", "POST", f"{NET}/security-group-rules", lambda own, id_: {
        "security_group_rule": {"direction": "ingress", "security_group_id": own["group"], "remote_group_id": id_}}),
    "server from an image": ("image_id", "POST", f"{COMPUTE}/servers", lambda own, id_: server(own, imageRef=id_)),
    "server in a network": ("network_id", "POST", f"{COMPUTE}/servers", lambda own, id_: server(
        own, networks=[{"uuid": id_}])),
    "server on a port": ("port_id", "POST", f"{COMPUTE}/servers", lambda own, id_: server(own, networks=[{"port": id_}])),
    "server with a group": ("group_id", "POST", f"{COMPUTE}/servers", lambda own, id_: server(
        own, networks=[{"uuid": own["network"]}], security_groups=[{"name": id_}])),
    "server in a server group": ("server_group", "POST", f"{COMPUTE}/servers", lambda own, id_: {
        **server(own), "os:scheduler_hints": {"group": id_}}),
    "server with a mapped image": ("image_id", "POST", f"{COMPUTE}/servers", lambda own, id_: server(
        own, imageRef="", block_device_mapping_v2=[
            {"uuid": id_, "source_type": "image", "destination_type": "local", "boot_index": 0}])),
    "server with a key": ("name", "POST", f"{COMPUTE}/servers", lambda own, id_: server(own, key_name=id_)),
    "interface in a network": ("network_id", "POST", f"{COMPUTE}/servers/{{server}}/os-interface", lambda own, id_: {
        "interfaceAttachment": {"net_id": id_}}),
    "interface on a port": ("port_id", "POST", f"{COMPUTE}/servers/{{server}}/os-interface", lambda own, id_: {
        "interfaceAttachment": {"port_id": id_}}),
    "rebuild from an image": ("image_id", "POST", f"{COMPUTE}/servers/{{server}}/action", lambda own, id_: {
        "rebuild": {"imageRef": id_}}),
    "group added to a server": ("group_id", "POST", f"{COMPUTE}/servers/{{server}}/action", lambda own, id_: {
        "addSecurityGroup": {"name": id_}}),
}  # fmt: skip


@pytest.mark.parametrize("what", REQUESTS)
def test_what_is_anothers_is_not_found_by_a_body(cloud, things, stranger, own, what):
    noun, method, url, body = REQUESTS[what]
    counters = cloud.control.database.counters
    commits, foreign = counters.commits, things[noun]
    theirs = stranger.request(method, url.format(**own), body(own, foreign), **VERSION)
    absent = "nothing" if noun == "name" else NOTHING
    nothing = stranger.request(method, url.format(**own), body(own, absent), **VERSION)
    assert theirs.status in (400, 404), theirs.content
    assert theirs.status == nothing.status, (theirs.content, nothing.content)
    assert re.sub(rf"\b{foreign}\b", absent, _text(theirs)) == _text(nothing)
    assert counters.commits == commits


def _text(answer):
    return json.dumps(answer.json(), sort_keys=True)


@pytest.mark.parametrize("id_", ["x", "../etc", "' OR 1=1--", "a" * 300, "구름", "0" * 31, f"{NOTHING}\n", "%00", "{}"])
@pytest.mark.parametrize("what", REQUESTS)
def test_an_id_that_is_none(cloud, things, stranger, own, what, id_):
    noun, method, url, body = REQUESTS[what]
    commits = cloud.control.database.counters.commits
    answer = stranger.request(method, url.format(**own), body(own, id_), **VERSION)
    assert answer.status in (400, 404), answer.content
    assert cloud.control.database.counters.commits == commits
