"""The manifest: one line for each noun of identity."""

from __future__ import annotations

from gureum.services.identity.application_credentials import access_rules
from gureum.services.identity.application_credentials import api as application_credentials
from gureum.services.identity.assignments import api as assignments
from gureum.services.identity.catalog import api as catalog
from gureum.services.identity.credentials import api as credentials
from gureum.services.identity.domain_configs import api as domain_configs
from gureum.services.identity.domains import api as domains
from gureum.services.identity.ec2 import api as ec2
from gureum.services.identity.endpoint_filters import api as endpoint_filters
from gureum.services.identity.endpoint_policies import api as endpoint_policies
from gureum.services.identity.groups import api as groups
from gureum.services.identity.limits import api as limits
from gureum.services.identity.limits import registered as registered_limits
from gureum.services.identity.oauth import api as oauth
from gureum.services.identity.oauth import client_credentials
from gureum.services.identity.oauth import flow as oauth_flow
from gureum.services.identity.policies import api as policies
from gureum.services.identity.projects import api as projects
from gureum.services.identity.projects import removal as project_removal
from gureum.services.identity.projects import tags as project_tags
from gureum.services.identity.roles import api as roles
from gureum.services.identity.tokens import api as tokens
from gureum.services.identity.tokens import reach, revoke_events
from gureum.services.identity.trusts import api as trusts
from gureum.services.identity.users import api as users

NOUNS = (
    tokens,
    reach,
    revoke_events,
    domain_configs,
    domains,
    projects,
    project_removal,
    project_tags,
    users,
    groups,
    roles,
    assignments,
    catalog,
    application_credentials,
    access_rules,
    credentials,
    ec2,
    policies,
    endpoint_policies,
    endpoint_filters,
    registered_limits,
    limits,
    trusts,
    oauth,
    oauth_flow,
    client_credentials,
)
