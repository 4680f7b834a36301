"""The tables of the identity service. Written by tools/first-revision from the models; not edited by hand."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "identity_0001"
down_revision = None
branch_labels = ("identity",)
depends_on = None
replaces = "0001"


def upgrade() -> None:
    """Make the tables, those that others refer to first."""
    _endpoint_groups()
    _oauth_consumers()
    _policy_documents()
    _projects()
    _regions()
    _registered_limits()
    _revocations()
    _roles()
    _services()
    _used_signatures()
    _assignments()
    _domain_configs()
    _endpoints()
    _groups()
    _implied_roles()
    _limits()
    _policy_associations()
    _project_endpoint_groups()
    _users()
    _access_rules()
    _application_credentials()
    _credentials()
    _group_members()
    _oauth_access_tokens()
    _oauth_request_tokens()
    _past_passwords()
    _project_endpoints()
    _trusts()


def _endpoint_groups() -> None:
    op.create_table(
        "endpoint_groups",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("filters", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_endpoint_groups")),
        sa.UniqueConstraint("name", name=op.f("uq_endpoint_groups_name")),
    )


def _oauth_consumers() -> None:
    op.create_table(
        "oauth_consumers",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_oauth_consumers")),
    )


def _policy_documents() -> None:
    op.create_table(
        "policy_documents",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("type", sa.String(length=255), nullable=False),
        sa.Column("blob", sa.Text(), nullable=False),
        sa.Column("extra", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policy_documents")),
    )


def _projects() -> None:
    op.create_table(
        "projects",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("domain_id", sa.String(length=36), nullable=False),
        sa.Column("parent_id", sa.String(length=36), nullable=True),
        sa.Column("is_domain", sa.Boolean(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("options", sa.Text(), nullable=False),
        sa.Column("extra", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["parent_id"], ["projects.id"], name=op.f("fk_projects_parent_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_projects")),
        sa.UniqueConstraint("domain_id", "name_key", name=op.f("uq_projects_domain_id_name_key")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_projects_domain_id_id", "projects", ["domain_id", "id"], unique=False)
    op.create_index(op.f("ix_projects_is_domain"), "projects", ["is_domain"], unique=False)
    op.create_index(op.f("ix_projects_parent_id"), "projects", ["parent_id"], unique=False)


def _regions() -> None:
    op.create_table(
        "regions",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("parent_region_id", sa.String(length=255), nullable=True),
        sa.Column("extra", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["parent_region_id"], ["regions.id"], name=op.f("fk_regions_parent_region_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_regions")),
    )


def _registered_limits() -> None:
    op.create_table(
        "registered_limits",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("service_id", sa.String(length=36), nullable=False),
        sa.Column("region", sa.String(length=255), nullable=False),
        sa.Column("resource_name", sa.String(length=255), nullable=False),
        sa.Column("default_limit", sa.BigInteger(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registered_limits")),
        sa.UniqueConstraint(
            "service_id", "region", "resource_name", name=op.f("uq_registered_limits_service_id_region_resource_name")
        ),
    )


def _revocations() -> None:
    op.create_table(
        "revocations",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("value", sa.String(length=255), nullable=False),
        sa.Column("before", sa.Float(precision=53), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_revocations")),
    )
    op.create_index("ix_revocations_created_at", "revocations", ["created_at"], unique=False)


def _roles() -> None:
    op.create_table(
        "roles",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("scope", sa.String(length=36), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("options", sa.Text(), nullable=False),
        sa.Column("extra", sa.Text(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_roles")),
        sa.UniqueConstraint("scope", "name_key", name=op.f("uq_roles_scope_name_key")),
    )


def _services() -> None:
    op.create_table(
        "services",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("type", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("extra", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_services")),
    )


def _used_signatures() -> None:
    op.create_table(
        "used_signatures",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_used_signatures")),
    )
    op.create_index(op.f("ix_used_signatures_expires_at"), "used_signatures", ["expires_at"], unique=False)


def _assignments() -> None:
    op.create_table(
        "assignments",
        sa.Column("actor_kind", sa.String(length=8), nullable=False),
        sa.Column("actor_id", sa.String(length=36), nullable=False),
        sa.Column("target_kind", sa.String(length=8), nullable=False),
        sa.Column("target_id", sa.String(length=36), nullable=False),
        sa.Column("role_id", sa.String(length=36), nullable=False),
        sa.Column("inherited", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["role_id"], ["roles.id"], name=op.f("fk_assignments_role_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint(
            "actor_kind", "actor_id", "target_kind", "target_id", "role_id", "inherited", name=op.f("pk_assignments")
        ),
    )
    op.create_index("ix_assignments_actor_id", "assignments", ["actor_id"], unique=False)
    op.create_index(op.f("ix_assignments_role_id"), "assignments", ["role_id"], unique=False)
    op.create_index("ix_assignments_target", "assignments", ["target_kind", "target_id"], unique=False)


def _domain_configs() -> None:
    op.create_table(
        "domain_configs",
        sa.Column("domain_id", sa.String(length=36), nullable=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["domain_id"], ["projects.id"], name=op.f("fk_domain_configs_domain_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("domain_id", name=op.f("pk_domain_configs")),
    )


def _endpoints() -> None:
    op.create_table(
        "endpoints",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("service_id", sa.String(length=36), nullable=False),
        sa.Column("interface", sa.String(length=16), nullable=False),
        sa.Column("region_id", sa.String(length=255), nullable=True),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=True),
        sa.Column("extra", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["region_id"], ["regions.id"], name=op.f("fk_endpoints_region_id")),
        sa.ForeignKeyConstraint(
            ["service_id"], ["services.id"], name=op.f("fk_endpoints_service_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_endpoints")),
    )
    op.create_index(op.f("ix_endpoints_service_id"), "endpoints", ["service_id"], unique=False)


def _groups() -> None:
    op.create_table(
        "groups",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("domain_id", sa.String(length=36), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("extra", sa.Text(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["domain_id"], ["projects.id"], name=op.f("fk_groups_domain_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_groups")),
        sa.UniqueConstraint("domain_id", "name_key", name=op.f("uq_groups_domain_id_name_key")),
    )


def _implied_roles() -> None:
    op.create_table(
        "implied_roles",
        sa.Column("prior_id", sa.String(length=36), nullable=False),
        sa.Column("implied_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(
            ["implied_id"], ["roles.id"], name=op.f("fk_implied_roles_implied_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["prior_id"], ["roles.id"], name=op.f("fk_implied_roles_prior_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("prior_id", "implied_id", name=op.f("pk_implied_roles")),
    )


def _limits() -> None:
    op.create_table(
        "limits",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("owner_id", sa.String(length=36), nullable=False),
        sa.Column("of_domain", sa.Boolean(), nullable=False),
        sa.Column("registered_limit_id", sa.String(length=36), nullable=False),
        sa.Column("resource_limit", sa.BigInteger(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["owner_id"], ["projects.id"], name=op.f("fk_limits_owner_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["registered_limit_id"], ["registered_limits.id"], name=op.f("fk_limits_registered_limit_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_limits")),
        sa.UniqueConstraint("owner_id", "registered_limit_id", name=op.f("uq_limits_owner_id_registered_limit_id")),
    )
    op.create_index(op.f("ix_limits_registered_limit_id"), "limits", ["registered_limit_id"], unique=False)


def _policy_associations() -> None:
    op.create_table(
        "policy_associations",
        sa.Column("endpoint_id", sa.String(length=36), nullable=False),
        sa.Column("service_id", sa.String(length=36), nullable=False),
        sa.Column("region_id", sa.String(length=255), nullable=False),
        sa.Column("policy_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(
            ["policy_id"], ["policy_documents.id"], name=op.f("fk_policy_associations_policy_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("endpoint_id", "service_id", "region_id", name=op.f("pk_policy_associations")),
    )
    op.create_index(op.f("ix_policy_associations_policy_id"), "policy_associations", ["policy_id"], unique=False)


def _project_endpoint_groups() -> None:
    op.create_table(
        "project_endpoint_groups",
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("group_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"], ["endpoint_groups.id"], name=op.f("fk_project_endpoint_groups_group_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_project_endpoint_groups_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project_id", "group_id", name=op.f("pk_project_endpoint_groups")),
    )
    op.create_index(op.f("ix_project_endpoint_groups_group_id"), "project_endpoint_groups", ["group_id"], unique=False)


def _users() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("domain_id", sa.String(length=36), nullable=False),
        sa.Column("default_project_id", sa.String(length=64), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("email", sa.String(length=255), nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("password_set_at", sa.DateTime(), nullable=True),
        sa.Column("password_expires_at", sa.DateTime(), nullable=True),
        sa.Column("password_self_set", sa.Boolean(), nullable=False),
        sa.Column("failed_count", sa.Integer(), nullable=False),
        sa.Column("failed_at", sa.DateTime(), nullable=True),
        sa.Column("last_active_at", sa.DateTime(), nullable=True),
        sa.Column("options", sa.Text(), nullable=False),
        sa.Column("extra", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["domain_id"], ["projects.id"], name=op.f("fk_users_domain_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("domain_id", "name_key", name=op.f("uq_users_domain_id_name_key")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_users_domain_id_id", "users", ["domain_id", "id"], unique=False)
    op.create_index("ix_users_name_key", "users", ["name_key"], unique=False)


def _access_rules() -> None:
    op.create_table(
        "access_rules",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.Column("service", sa.String(length=255), nullable=False),
        sa.Column("method", sa.String(length=16), nullable=False),
        sa.Column("path", sa.String(length=512), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_access_rules_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_rules")),
        sa.UniqueConstraint(
            "user_id", "service", "method", "path", name=op.f("uq_access_rules_user_id_service_method_path")
        ),
    )


def _application_credentials() -> None:
    op.create_table(
        "application_credentials",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("secret_hash", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("role_ids", sa.Text(), nullable=False),
        sa.Column("unrestricted", sa.Boolean(), nullable=False),
        sa.Column("access_rule_ids", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_application_credentials_project_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_application_credentials_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_application_credentials")),
        sa.UniqueConstraint("user_id", "name", name=op.f("uq_application_credentials_user_id_name")),
    )
    op.create_index(
        op.f("ix_application_credentials_project_id"), "application_credentials", ["project_id"], unique=False
    )


def _credentials() -> None:
    op.create_table(
        "credentials",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("type", sa.String(length=255), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("access_digest", sa.String(length=64), nullable=True),
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=True),
        sa.Column("used_counter", sa.BigInteger(), nullable=True),
        sa.Column("extra", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_credentials_project_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_credentials_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credentials")),
        sa.UniqueConstraint("access_digest", name=op.f("uq_credentials_access_digest")),
    )
    op.create_index(op.f("ix_credentials_project_id"), "credentials", ["project_id"], unique=False)
    op.create_index(op.f("ix_credentials_user_id"), "credentials", ["user_id"], unique=False)


def _group_members() -> None:
    op.create_table(
        "group_members",
        sa.Column("group_id", sa.String(length=36), nullable=False),
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"], ["groups.id"], name=op.f("fk_group_members_group_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_group_members_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("group_id", "user_id", name=op.f("pk_group_members")),
    )
    op.create_index(op.f("ix_group_members_user_id"), "group_members", ["user_id"], unique=False)


def _oauth_access_tokens() -> None:
    op.create_table(
        "oauth_access_tokens",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("consumer_id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.Column("role_ids", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["consumer_id"], ["oauth_consumers.id"], name=op.f("fk_oauth_access_tokens_consumer_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_oauth_access_tokens_project_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_oauth_access_tokens_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_oauth_access_tokens")),
    )
    op.create_index(op.f("ix_oauth_access_tokens_consumer_id"), "oauth_access_tokens", ["consumer_id"], unique=False)
    op.create_index(op.f("ix_oauth_access_tokens_project_id"), "oauth_access_tokens", ["project_id"], unique=False)
    op.create_index(op.f("ix_oauth_access_tokens_user_id"), "oauth_access_tokens", ["user_id"], unique=False)


def _oauth_request_tokens() -> None:
    op.create_table(
        "oauth_request_tokens",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("consumer_id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("user_id", sa.String(length=36), nullable=True),
        sa.Column("role_ids", sa.Text(), nullable=False),
        sa.Column("verifier", sa.String(length=255), nullable=True),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["consumer_id"],
            ["oauth_consumers.id"],
            name=op.f("fk_oauth_request_tokens_consumer_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_oauth_request_tokens_project_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_oauth_request_tokens_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_oauth_request_tokens")),
    )
    op.create_index(op.f("ix_oauth_request_tokens_consumer_id"), "oauth_request_tokens", ["consumer_id"], unique=False)
    op.create_index(op.f("ix_oauth_request_tokens_project_id"), "oauth_request_tokens", ["project_id"], unique=False)
    op.create_index(op.f("ix_oauth_request_tokens_user_id"), "oauth_request_tokens", ["user_id"], unique=False)


def _past_passwords() -> None:
    op.create_table(
        "past_passwords",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_past_passwords_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_past_passwords")),
    )
    op.create_index(op.f("ix_past_passwords_user_id"), "past_passwords", ["user_id"], unique=False)


def _project_endpoints() -> None:
    op.create_table(
        "project_endpoints",
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("endpoint_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["endpoints.id"], name=op.f("fk_project_endpoints_endpoint_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_project_endpoints_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project_id", "endpoint_id", name=op.f("pk_project_endpoints")),
    )
    op.create_index(op.f("ix_project_endpoints_endpoint_id"), "project_endpoints", ["endpoint_id"], unique=False)


def _trusts() -> None:
    op.create_table(
        "trusts",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("trustor_id", sa.String(length=36), nullable=False),
        sa.Column("trustee_id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=True),
        sa.Column("impersonation", sa.Boolean(), nullable=False),
        sa.Column("role_ids", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=True),
        sa.Column("remaining_uses", sa.Integer(), nullable=True),
        sa.Column("redelegation_count", sa.Integer(), nullable=False),
        sa.Column("redelegated_trust_id", sa.String(length=36), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_trusts_project_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["redelegated_trust_id"], ["trusts.id"], name=op.f("fk_trusts_redelegated_trust_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["trustee_id"], ["users.id"], name=op.f("fk_trusts_trustee_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["trustor_id"], ["users.id"], name=op.f("fk_trusts_trustor_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trusts")),
    )
    op.create_index(op.f("ix_trusts_project_id"), "trusts", ["project_id"], unique=False)
    op.create_index(op.f("ix_trusts_redelegated_trust_id"), "trusts", ["redelegated_trust_id"], unique=False)
    op.create_index(op.f("ix_trusts_trustee_id"), "trusts", ["trustee_id"], unique=False)
    op.create_index(op.f("ix_trusts_trustor_id"), "trusts", ["trustor_id"], unique=False)
