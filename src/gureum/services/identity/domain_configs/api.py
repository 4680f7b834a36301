"""Routes of domain configuration. Source: identity API reference, "Domain configuration".

What is stored here is kept for back ends that a domain has for itself; none reads it yet. Everybody may read the rules
for passwords, so that clients tell people before they type.
"""

from __future__ import annotations

import msgspec

from gureum.foundation.errors import Forbidden, NotFound
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Reply, Route
from gureum.foundation.http.views import JsonValue
from gureum.foundation.policy import EVERY_SCOPE, Rule
from gureum.foundation.shapes import json_decoder
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.domain_configs import options
from gureum.services.identity.domain_configs.model import DomainConfig
from gureum.services.identity.domain_configs.options import Settings
from gureum.services.identity.fields import ADMIN, ADMIN_OR_SYSTEM_READER, CLOUD
from gureum.services.identity.finding import existing_domain
from gureum.services.identity.projects.model import DEFAULT_DOMAIN

RULES = (
    Rule("identity:create_domain_config", ADMIN, "Set a domain's configuration", scopes=CLOUD),
    Rule("identity:get_domain_config", ADMIN_OR_SYSTEM_READER, "Show a domain's configuration", scopes=CLOUD),
    Rule(
        "identity:get_security_compliance_domain_config",
        "@",
        "Show the rules for passwords",
        unbounded="told to whoever sets one",
        scopes=EVERY_SCOPE,
    ),
    Rule("identity:update_domain_config", ADMIN, "Change a domain's configuration", scopes=CLOUD),
    Rule("identity:delete_domain_config", ADMIN, "Delete a domain's configuration", scopes=CLOUD),
    Rule("identity:get_domain_config_default", ADMIN_OR_SYSTEM_READER, "Show the defaults", scopes=CLOUD),
)
_COMPLIANCE = "security_compliance"


Config = dict[str, JsonValue]
"""{group: {option: value}}, or what the path names of it."""


def _store(call: Call[IdentityDeps], row: DomainConfig, settings: Settings) -> None:
    shown, secret = options.parted(settings)
    row.settings = shown
    row.sealed = call.deps.secrets.seal_text(msgspec.json.encode(secret).decode()) if secret else None


def _secrets(call: Call[IdentityDeps], row: DomainConfig) -> Settings:
    if row.sealed is None:
        return {}
    return json_decoder(Settings).decode(call.deps.secrets.open_text(row.sealed))


def create(call: Call[IdentityDeps], body: Config, domain_id: str) -> Reply[Config]:
    existing_domain(call.tx, domain_id)
    settings = options.checked(body)
    row = call.tx.get(DomainConfig, domain_id)
    status = 201 if row is None else 200
    if row is None:
        row = DomainConfig(domain_id=domain_id, settings={})
        call.tx.add(row)
    _store(call, row, settings)
    return Reply({**row.settings}, status=status)


def _find(call: Call[IdentityDeps], domain_id: str) -> DomainConfig:
    existing_domain(call.tx, domain_id)
    row: DomainConfig | None = call.tx.get(DomainConfig, domain_id)
    if row is None:
        raise NotFound("Could not find configuration in domain configuration for the domain.")
    return row


def show(call: Call[IdentityDeps], domain_id: str, group: str = "", option: str = "") -> Config:
    if group:
        options.known_group(group)
    return options.part(_find(call, domain_id).settings, group, option)


def update(call: Call[IdentityDeps], body: Config, domain_id: str, group: str = "", option: str = "") -> Config:
    """A group's and an option's form name in the body what the path names, and change what is there."""
    row, change = _find(call, domain_id), body
    if group:
        change = _as_whole(body, group, option)
        options.part(options.merged(row.settings, _secrets(call, row)), group, option)
    _store(call, row, options.merged(options.merged(row.settings, _secrets(call, row)), options.checked(change)))
    return {**row.settings}


def _as_whole(config: Config, group: str, option: str) -> Config:
    named = option or group
    options.known_group(group)
    if list(config) != [named]:
        raise Forbidden(f"Invalid domain specific configuration: the request names {group}, its body something else.")
    return {group: config} if option else config


def delete(call: Call[IdentityDeps], domain_id: str, group: str = "", option: str = "") -> None:
    row = _find(call, domain_id)
    if not group:
        call.tx.delete(row)
        return
    whole = options.merged(row.settings, _secrets(call, row))
    options.part(whole, group, option)
    left = options.without(whole, group, option)
    if left:
        _store(call, row, left)
    else:
        call.tx.delete(row)


def show_default(_call: Call[IdentityDeps], group: str = "", option: str = "") -> Config:
    if group:
        options.known_group(group)
    if option and option not in options.DEFAULTS[group]:
        options.known_option(group, option)
        raise Forbidden(f"Invalid domain specific configuration: option {option} is never shown.")
    return options.part(options.DEFAULTS, group, option)


def show_compliance(call: Call[IdentityDeps], domain_id: str, option: str = "") -> Config:
    """The rules for passwords; they are the same for all domains and are read at the default one."""
    if domain_id != DEFAULT_DOMAIN:
        raise Forbidden("The rules for passwords are read at the default domain.")
    rules = call.deps.options
    values = {
        "password_regex": rules.password_regex or None,
        "password_regex_description": rules.password_regex_description or None,
    }
    if option and option not in values:
        raise Forbidden(f"Reading the option {option[:64]} is not allowed.")
    return options.part({_COMPLIANCE: values}, _COMPLIANCE, option)


_DEFAULT = "/v3/domains/config"
_OWN = "/v3/domains/{domain_id}/config"
_LEVELS = ("", "/{group}", "/{group}/{option}")
_READ_DEFAULT, _READ_COMPLIANCE = "identity:get_domain_config_default", "identity:get_security_compliance_domain_config"
_LEVEL_AND_DEFAULT = tuple(f"{_DEFAULT}{level}/default" for level in _LEVELS)
ROUTES = (
    *(Route("GET", path, show_default, _READ_DEFAULT, envelope="config") for path in _LEVEL_AND_DEFAULT),
    Route("PUT", _OWN, create, "identity:create_domain_config", 201, body=Config, envelope="config"),
    *(Route("GET", _OWN + level, show, "identity:get_domain_config", envelope="config") for level in _LEVELS),
    *(
        Route("PATCH", _OWN + level, update, "identity:update_domain_config", body=Config, envelope="config")
        for level in _LEVELS
    ),
    *(Route("DELETE", _OWN + level, delete, "identity:delete_domain_config", 204) for level in _LEVELS),
    Route("GET", f"{_OWN}/{_COMPLIANCE}", show_compliance, _READ_COMPLIANCE, envelope="config"),
    Route("GET", f"{_OWN}/{_COMPLIANCE}/{{option}}", show_compliance, _READ_COMPLIANCE, envelope="config"),
)
