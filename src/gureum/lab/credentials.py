"""The files that a person and a client read: gureum.toml for the control plane, openrc files and clouds.yaml.

Texts are pure functions of the options; only `write_credentials` touches the disk, for the owner alone (mode 0600).
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping

from gureum.foundation.urls import listening_url
from gureum.lab.plan import Facts, Options, control_bus, network_databases, services_section
from gureum.lab.state import StateFolder, write_private

REGION = "RegionOne"
_CLOUDS = {"gureum-admin": ("admin", "admin"), "gureum": ("demo", "demo")}  # cloud -> (user, project)


def public_url(options: Options) -> str:
    """The address that clients are told: the listening one, or the machine's own when it listens on all."""
    return listening_url(options.listen, options.port)


def is_loopback(options: Options) -> bool:
    try:
        return ipaddress.ip_address(options.listen).is_loopback
    except ValueError:
        return options.listen == "localhost"


def auth_url(options: Options) -> str:
    return f"{public_url(options)}/identity/v3"


def config_text(state: StateFolder, options: Options, facts: Facts) -> str:
    """gureum.toml, as `foundation/config.py` reads it."""
    passwords = state.passwords()
    north, south = ("", "") if options.simulate else network_databases(state)
    driver, mode = ("fake", "simulated") if options.simulate else ("ovn", "remote")
    tables: dict[str, dict[str, object]] = {
        "api": {"host": options.listen, "port": options.port, "public_url": public_url(options)},
        "database": {"url": options.database or f"sqlite:///{state.root}/gureum.sqlite"},
        "bus": {"url": control_bus(state, options)},
        "network": {"driver": driver, "northbound": north, "southbound": south, "dns_servers": list(facts.dns_servers)},
        "hypervisor": {"mode": mode, "simulated_hosts": options.hosts if options.simulate else 0},
        "image": {"folder": str(state.images)},
        "auth": {"keys": str(state.root / "keys")},
        "bootstrap": {
            "admin_password": passwords["admin"], "demo_password": passwords["demo"], "guest_image": facts.guest_image,
            "external_cidr": facts.external_cidr, "region": REGION,
        },
        "log": {"file": str(state.log("control")), "level": "INFO"},
        "services": services_section(options.services),
    }  # fmt: skip
    return toml_text({"state": str(state.root), **tables})


def toml_text(content: Mapping[str, object]) -> str:
    """Sections of strings, whole numbers and lists of them, and what stands before them, as a file."""
    lines = ["# Written by `gureum up`; changes are lost at the next one."]
    lines += [f"{key} = {_toml(value)}" for key, value in content.items() if not isinstance(value, dict)]
    for table, values in content.items():
        if isinstance(values, dict):
            lines += ["", f"[{table}]", *(f"{key} = {_toml(value)}" for key, value in values.items())]
    return "\n".join(lines) + "\n"


def openrc_text(url: str, user: str, project: str, password: str, region: str = REGION) -> str:
    """Shell variables for the stock `openstack` client."""
    values = {
        "OS_AUTH_URL": url, "OS_USERNAME": user, "OS_PASSWORD": password, "OS_PROJECT_NAME": project,
        "OS_USER_DOMAIN_NAME": "Default", "OS_PROJECT_DOMAIN_NAME": "Default", "OS_REGION_NAME": region,
        "OS_IDENTITY_API_VERSION": "3", "OS_IMAGE_API_VERSION": "2",
    }  # fmt: skip
    lines = [f"export {name}={_shell_text(value)}\n" for name, value in values.items()]
    return "".join(lines) + "unset OS_CLOUD OS_TOKEN\n"


def _shell_text(value: str) -> str:
    """In quotes always, as people expect of the file; a quote within ends them, is escaped, and begins them anew."""
    return "'" + value.replace("'", "'\\''") + "'"


def clouds_text(url: str, passwords: dict[str, str]) -> str:
    """clouds.yaml as openstacksdk reads it; JSON strings are YAML strings."""
    lines = ["clouds:"]
    for cloud, (user, project) in _CLOUDS.items():
        lines += [
            f"  {cloud}:",
            f"    region_name: {REGION}",
            "    identity_api_version: 3",
            "    auth:",
            f"      auth_url: {json.dumps(url)}",
            f"      username: {user}",
            f"      password: {json.dumps(passwords[user])}",
            f"      project_name: {project}",
            "      user_domain_name: Default",
            "      project_domain_name: Default",
        ]
    return "\n".join(lines) + "\n"


def write_credentials(state: StateFolder, options: Options) -> None:
    """openrc (admin), openrc-demo and clouds.yaml in the state folder."""
    url, passwords = auth_url(options), state.passwords()
    for file, user in (("openrc", "admin"), ("openrc-demo", "demo")):
        write_private(state.root / file, openrc_text(url, user, user, passwords[user]))
    write_private(state.root / "clouds.yaml", clouds_text(url, passwords))


def _toml(value: object) -> str:
    """Strings, whole numbers and lists of them; a JSON string without control characters is a TOML basic string."""
    return json.dumps(value, ensure_ascii=False)
