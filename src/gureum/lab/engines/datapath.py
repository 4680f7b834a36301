"""Whether the kernel can switch for Open vSwitch, asked from the kernel itself.

A module file proves little: the generic netlink family `ovs_datapath` exists only where the module is loaded or built
in. Geneve ports need their own module beside it.
"""

from __future__ import annotations

import socket
import struct
import subprocess
from pathlib import Path

_GENERIC = 16  # NETLINK_GENERIC
_CONTROL = 0x10  # GENL_ID_CTRL
_GET_FAMILY, _FAMILY_NAME = 3, 2
_REQUEST = 1


def kernel_datapath() -> bool:
    """Load the modules if the machine has them, then ask. Needs root for the loading only."""
    for module in ("openvswitch", "vport-geneve"):
        subprocess.run(["modprobe", "-q", module], check=False, capture_output=True)
    return has_family("ovs_datapath") and Path("/sys/module/geneve").exists()


def has_family(name: str) -> bool:
    """Whether the kernel knows this generic netlink family (linux/genetlink.h, CTRL_CMD_GETFAMILY)."""
    text = name.encode() + b"\0"
    attribute = struct.pack("HH", 4 + len(text), _FAMILY_NAME) + text + b"\0" * (-len(text) % 4)
    body = struct.pack("BBH", _GET_FAMILY, 1, 0) + attribute
    message = struct.pack("IHHII", 16 + len(body), _CONTROL, _REQUEST, 1, 0) + body
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _GENERIC) as netlink:
            netlink.settimeout(2)
            netlink.send(message)
            answer = netlink.recv(8192)
    except OSError:
        return False
    return int(struct.unpack_from("H", answer, 4)[0]) == _CONTROL
