"""The stock client's commands of identity, as an operator types them."""

from __future__ import annotations

from uuid import uuid4

import pytest

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def admin(simulated):
    def run(line, *more):
        return simulated.openstack(*line.split(), *more, cloud="gureum-admin")

    return run


@pytest.fixture
def demo(simulated):
    def run(line, *more):
        return simulated.openstack(*line.split(), *more)

    return run


JSON = ("-f", "json")


def test_trusts(admin):
    made = admin("trust create --project admin --role member admin demo", *JSON)
    assert made["is_impersonation"] is False
    assert made["id"] in {row["ID"] for row in admin("trust list --trustor admin", *JSON)}
    admin(f"trust delete {made['id']}")


def test_application_credentials_and_access_rules(demo):
    name = uuid4().hex
    rules = '[{"service": "compute", "method": "GET", "path": "/v2.1/servers"}]'
    made = demo(f"application credential create {name} --access-rules", rules, *JSON)
    assert made.get("Secret") or made["secret"], made
    (rule,) = demo("access rule list", *JSON)
    demo(f"application credential delete {name}")
    demo(f"access rule delete {rule['ID']}")


def test_ec2_credentials(demo):
    made = demo("ec2 credentials create", *JSON)
    assert made["access"] in {row["Access"] for row in demo("ec2 credentials list", *JSON)}
    demo(f"ec2 credentials delete {made['access']}")


def test_limits(admin):
    name = f"r{uuid4().hex[:8]}"
    registered = admin(f"registered limit create --service nova --default-limit 10 {name}", *JSON)
    own = admin(f"limit create --service nova --project demo --resource-limit 20 {name}", *JSON)
    assert own["resource_limit"] == 20
    assert own["id"] in {row["ID"] for row in admin("limit list", *JSON)}
    admin(f"limit set --resource-limit 30 {own['id']}")
    admin(f"limit delete {own['id']}")
    admin(f"registered limit delete {registered['id']}")


def test_endpoint_groups(admin, tmp_path):
    name, file = uuid4().hex, tmp_path / "filters.json"
    file.write_text('{"interface": "public"}')
    made = admin(f"endpoint group create {name} {file}", *JSON)
    admin(f"endpoint group add project {name} demo")
    assert made["id"] in {row["ID"] for row in admin("endpoint group list --project demo", *JSON)}
    admin(f"endpoint group remove project {name} demo")
    admin(f"endpoint group delete {name}")


def test_roles(admin):
    one, other = uuid4().hex, uuid4().hex
    admin(f"role create {one}")
    admin(f"role create --domain default {other}")
    admin(f"implied role create {one} --implied-role reader")
    assert one in {row["Prior Role Name"] for row in admin("implied role list", *JSON)}
    admin(f"role add --user demo --project admin {one}")
    effective = admin("role assignment list --user demo --project admin --effective --names", *JSON)
    assert "reader" in {row["Role"] for row in effective}
    admin(f"role remove --user demo --project admin {one}")
    admin(f"role delete {one}")
    admin(f"role delete --domain default {other}")


def test_users_and_their_options(admin):
    name = uuid4().hex
    made = admin(f"user create --password one-1 --ignore-password-expiry --enable-lock-password {name}", *JSON)
    assert made["options"] == {"ignore_password_expiry": True, "lock_password": True}
    admin(f"user set --password two-2 --disable-lock-password {name}")
    admin(f"user set --multi-factor-auth-rule password,totp {name}")
    shown = admin(f"user show {name}", *JSON)["options"]
    assert shown["multi_factor_auth_rules"] == [["password", "totp"]]
    admin(f"user delete {name}")
