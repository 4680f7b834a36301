"""A tempest.conf for a running Gureum, asked from the cloud itself: ids by name, versions from its root documents.

The feature switches say what Gureum offers and what it does not, so that Tempest tests the one and leaves the other.
Not a runner; read `test_tempest_smoke.py` next. The options are Tempest's own (`tempest.conf.sample`).
"""

from __future__ import annotations

import configparser
from pathlib import Path
from typing import Any

OFFERED = {
    "compute-feature-enabled": {
        "attach_encrypted_volume": False,
        "block_migration_for_live_migration": False,
        "change_password": False,
        "cold_migration": False,
        "config_drive": True,
        "console_output": True,
        "dhcp_domain": "",
        "disk_config": True,
        "enable_instance_password": True,
        "hostname_fqdn_sanitization": True,
        "ide_bus": False,
        "interface_attach": True,
        "live_migration": False,
        "metadata_service": True,
        "personality": True,
        "pause": True,
        "rescue": False,
        "resize": False,
        "scheduler_enabled_filters": "ComputeFilter,ServerGroupAntiAffinityFilter,ServerGroupAffinityFilter,"
        "SameHostFilter,DifferentHostFilter",
        "shelve": False,
        "snapshot": True,
        "suspend": False,
        "vnc_console": False,
    },
    "identity-feature-enabled": {"access_rules": True, "trust": True},
    "image-feature-enabled": {"import_image": False, "manage_locations": False},
    "network-feature-enabled": {
        "floating_ips": True, "ipv6": True, "ipv6_subnet_attributes": True, "port_admin_state_change": True,
        "port_security": True,
    },
    "service_available": {
        "cinder": False, "glance": True, "horizon": False, "neutron": True, "nova": True, "swift": False,
    },
}  # fmt: skip


Options = dict[str, dict[str, Any]]


def write(file: Path, cloud: Any, workspace: Path, *, guests: bool, more: Options | None = None) -> None:
    """Write `file` for the judged cloud. `guests`: servers run for real, so Tempest logs in to them.

    `more` are options over these, by section.
    """
    sdk = cloud.connection("gureum-admin")
    public = sdk.network.find_network("public", ignore_missing=False)
    image = sdk.image.find_image("mini", ignore_missing=False)
    flavors = {flavor.name: flavor.id for flavor in sdk.compute.flavors()}
    settings: dict[str, dict[str, Any]] = {
        "DEFAULT": {"log_dir": workspace / "logs", "log_file": "tempest.log"},
        "oslo_concurrency": {"lock_path": workspace / "tempest_lock"},
        "auth": {
            "use_dynamic_credentials": True,
            "create_isolated_networks": True,
            "admin_username": "admin",
            "admin_password": cloud.passwords["admin"],
            "admin_project_name": "admin",
            "admin_domain_name": "Default",
        },
        "identity": {"uri_v3": f"{cloud.url}/identity/v3", "auth_version": "v3", "region": "RegionOne"},
        "compute": {
            "image_ref": image.id,
            "image_ref_alt": image.id,
            "flavor_ref": flavors["m1.nano"],
            "flavor_ref_alt": flavors["m1.micro"],
            "min_compute_nodes": len(list(sdk.compute.hypervisors())),
            "min_microversion": "2.1",
            "max_microversion": _newest(sdk, "compute"),
            "build_interval": 1,
            "build_timeout": 120,
        },
        "placement": {"min_microversion": "1.0", "max_microversion": _newest(sdk, "placement")},
        "network": {"public_network_id": public.id, "floating_network_name": public.name, "build_timeout": 60},
        "validation": {
            "run_validation": guests,
            "connect_method": "floating",
            "auth_method": "keypair",
            "image_ssh_user": "gureum",
            "image_alt_ssh_user": "gureum",
            "ping_timeout": 60,
            "ssh_timeout": 120,
        },
        "scenario": {"dhcp_client": "udhcpc", "target_dir": "/home/gureum"},
    }
    aliases = [extension.alias for extension in sdk.network.extensions()]
    settings["network-feature-enabled"] = {"api_extensions": ",".join(sorted(aliases))}
    # The simulated cloud of the judges has rules for accounts, as Tempest's own defaults expect them.
    settings["identity-feature-enabled"] = {"security_compliance": not guests}
    for section, values in (*OFFERED.items(), *(more or {}).items()):
        settings.setdefault(section, {}).update(values)
    parser = configparser.RawConfigParser()
    for section, values in settings.items():
        if section != "DEFAULT":
            parser.add_section(section)
        for name, value in values.items():
            parser.set(section, name, str(value))
    with file.open("w") as stream:
        parser.write(stream)


def _newest(sdk: Any, service: str) -> str:
    """The newest microversion in the service's root document."""
    newest = getattr(sdk, service).get_endpoint_data().max_microversion
    assert newest, f"{service} tells no microversions in its root document"
    return ".".join(str(part) for part in newest)
