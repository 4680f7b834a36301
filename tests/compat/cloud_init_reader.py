"""Reads a guest's data with cloud-init's own readers and prints what they understood; runs in a process of its own.

    python cloud_init_reader.py PACKAGES drive FOLDER | service URL

`PACKAGES` is the folder with cloud-init's Python package. Bytes are printed as base64.
"""

from __future__ import annotations

import base64
import json
import sys
from typing import Any


def _plain(value: Any) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(type(value).__name__)


def main(packages: str, layout: str, place: str) -> None:
    sys.path.insert(0, packages)
    from cloudinit import dmi
    from cloudinit.sources.helpers import ec2, openstack

    dmi.read_dmi_data = lambda _key: None  # what this machine is made of says nothing of the guest
    reader = openstack.ConfigDriveReader(place) if layout == "drive" else openstack.MetadataReader(place)
    found = reader.read_v2()
    macs = {link["ethernet_mac_address"]: f"eth{number}" for number, link in enumerate(found["networkdata"]["links"])}
    found["network"] = openstack.convert_net_json(found["networkdata"], known_macs=macs)
    if layout == "service":
        found["ec2"] = ec2.get_instance_metadata("2009-04-04", place)
        found["ec2_user_data"] = ec2.get_instance_userdata("2009-04-04", place)
    json.dump(found, sys.stdout, default=_plain)


if __name__ == "__main__":
    main(*sys.argv[1:])
