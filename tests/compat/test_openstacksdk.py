"""openstacksdk over identity, image, network and compute: what programs, Ansible's modules among them, do with a cloud.

The same flow on the simulated cloud and, with the engines, on a real one.
"""

from __future__ import annotations

import hashlib

import pytest
from tests.unit.image_inspector.corpus import qcow2

pytestmark = pytest.mark.filterwarnings("ignore")

openstack = pytest.importorskip("openstack")


@pytest.fixture(params=["simulated", pytest.param("real", marks=pytest.mark.engines)], scope="module")
def cloud(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def member(cloud):
    """A connection of a new user in a new project."""
    admin = cloud.connection("gureum-admin")
    project = admin.identity.create_project(name="sdk", domain_id="default")
    user = admin.identity.create_user(name="sdk", password="a password", domain_id="default")
    role = admin.identity.find_role("member")
    admin.identity.assign_project_role_to_user(project, user, role)
    connection = openstack.connect(
        auth_url=f"{cloud.url}/identity/v3",
        username="sdk",
        password="a password",
        project_name="sdk",
        user_domain_name="Default",
        project_domain_name="Default",
        region_name="RegionOne",
    )
    yield connection
    connection.close()
    for group in admin.network.security_groups(project_id=project.id):
        if group.name != "default":
            admin.network.delete_security_group(group)
    admin.identity.delete_user(user)
    admin.identity.delete_project(project)


def test_identity(cloud, member):
    assert member.current_project.name == "sdk"
    user_id = member.current_user_id
    made = member.identity.create_application_credential(user=user_id, name="robot", roles=[{"name": "reader"}])
    robot = openstack.connect(
        auth_type="v3applicationcredential",
        auth_url=f"{cloud.url}/identity/v3",
        application_credential_id=made.id,
        application_credential_secret=made.secret,
        region_name="RegionOne",
    )
    try:
        assert robot.current_project_id == member.current_project_id
        assert robot.list_networks() is not None
        with pytest.raises(openstack.exceptions.ForbiddenException):
            robot.network.create_network(name="no")
    finally:
        robot.close()
    member.identity.delete_application_credential(user_id, made)
    with pytest.raises(openstack.exceptions.ForbiddenException):
        member.identity.create_project(name="no", domain_id="default")


def test_image(member, tmp_path):
    file = tmp_path / "own.qcow2"
    file.write_bytes(qcow2())
    image = member.create_image("own", filename=str(file), disk_format="qcow2", wait=True, meta={"os_distro": "debian"})
    try:
        assert (image.status, image.size) == ("active", file.stat().st_size)
        fresh = member.image.get_image(image.id)
        assert fresh.hash_value == hashlib.sha512(file.read_bytes()).hexdigest()
        assert member.image.download_image(fresh).content == file.read_bytes()
        member.image.update_image(fresh, min_disk=2, name="renamed")
        assert member.image.find_image("renamed").min_disk == 2
        member.image.add_tag(fresh, "t")
        assert [found.id for found in member.image.images(tag="t")] == [image.id]
    finally:
        member.delete_image(image.id, wait=True)
    assert member.get_image(image.id) is None


def test_network_and_compute(member):
    network = member.create_network("n")
    subnet = member.create_subnet(network.id, cidr="10.9.0.0/24", subnet_name="s", dns_nameservers=["192.0.2.53"])
    public = member.network.find_network("public")
    router = member.create_router("r", ext_gateway_net_id=public.id)
    member.add_router_interface(router, subnet_id=subnet.id)
    group = member.create_security_group("ssh", "let ssh in")
    member.create_security_group_rule(group.id, port_range_min=22, port_range_max=22, protocol="tcp")
    key = member.create_keypair("key")
    assert key.private_key.startswith("-----BEGIN")
    try:
        _servers(member, network, group)
    finally:
        member.delete_server("one", wait=True, timeout=120, delete_ips=True)
        member.delete_keypair("key")
        member.delete_security_group(group.id)
        member.remove_router_interface(router, subnet_id=subnet.id)
        member.delete_router(router.id)
        member.delete_network(network.id)
    assert member.list_servers() == []
    assert member.list_ports() == []


def _servers(member, network, group):
    server = member.create_server(
        "one",
        image="mini",
        flavor="m1.nano",
        network=network.id,
        key_name="key",
        security_groups=[group.name],
        userdata="#!/bin/sh\ntrue\n",
        meta={"made-by": "sdk"},
        config_drive=True,
        wait=True,
        auto_ip=True,
        timeout=120,
    )
    assert server.status == "ACTIVE"
    compute = member.compute
    shown = compute.get_server(server.id)
    addresses = {found["OS-EXT-IPS:type"]: found["addr"] for found in shown.addresses["n"]}
    assert addresses["fixed"].startswith("10.9.0.")
    assert [ip.floating_ip_address for ip in member.list_floating_ips()] == [addresses["floating"]]
    assert (shown.metadata, shown.key_name, shown.has_config_drive) == ({"made-by": "sdk"}, "key", "True")
    assert [found["name"] for found in shown.security_groups] == ["ssh"]
    compute.set_server_metadata(server, more="m")
    assert compute.get_server_metadata(server).metadata == {"made-by": "sdk", "more": "m"}
    assert compute.get_server_console_output(server.id)["output"] is not None
    for verb, status in ((compute.stop_server, "SHUTOFF"), (compute.start_server, "ACTIVE")):
        verb(server)
        compute.wait_for_server(compute.get_server(server.id), status=status, wait=120)
    compute.reboot_server(server, "HARD")
    compute.wait_for_server(compute.get_server(server.id), wait=120)
    interface = compute.create_server_interface(server, net_id=network.id)
    assert len(list(compute.server_interfaces(server))) == 2
    compute.delete_server_interface(interface, server=server)
    assert [action.action for action in compute.server_actions(server)][-1] == "create"
    with pytest.raises(openstack.exceptions.BadRequestException):
        compute.create_server(name="no", image_id="none", flavor_id="42", networks="none")
