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


def updated(view: dict[str, Any], version: Version) -> dict[str, Any]:
    """The answer to a change: all that GET shows since 2.75."""
    servers(view, version)
    if version < (2, 75):
        _narrow(view["server"])
        view["server"].pop("key_name", None)
    return view


def rebuilt(view: dict[str, Any], version: Version) -> dict[str, Any]:
    """The answer to a rebuild: key_name since 2.54, user_data since 2.57, all that GET shows since 2.75."""
    server = view["server"]
    _one(server, version)
    server.pop("OS-EXT-SRV-ATTR:user_data", None)
    if version < (2, 54):
        server.pop("key_name", None)
    if version < (2, 57):
        server.pop("user_data", None)
    if version < (2, 75):
        _narrow(server)
    return view


def _narrow(server: dict[str, Any]) -> None:
    """No extended attributes, and addresses in their short form."""
    for name in [key for key in server if key.startswith(("OS-EXT", "OS-SRV", "os-ext"))]:
        server.pop(name)
    for name in ("config_drive", "security_groups", "host_status"):
        server.pop(name, None)
    server["addresses"] = {
        network: [{"version": one["version"], "addr": one["addr"]} for one in found]
        for network, found in server["addresses"].items()
    }
