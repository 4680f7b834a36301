"""The JSON home document: where each resource of the API is, by the name of its relation.

Source: draft-nottingham-json-home; the relations are those that the identity API reference gives each operation. Only
what is mounted is named.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from msgspec import UNSET, UnsetType, field

from gureum.foundation.http.routes import Route
from gureum.foundation.http.views import View

MEDIA_TYPE = "application/json-home"
_BASE = "https://docs.openstack.org/api/openstack-identity/3"
_PARAMETER = re.compile(r"\{([^}]+)\}")

_CORE = {
    "/auth/tokens": "auth_tokens",
    "/auth/catalog": "auth_catalog",
    "/auth/projects": "auth_projects",
    "/auth/domains": "auth_domains",
    "/auth/system": "auth_system",
    "/credentials": "credentials",
    "/credentials/{credential_id}": "credential",
    "/domains": "domains",
    "/domains/{domain_id}": "domain",
    "/domains/{domain_id}/config": "domain_config",
    "/domains/{domain_id}/config/{group}": "domain_config_group",
    "/domains/{domain_id}/config/{group}/{option}": "domain_config_option",
    "/domains/config/default": "domain_config_default",
    "/domains/config/{group}/default": "domain_config_default_group",
    "/domains/config/{group}/{option}/default": "domain_config_default_option",
    "/endpoints": "endpoints",
    "/endpoints/{endpoint_id}": "endpoint",
    "/groups": "groups",
    "/groups/{group_id}": "group",
    "/groups/{group_id}/users": "group_users",
    "/groups/{group_id}/users/{user_id}": "group_user",
    "/limits": "limits",
    "/limits/{limit_id}": "limit",
    "/limits/model": "limit_model",
    "/policies": "policies",
    "/policies/{policy_id}": "policy",
    "/projects": "projects",
    "/projects/{project_id}": "project",
    "/projects/{project_id}/tags": "project_tags",
    "/projects/{project_id}/tags/{value}": "project_tag",
    "/regions": "regions",
    "/regions/{region_id}": "region",
    "/registered_limits": "registered_limits",
    "/registered_limits/{registered_limit_id}": "registered_limit",
    "/role_assignments": "role_assignments",
    "/role_inferences": "role_inferences",
    "/roles": "roles",
    "/roles/{role_id}": "role",
    "/roles/{prior_role_id}/implies": "implied_roles",
    "/roles/{prior_role_id}/implies/{implied_role_id}": "implied_role",
    "/services": "services",
    "/services/{service_id}": "service",
    "/users": "users",
    "/users/{user_id}": "user",
    "/users/{user_id}/password": "user_change_password",
    "/users/{user_id}/groups": "user_groups",
    "/users/{user_id}/projects": "user_projects",
    "/users/{user_id}/application_credentials": "application_credentials",
    "/users/{user_id}/application_credentials/{application_credential_id}": "application_credential",
    "/users/{user_id}/access_rules": "access_rules",
    "/users/{user_id}/access_rules/{access_rule_id}": "access_rule",
    **{
        f"/{target}{actor}s/{{{actor}_id}}/roles{role}": f"{name}_{actor}_{noun}"
        for name, target in (
            ("project", "projects/{project_id}/"),
            ("domain", "domains/{domain_id}/"),
            ("system", "system/"),
        )
        for actor in ("user", "group")
        for role, noun in (("", "roles"), ("/{role_id}", "role"))
    },
}
_EXTENSIONS = {
    "OS-EC2": {
        "/ec2tokens": "ec2tokens",
        "/users/{user_id}/credentials/OS-EC2": "user_credentials",
        "/users/{user_id}/credentials/OS-EC2/{credential_id}": "user_credential",
    },
    "s3tokens": {"/s3tokens": "s3tokens"},
    "OS-TRUST": {
        "/OS-TRUST/trusts": "trusts",
        "/OS-TRUST/trusts/{trust_id}": "trust",
        "/OS-TRUST/trusts/{trust_id}/roles": "trust_roles",
        "/OS-TRUST/trusts/{trust_id}/roles/{role_id}": "trust_role",
    },
    "OS-OAUTH1": {
        "/OS-OAUTH1/consumers": "consumers",
        "/OS-OAUTH1/consumers/{consumer_id}": "consumer",
        "/OS-OAUTH1/request_token": "request_tokens",
        "/OS-OAUTH1/access_token": "access_tokens",
        "/OS-OAUTH1/authorize/{request_token_id}": "authorize_request_token",
        "/users/{user_id}/OS-OAUTH1/access_tokens": "user_access_tokens",
        "/users/{user_id}/OS-OAUTH1/access_tokens/{access_token_id}": "user_access_token",
        "/users/{user_id}/OS-OAUTH1/access_tokens/{access_token_id}/roles": "user_access_token_roles",
        "/users/{user_id}/OS-OAUTH1/access_tokens/{access_token_id}/roles/{role_id}": "user_access_token_role",
    },
    "OS-OAUTH2": {"/OS-OAUTH2/token": "token"},
    "OS-EP-FILTER": {
        "/OS-EP-FILTER/endpoint_groups": "endpoint_groups",
        "/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}": "endpoint_group",
        "/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}/endpoints": "endpoints_in_endpoint_group",
        "/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}/projects": "projects_associated_with_endpoint_group",
        "/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}/projects/{project_id}": (
            "endpoint_group_to_project_association"
        ),
        "/OS-EP-FILTER/endpoints/{endpoint_id}/projects": "endpoint_projects",
        "/OS-EP-FILTER/projects/{project_id}/endpoint_groups": "project_endpoint_groups",
        "/OS-EP-FILTER/projects/{project_id}/endpoints": "project_endpoints",
        "/OS-EP-FILTER/projects/{project_id}/endpoints/{endpoint_id}": "project_endpoint",
    },
    "OS-ENDPOINT-POLICY": {
        "/endpoints/{endpoint_id}/OS-ENDPOINT-POLICY/policy": "endpoint_policy",
        "/policies/{policy_id}/OS-ENDPOINT-POLICY/endpoints": "policy_endpoints",
        "/policies/{policy_id}/OS-ENDPOINT-POLICY/endpoints/{endpoint_id}": "endpoint_policy_association",
        "/policies/{policy_id}/OS-ENDPOINT-POLICY/services/{service_id}": "service_policy_association",
        "/policies/{policy_id}/OS-ENDPOINT-POLICY/services/{service_id}/regions/{region_id}": (
            "region_and_service_policy_association"
        ),
    },
    "OS-INHERIT": {
        f"/OS-INHERIT/{target}s/{{{target}_id}}/{actor}s/{{{actor}_id}}/roles{role}/inherited_to_projects": (
            f"{target}_{actor}_{noun}_inherited_to_projects"
        )
        for target in ("domain", "project")
        for actor in ("user", "group")
        for role, noun in (("", "roles"), ("/{role_id}", "role"))
    },
    "OS-REVOKE": {"/OS-REVOKE/events": "events"},
}


class Resource(View):
    """Where a resource is: its address, or what makes one of the names that its path has."""

    href: str | UnsetType = UNSET
    href_template: str | UnsetType = field(name="href-template", default=UNSET)
    href_vars: dict[str, str] | UnsetType = field(name="href-vars", default=UNSET)


class Home(View):
    resources: dict[str, Resource]


def document(routes: Iterable[Route], prefix: str) -> Home:
    """`prefix` goes before each address: empty for the document of /v3 itself."""
    mounted = {_PARAMETER.sub("{}", route.path) for route in routes}
    resources: dict[str, Resource] = {}
    for extension, table in (("", _CORE), *_EXTENSIONS.items()):
        base = f"{_BASE}/ext/{extension}/1.0" if extension else _BASE
        for path, name in table.items():
            if "/v3" + _PARAMETER.sub("{}", path) in mounted:
                resources[f"{base}/rel/{name}"] = _address(prefix + path)
    return Home(dict(sorted(resources.items())))


def _address(path: str) -> Resource:
    names = _PARAMETER.findall(path)
    if not names:
        return Resource(path)
    return Resource(href_template=path, href_vars={name: f"{_BASE}/param/{name}" for name in names})


def is_asked_for(accept: str) -> bool:
    """Whether a client prefers this document to the plain one."""
    kinds = [part.split(";")[0].strip() for part in accept.split(",")]
    return MEDIA_TYPE in kinds and "application/json" not in kinds
