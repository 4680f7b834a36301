"""The groups and options that a domain may set, with their defaults, and changes of them. Pure.

Source: identity API reference, "Domain configuration"; keystone's configuration reference for the defaults.
The groups are those of back ends that a domain may have for itself.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from gureum.foundation.errors import Forbidden, NotFound
from gureum.foundation.http.views import JsonValue

Settings = dict[str, dict[str, JsonValue]]
"""{group: {option: value}}."""

DEFAULTS: Mapping[str, Mapping[str, JsonValue]] = {
    "identity": {"driver": "sql", "list_limit": None},
    "ldap": {
        "url": "ldap://localhost",
        "user": None,
        "suffix": "cn=example,cn=com",
        "query_scope": "one",
        "page_size": 0,
        "alias_dereferencing": "default",
        "debug_level": None,
        "chase_referrals": None,
        "user_tree_dn": None,
        "user_filter": None,
        "user_objectclass": "inetOrgPerson",
        "user_id_attribute": "cn",
        "user_name_attribute": "sn",
        "user_description_attribute": "description",
        "user_mail_attribute": "mail",
        "user_pass_attribute": "userPassword",
        "user_enabled_attribute": "enabled",
        "user_enabled_invert": False,
        "user_enabled_mask": 0,
        "user_enabled_default": "True",
        "user_attribute_ignore": ["default_project_id"],
        "user_default_project_id_attribute": None,
        "user_enabled_emulation": False,
        "user_enabled_emulation_dn": None,
        "user_enabled_emulation_use_group_config": False,
        "user_additional_attribute_mapping": [],
        "group_tree_dn": None,
        "group_filter": None,
        "group_objectclass": "groupOfNames",
        "group_id_attribute": "cn",
        "group_name_attribute": "ou",
        "group_member_attribute": "member",
        "group_members_are_ids": False,
        "group_desc_attribute": "description",
        "group_attribute_ignore": [],
        "group_additional_attribute_mapping": [],
        "group_ad_nesting": False,
        "tls_cacertfile": None,
        "tls_cacertdir": None,
        "use_tls": False,
        "tls_req_cert": "demand",
        "connection_timeout": -1,
        "use_pool": True,
        "pool_size": 10,
        "pool_retry_max": 3,
        "pool_retry_delay": 0.1,
        "pool_connection_timeout": -1,
        "pool_connection_lifetime": 600,
        "use_auth_pool": True,
        "auth_pool_size": 100,
        "auth_pool_connection_lifetime": 60,
    },
}
SECRET = {"ldap": frozenset({"password"})}
LARGEST_BYTES = 16_384


def known_group(group: str) -> None:
    """Raises Forbidden for a group that no domain may set."""
    if group not in DEFAULTS:
        raise Forbidden(f"Invalid domain specific configuration: group {group[:64]} is not supported.")


def known_option(group: str, option: str) -> None:
    known_group(group)
    if option not in DEFAULTS[group] and option not in SECRET.get(group, ()):
        text = f"Invalid domain specific configuration: option {option[:64]} in group {group} is not supported."
        raise Forbidden(text)


def checked(config: Mapping[str, JsonValue]) -> Settings:
    """Every group and option known, every group a table, the whole of a bounded size. Raises Forbidden."""
    if not config:
        raise Forbidden("Invalid domain specific configuration: no options specified.")
    settings: Settings = {}
    for group, options in config.items():
        known_group(group)
        if not isinstance(options, dict) or not options:
            raise Forbidden(f"Invalid domain specific configuration: group {group} has no options.")
        for option in options:
            known_option(group, option)
        settings[group] = dict(options)
    if len(msgspec.json.encode(config)) > LARGEST_BYTES:
        raise Forbidden(f"Invalid domain specific configuration: larger than {LARGEST_BYTES} bytes.")
    return settings


def parted(settings: Settings) -> tuple[Settings, Settings]:
    """(what may be shown, what is secret)."""
    shown: Settings = {}
    secret: Settings = {}
    for group, options in settings.items():
        for option, value in options.items():
            into = secret if option in SECRET.get(group, ()) else shown
            into.setdefault(group, {})[option] = value
    return shown, secret


def merged(present: Settings, change: Settings) -> Settings:
    return {group: {**present.get(group, {}), **change.get(group, {})} for group in dict.fromkeys((*present, *change))}


def without(present: Settings, group: str, option: str) -> Settings:
    """What is left of settings without a group or one of its options."""
    left = {name: dict(options) for name, options in present.items()}
    if not option:
        left.pop(group, None)
    else:
        left.get(group, {}).pop(option, None)
    return {name: options for name, options in left.items() if options}


def part(settings: Mapping[str, Mapping[str, JsonValue]], group: str, option: str) -> dict[str, JsonValue]:
    """All of it, one group, or one option, as the API shows each. Raises NotFound for what is not set."""
    shown: dict[str, JsonValue]
    if not group:
        shown = {name: dict(options) for name, options in settings.items()}
    elif not option:
        shown = {group: dict(settings[group])} if group in settings else {}
    else:
        shown = {option: settings[group][option]} if option in settings.get(group, {}) else {}
    if not shown:
        what = f"option {option} in group {group}" if option else group or "configuration"
        raise NotFound(f"Could not find {what} in domain configuration for the domain.")
    return shown
