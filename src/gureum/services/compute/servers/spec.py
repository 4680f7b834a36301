"""A server's row and its ports as the `ServerSpec` that its host is to make true, guest's documents included.

Sources: nova's metadata documentation (OpenStack and EC2 layouts), cloud-init's OpenStack data source.
"""

from __future__ import annotations

import base64
import hashlib

import msgspec

from gureum.agents.hypervisor.protocol import GuestData, ImageSource, ServerSpec
from gureum.foundation.http.views import JsonValue
from gureum.services.compute.servers.model import WantedServer
from gureum.services.network.facade import Address, Wiring

_HARDWARE = ("hw_disk_bus", "hw_vif_model", "hw_firmware_type", "hw_machine_type", "hw_qemu_guest_agent")


def spec_of(server: WantedServer, wiring: Wiring, image: ImageSource | None, password: str = "") -> ServerSpec:
    """The whole wanted server. `power` is the row's wish; a build asks for "paused" with `msgspec.structs.replace`.
    `password` is for the config drive, if that is to be made.
    """
    flavor = server.flavor
    return ServerSpec(
        server_id=server.id,
        name=server.instance_name,
        vcpus=server.vcpus,
        ram_mib=server.ram_mib,
        root_gib=flavor["disk"],
        power=server.wanted_power,
        boot=server.boot,
        disk=server.disk,
        grace_s=server.grace_s,
        ephemeral_gib=flavor["ephemeral"],
        swap_mib=flavor["swap"],
        image=image,
        nics=wiring.nics,
        config_drive=server.config_drive,
        guest=_guest(server, wiring, password),
        hardware={name: str(server.image[name]) for name in _HARDWARE if name in server.image},
    )


def _guest(server: WantedServer, wiring: Wiring, password: str) -> GuestData:
    return GuestData(
        meta_data=msgspec.json.encode(meta_data(server)).decode(),
        network_data=msgspec.json.encode(wiring.network_data).decode(),
        vendor_data="{}",
        user_data=server.user_data or "",
        content={_content_name(index): file["contents"] for index, file in enumerate(server.files)},
        ec2=ec2_data(server, wiring.addresses),
        admin_pass=password,
    )


def meta_data(server: WantedServer) -> dict[str, JsonValue]:
    """The meta_data.json document.

    Its random seed, 512 bytes, is derived from 32 secret bytes of the server: the same at each boot, and known to
    nobody else.
    """
    seed = hashlib.shake_256(bytes.fromhex(server.seed)).digest(512)
    document: dict[str, JsonValue] = {
        "uuid": server.id,
        "name": server.name,
        "hostname": server.hostname,
        "availability_zone": server.zone or "nova",
        "launch_index": server.launch_index,
        "project_id": server.project_id,
        "random_seed": base64.b64encode(seed).decode(),
        "meta": server.meta,
        "devices": [],
        "dedicated_cpus": [],
    }
    if server.key_data and server.key_name:
        document["public_keys"] = {server.key_name: server.key_data}
        document["keys"] = [{"name": server.key_name, "type": "ssh", "data": server.key_data}]
    if server.files:
        document["files"] = [
            {"content_path": f"/content/{_content_name(index)}", "path": file["path"]}
            for index, file in enumerate(server.files)
        ]
    return document


def _content_name(index: int) -> str:
    """Where below openstack/content an injected file stands."""
    return f"{index:04}"


def ec2_data(server: WantedServer, addresses: list[Address]) -> dict[str, str]:
    """EC2 paths below meta-data/ and their texts."""
    number = server.id.replace("-", "")[:8]
    fixed = [a.ip for a in addresses if a.kind == "fixed" and a.version == 4]
    floating = [a.ip for a in addresses if a.kind == "floating" and a.version == 4]
    paths = {
        "ami-id": f"ami-{(server.image_id or '0' * 8).replace('-', '')[:8]}",
        "ami-launch-index": str(server.launch_index),
        "ami-manifest-path": "",
        "block-device-mapping/ami": "vda",
        "block-device-mapping/root": "/dev/vda",
        "hostname": server.hostname,
        "instance-action": "none",
        "instance-id": f"i-{number}",
        "instance-type": server.flavor["original_name"],
        "local-hostname": server.hostname,
        "local-ipv4": fixed[0] if fixed else "",
        "placement/availability-zone": server.zone or "nova",
        "public-hostname": server.hostname,
        "public-ipv4": floating[0] if floating else "",
        "reservation-id": server.reservation_id,
    }
    if server.key_data:
        paths["public-keys/0/openssh-key"] = server.key_data
    return paths
