"""Servers at older microversions: what each version added is taken away below it.

Source: compute API reference, "REST API version history".
"""

from __future__ import annotations

from typing import Any

from gureum.foundation.http.microversions import Version

_ADDED: tuple[tuple[Version, tuple[str, ...]], ...] = (
    (
        (2, 3),
        (
            "OS-EXT-SRV-ATTR:reservation_id",
            "OS-EXT-SRV-ATTR:launch_index",
            "OS-EXT-SRV-ATTR:hostname",
            "OS-EXT-SRV-ATTR:kernel_id",
            "OS-EXT-SRV-ATTR:ramdisk_id",
            "OS-EXT-SRV-ATTR:root_device_name",
            "OS-EXT-SRV-ATTR:user_data",
        ),
    ),
    ((2, 9), ("locked",)),
    ((2, 16), ("host_status",)),
    ((2, 19), ("description",)),
    ((2, 26), ("tags",)),
    ((2, 63), ("trusted_image_certificates",)),
    ((2, 73), ("locked_reason",)),
    ((2, 96), ("pinned_availability_zone",)),
)


def servers(view: dict[str, Any], version: Version) -> dict[str, Any]:
    """A view with "server" or "servers", in place; brief entries have nothing to take away."""
    for server in view.get("servers", [view["server"]] if "server" in view else []):
        if "status" in server:
            _one(server, version)
    return view


def _one(server: dict[str, Any], version: Version) -> None:
    for since, names in _ADDED:
        if version < since:
            for name in names:
                server.pop(name, None)
    if version < (2, 90) and "OS-EXT-SRV-ATTR:host" not in server:
        server.pop("OS-EXT-SRV-ATTR:hostname", None)
    if version < (2, 47):
        server["flavor"] = server.pop("_flavor_link")
    else:
        server.pop("_flavor_link", None)


def rebuilt(view: dict[str, Any], version: Version) -> dict[str, Any]:
    """The answer to a rebuild: key_name since 2.54, user_data since 2.57."""
    server = view["server"]
    _one(server, version)
    if version < (2, 54):
        server.pop("key_name", None)
    if version < (2, 57):
        server.pop("user_data", None)
    return view
