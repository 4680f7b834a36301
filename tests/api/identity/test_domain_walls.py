"""The wall between domains: what a domain's administrators, managers and readers may do in it, and nothing beyond it."""

from __future__ import annotations

import json
import re

import pytest
from tests.api.identity.setting import V3, found, made, own

from gureum.foundation import clock
from gureum.foundation.http.routes import Runs
from gureum.foundation.policy import Policy
from gureum.services.identity.nouns import NOUNS


@pytest.fixture
def domain(world):
    return world.domain("acme")


@pytest.fixture
def boss(world, domain):
    return world.domain_user("boss", domain, "manager")


@pytest.fixture
def chief(world, domain):
    """Holds admin, on one domain."""
    return world.domain_user("chief", domain, "admin")


CLOUDS_OWN = [
    ("POST", "domains", {"domain": {"name": "x"}}),
    ("PATCH", "domains/OWN", {"domain": {"name": "x"}}),
    ("DELETE", "domains/OWN", None),
    ("GET", "projects/OWN", None),
    ("PATCH", "projects/OWN", {"project": {"enabled": False}}),
    ("DELETE", "projects/OWN", None),
    ("PUT", "projects/OWN/tags/x", None),
    ("GET", "domains/default", None),
    ("PUT", "system/users/SELF/roles/ADMIN", None),
    ("GET", "system/users/SELF/roles", None),
    ("PUT", "projects/FOREIGN/users/SELF/roles/MEMBER", None),
    ("PUT", "domains/default/users/SELF/roles/MEMBER", None),
    ("PUT", "OS-INHERIT/domains/default/users/SELF/roles/MEMBER/inherited_to_projects", None),
    ("PUT", "domains/OWN/users/STRANGER/roles/MEMBER", None),
    ("GET", "domains/OWN/users/STRANGER/roles", None),
    ("GET", "projects/FOREIGN", None),
    ("PATCH", "projects/FOREIGN", {"project": {"name": "x"}}),
    ("DELETE", "projects/FOREIGN", None),
    ("PUT", "projects/FOREIGN/tags/x", None),
    ("POST", "projects", {"project": {"name": "x", "domain_id": "default"}}),
    ("POST", "projects", {"project": {"name": "x", "is_domain": True}}),
    ("GET", "users/STRANGER", None),
    ("PATCH", "users/STRANGER", {"user": {"password": "taken"}}),
    ("DELETE", "users/STRANGER", None),
    ("GET", "users/STRANGER/projects", None),
    ("GET", "users/STRANGER/groups", None),
    ("POST", "users", {"user": {"name": "x", "domain_id": "default"}}),
    ("POST", "groups", {"group": {"name": "x", "domain_id": "default"}}),
    ("POST", "roles", {"role": {"name": "x"}}),
    ("POST", "roles", {"role": {"name": "x", "domain_id": "OWN"}}),
    ("PATCH", "roles/MEMBER", {"role": {"description": "x"}}),
    ("DELETE", "roles/MEMBER", None),
    ("PUT", "roles/MEMBER/implies/ADMIN", None),
    ("GET", "roles?domain_id=OWN", None),
    ("GET", "role_inferences", None),
    (
        "POST",
        "registered_limits",
        {"registered_limits": [{"service_id": "x", "resource_name": "x", "default_limit": 1}]},
    ),
    ("POST", "limits", {"limits": [{"service_id": "x", "resource_name": "x", "resource_limit": 1, "domain_id": "x"}]}),
    ("GET", "services", None),
    ("POST", "services", {"service": {"type": "x"}}),
    ("GET", "endpoints", None),
    ("POST", "regions", {"region": {"id": "x"}}),
    ("GET", "policies", None),
    ("POST", "policies", {"policy": {"type": "x", "blob": "x"}}),
    ("GET", "OS-EP-FILTER/endpoint_groups", None),
    ("GET", "OS-OAUTH1/consumers", None),
    ("GET", "OS-TRUST/trusts", None),
    ("GET", "OS-REVOKE/events", None),
    ("PUT", "domains/OWN/config", {"config": {"ldap": {"url": "x"}}}),
    ("GET", "users/STRANGER/application_credentials", None),
    ("GET", "users/STRANGER/credentials/OS-EC2", None),
]


@pytest.mark.parametrize("who", ["chief", "boss"])
def test_a_domains_token_does_nothing_of_the_clouds(world, admin, domain, who, request):
    client = request.getfixturevalue(who)
    names = {
        "OWN": domain,
        "SELF": own(client)["user"]["id"],
        "FOREIGN": found(admin, "projects", "demo"),
        "STRANGER": found(admin, "users", "demo"),
        "ADMIN": world.role("admin"),
        "MEMBER": world.role("member"),
    }
    before = world.commits()
    for method, path, body in CLOUDS_OWN:
        for name, id_ in names.items():
            path = path.replace(name, id_)  # noqa: PLW2901
            if body and (value := next(iter(body.values()))).__class__ is dict:
                body = {k: {n: id_ if v == name else v for n, v in value.items()} for k in body}  # noqa: PLW2901
        answer = client.request(method, f"{V3}/{path}", body)
        assert answer.status == 403, (method, path, answer.status, answer.content)
    assert world.commits() == before


@pytest.mark.parametrize("who", ["chief", "boss"])
def test_all_lists_show_the_domain_alone(world, admin, domain, who, request):
    client, demo = request.getfixturevalue(who), found(admin, "users", "demo")
    user = made(admin, "users", "user", {"name": "eve", "domain_id": domain})
    mine = made(admin, "groups", "group", {"name": "g", "domain_id": domain})
    other = made(admin, "groups", "group", {"name": "g"})
    project = made(admin, "projects", "project", {"name": "p", "domain_id": domain})
    for group in (mine, other):
        for member in (user, demo):
            assert admin.put(f"{V3}/groups/{group}/users/{member}").status == 204
    for target in (project, found(admin, "projects", "demo")):
        world.grant(f"projects/{target}", f"users/{user}", "member")

    def ids(path, name):
        return [row["id"] for row in client.get(f"{V3}/{path}").json()[name]]

    for name in ("users", "groups", "projects"):
        rows = client.get(f"{V3}/{name}").json()[name]
        assert {row["domain_id"] for row in rows} == {domain}, name
        assert client.get(f"{V3}/{name}?domain_id=default").json()[name] == []
    assert ids("domains", "domains") == [domain]
    assert ids(f"groups/{mine}/users", "users") == [user]
    assert ids(f"users/{user}/groups", "groups") == [mine]
    scopes = [row["scope"] for row in client.get(f"{V3}/role_assignments").json()["role_assignments"]]
    places = {scope[kind]["id"] for scope in scopes for kind in ("domain", "project") if kind in scope}
    assert places == {domain, project}


def test_a_manager_neither_sees_nor_removes_foreign_members(world, admin, domain, boss):
    group, demo = made(boss, "groups", "group", {"name": "g"}), found(admin, "users", "demo")
    membership = f"{V3}/groups/{group}/users/{demo}"
    assert admin.put(membership).status == 204
    assert boss.get(f"{V3}/groups/{group}/users").json()["users"] == []
    assert boss.get(membership).status == boss.delete(membership).status == boss.put(membership).status == 403
    assert admin.get(membership).status == 204


def test_a_domains_reader_sees_no_grants_of_strangers(world, admin, domain):
    reader, demo = world.domain_user("rita", domain, "reader"), found(admin, "users", "demo")
    project = made(admin, "projects", "project", {"name": "p", "domain_id": domain})
    world.grant(f"projects/{project}", f"users/{demo}", "member")
    grants = f"{V3}/projects/{project}/users/{demo}/roles"
    assert reader.get(grants).status == reader.get(f"{grants}/{world.role('member')}").status == 403
    assert reader.get(f"{V3}/projects/{project}/users/{own(reader)['user']['id']}/roles").status == 200


def test_strangers_in_a_domains_assignments_have_no_names(world, admin, domain, boss):
    project, demo = (
        made(admin, "projects", "project", {"name": "p", "domain_id": domain}),
        found(admin, "users", "demo"),
    )
    world.grant(f"projects/{project}", f"users/{demo}", "member")
    query = f"{V3}/role_assignments?include_names&scope.project.id={project}"
    for options in ("", "&effective"):
        (row, *_) = boss.get(query + options).json()["role_assignments"]
        assert row["user"] == {"id": demo}
        assert row["scope"]["project"]["name"] == "p"
        (row, *_) = admin.get(query + options).json()["role_assignments"]
        assert row["user"]["name"] == "demo"


def test_managers_hand_out_the_managed_roles_alone(world, admin, domain, boss, chief):
    """Administrators of the domain also the domain's own roles, and none of the cloud's that an operator may use."""
    eve = made(admin, "users", "user", {"name": "eve", "domain_id": domain})
    roles = {
        "manager": world.role("manager"),
        "member": world.role("member"),
        "reader": world.role("reader"),
        "admin": world.role("admin"),
        "service": world.role("service"),
        "custom": made(admin, "roles", "role", {"name": "custom"}),
        "own": made(admin, "roles", "role", {"name": "own", "domain_id": domain}),
        "mighty": made(admin, "roles", "role", {"name": "mighty"}),
        "foreign": made(admin, "roles", "role", {"name": "member", "domain_id": "default"}),
    }
    assert admin.put(f"{V3}/roles/{roles['mighty']}/implies/{roles['service']}").status == 201
    one = f"{V3}/domains/{domain}/users/{eve}/roles/"
    handed_out = {
        name: (boss.put(one + id_).status, boss.delete(one + id_).status) for name, id_ in roles.items()
    }  # fmt: skip
    managed = {"manager", "member", "reader"}
    assert {name for name, statuses in handed_out.items() if statuses == (204, 204)} == managed
    assert {statuses for name, statuses in handed_out.items() if name not in managed} == {(403, 403)}
    by_chief = {name: chief.put(one + id_).status for name, id_ in roles.items()}
    assert {name for name, status in by_chief.items() if status == 204} == managed | {"own"}
    assert {status for status in by_chief.values() if status != 204} == {403}


HOLDINGS = ["system", "project", "domain", "inherited", "group", "elsewhere", "implied", "trust"]


def holding(world, admin, domain, eve, kind):
    """Make `eve` hold what a manager of her domain may not grant."""
    admins, demo = world.role("admin"), found(admin, "projects", "demo")
    project = made(admin, "projects", "project", {"name": "p", "domain_id": domain})
    if kind == "group":
        group = made(admin, "groups", "group", {"name": "admins", "domain_id": domain})
        assert admin.put(f"{V3}/groups/{group}/users/{eve}").status == 204
        assert admin.put(f"{V3}/projects/{project}/groups/{group}/roles/{admins}").status == 204
    elif kind == "elsewhere":
        world.grant(f"projects/{demo}", f"users/{eve}", "reader")
    elif kind == "implied":
        mighty = made(admin, "roles", "role", {"name": "mighty"})
        assert admin.put(f"{V3}/roles/{mighty}/implies/{world.role('service')}").status == 201
        assert admin.put(f"{V3}/projects/{project}/users/{eve}/roles/{mighty}").status == 204
    elif kind == "trust":
        trust = {"trustor_user_id": own(admin)["user"]["id"], "trustee_user_id": eve, "impersonation": True}
        trust |= {"project_id": own(admin)["project"]["id"], "roles": [{"name": "admin"}]}
        assert admin.post(f"{V3}/OS-TRUST/trusts", {"trust": trust}).status == 201
    elif kind == "inherited":
        path = f"OS-INHERIT/domains/{domain}/users/{eve}/roles/{admins}/inherited_to_projects"
        assert admin.put(f"{V3}/{path}").status == 204
    else:
        target = {"system": "system", "project": f"projects/{project}", "domain": f"domains/{domain}"}[kind]
        assert admin.put(f"{V3}/{target}/users/{eve}/roles/{admins}").status == 204


@pytest.mark.parametrize("who", ["chief", "boss"])
@pytest.mark.parametrize("kind", HOLDINGS)
def test_whoever_holds_what_one_may_not_grant_is_out_of_reach(world, admin, domain, who, kind, request):
    client = request.getfixturevalue(who)
    eve = made(admin, "users", "user", {"name": "eve", "domain_id": domain, "password": "eve-secret"})
    plain = made(admin, "groups", "group", {"name": "plain", "domain_id": domain})
    user, membership = f"{V3}/users/{eve}", f"{V3}/groups/{plain}/users/{eve}"
    assert client.patch(user, {"user": {"description": "not yet"}}).status == 200
    holding(world, admin, domain, eve, kind)
    before = world.commits()
    changes = [{"password": "taken"}, {"email": "x@x"}, {"enabled": False}, {"options": {"lock_password": True}}]
    assert {client.patch(user, {"user": change}).status for change in [*changes, {"name": "x"}]} == {403}
    assert client.put(membership).status == client.delete(user).status == 403
    assert client.get(user).status == 200
    assert world.commits() == before
    assert admin.patch(user, {"user": {"password": "given"}}).status == 200


@pytest.mark.parametrize("who", ["chief", "boss"])
def test_a_group_that_holds_what_one_may_not_grant_is_out_of_reach(world, admin, domain, who, request):
    client = request.getfixturevalue(who)
    group = made(client, "groups", "group", {"name": "admins"})
    project = made(client, "projects", "project", {"name": "p"})
    me, one = own(client)["user"]["id"], f"{V3}/groups/{group}"
    assert client.put(f"{one}/users/{me}").status == 204
    assert admin.put(f"{V3}/projects/{project}/groups/{group}/roles/{world.role('admin')}").status == 204
    eve = made(admin, "users", "user", {"name": "eve", "domain_id": domain})
    assert client.put(f"{one}/users/{eve}").status == client.delete(f"{one}/users/{me}").status == 403
    assert client.patch(one, {"group": {"name": "x"}}).status == client.delete(one).status == 403
    assert client.get(f"{one}/users").status == 200
    assert admin.delete(f"{one}/users/{me}").status == 204
    assert client.put(f"{one}/users/{me}").status == 403, "a way to the cloud's administration"


def test_managers_change_themselves_and_their_peers(world, admin, domain, boss, chief):
    for client in (boss, chief):
        one = f"{V3}/users/{own(client)['user']['id']}"
        assert client.patch(one, {"user": {"email": "me@acme"}}).status == 200
    peer = made(admin, "users", "user", {"name": "peer", "domain_id": domain})
    world.grant(f"domains/{domain}", f"users/{peer}", "manager")
    assert boss.patch(f"{V3}/users/{peer}", {"user": {"enabled": False}}).status == 200
    assert boss.patch(f"{V3}/users/{own(chief)['user']['id']}", {"user": {"enabled": False}}).status == 403


def test_an_administrator_of_a_domain_manages_it(world, domain, chief):
    user = made(chief, "users", "user", {"name": "eve"})
    group, project = made(chief, "groups", "group", {"name": "g"}), made(chief, "projects", "project", {"name": "p"})
    grant = f"{V3}/projects/{project}/users/{user}/roles/{world.role('member')}"
    assert chief.put(grant).status == chief.get(grant).status == chief.delete(grant).status == 204
    assert chief.put(f"{V3}/groups/{group}/users/{user}").status == 204
    assert chief.patch(f"{V3}/projects/{project}", {"project": {"enabled": False}}).status == 200
    for gone in (f"users/{user}", f"groups/{group}", f"projects/{project}"):
        assert chief.delete(f"{V3}/{gone}").status == 204


def test_a_manager_names_the_domain_of_a_new_user(domain, boss):
    assert boss.post(f"{V3}/users", {"user": {"name": "eve"}}).status == 403
    assert boss.post(f"{V3}/users", {"user": {"name": "eve", "domain_id": domain}}).status == 201


def test_a_system_reader_reads_all_of_identity(world, admin):
    user = world.user("rita")
    world.grant("system", f"users/{user}", "reader")
    reader = world.client("rita", {"system": {"all": True}})
    service = made(admin, "services", "service", {"type": "x"})
    body = {"service_id": service, "interface": "public", "url": "http://x"}
    endpoint = made(admin, "endpoints", "endpoint", body)
    policy = made(admin, "policies", "policy", {"type": "x", "blob": "x"})
    at = f"{V3}/policies/{policy}/OS-ENDPOINT-POLICY/endpoints"
    assert admin.put(f"{at}/{endpoint}").status == 204
    assert [row["id"] for row in reader.get(at).json()["endpoints"]] == [endpoint]
    assert reader.get(f"{at}/{endpoint}").status == 204
    shown = reader.get(f"{V3}/endpoints/{endpoint}/OS-ENDPOINT-POLICY/policy")
    assert shown.json()["policy"]["id"] == policy
    assert reader.delete(f"{at}/{endpoint}").status == reader.put(f"{at}/{endpoint}").status == 403


MISSING = [
    ("PATCH", "domains/MISSING", {"domain": {"name": "x"}}),
    ("DELETE", "domains/MISSING", None),
    ("GET", "roles/MISSING", None),
    ("PATCH", "roles/MISSING", {"role": {"name": "x"}}),
    ("DELETE", "roles/MISSING", None),
    ("DELETE", "groups/MISSING", None),
    ("GET", "limits/MISSING", None),
    ("PATCH", "limits/MISSING", {"limit": {"description": "x"}}),
    ("DELETE", "limits/MISSING", None),
    ("GET", "users/SELF/credentials/OS-EC2/MISSING", None),
    ("GET", "users/SELF/application_credentials/MISSING", None),
]


@pytest.mark.parametrize("role", ["reader", "member", "manager"])
def test_what_is_not_there_is_not_found_by_those_who_may_not_change_it(world, role):
    eve = world.member("eve", role)
    for method, path, body in MISSING:
        path = path.replace("MISSING", "0" * 32).replace("SELF", own(eve)["user"]["id"])  # noqa: PLW2901
        assert eve.request(method, f"{V3}/{path}", body).status == 404, (method, path)


@pytest.mark.parametrize("role", ["reader", "member", "manager", "admin"])
def test_what_is_looked_up_first_is_so_for_tokens_of_a_domain_too(world, admin, domain, role):
    eve = world.domain_user("eve", domain, role)
    missing, keys = "0" * 32, f"{V3}/users/{own(eve)['user']['id']}/credentials/OS-EC2"
    for one in (f"{V3}/domains/{missing}", f"{V3}/roles/{missing}", f"{keys}/{missing}"):
        assert eve.delete(one).status == 404, one
    assert eve.patch(f"{V3}/roles/{missing}", {"role": {"name": "x"}}).status == 404
    assert eve.patch(f"{V3}/domains/{missing}", {"domain": {"name": "x"}}).status == 404
    project = made(admin, "projects", "project", {"name": "p", "domain_id": domain})
    key = admin.post(keys, {"tenant_id": project}).json()["credential"]
    assert eve.get(f"{keys}/{key['access']}").status == eve.delete(f"{keys}/{key['access']}").status == 403
    assert eve.delete(f"{V3}/domains/{domain}").status == eve.delete(f"{V3}/roles/{world.role('member')}").status == 403


@pytest.mark.parametrize(("role", "status"), [("reader", 403), ("member", 201), ("manager", 201)])
def test_members_and_above_make_ec2_keys(world, role, status):
    eve = world.member("eve", role)
    keys = f"{V3}/users/{own(eve)['user']['id']}/credentials/OS-EC2"
    assert eve.post(keys, {"tenant_id": own(eve)["project"]["id"]}).status == status


def test_what_a_token_of_a_domain_never_touches(world, chief, domain):
    """Keys, application credentials, trusts and OAuth are of projects."""
    me = own(chief)["user"]["id"]
    trust = {"trustor_user_id": me, "trustee_user_id": me, "impersonation": True, "roles": []}
    trust |= {"expires_at": clock.iso(clock.utcnow())}
    for method, path, body in [
        ("POST", f"users/{me}/credentials/OS-EC2", {"tenant_id": "0" * 32}),
        ("GET", f"users/{me}/credentials/OS-EC2", None),
        ("POST", f"users/{me}/application_credentials", {"application_credential": {"name": "a"}}),
        ("GET", f"users/{me}/application_credentials", None),
        ("GET", f"users/{me}/access_rules", None),
        ("POST", "OS-TRUST/trusts", {"trust": trust}),
        ("GET", f"OS-TRUST/trusts?trustor_user_id={me}", None),
        ("GET", f"users/{me}/OS-OAUTH1/access_tokens", None),
        ("POST", "ec2tokens", {"credentials": {"access": "a", "signature": "b"}}),
    ]:
        assert chief.request(method, f"{V3}/{path}", body).status == 403, (method, path)


@pytest.mark.parametrize("who", ["admin", "manager", "member", "reader"])
def test_no_route_shows_or_changes_another_domains_things(world, admin, who):
    """Every route of identity that names something, asked by each role of one domain for what is another's."""
    theirs = world.domain("theirs")
    mallory = world.domain_user("mallory", world.domain("mine"), who)
    victim = world.domain_user("victim", theirs, "admin")
    owner, project = own(victim)["user"]["id"], made(admin, "projects", "project", {"name": "p", "domain_id": theirs})
    group = made(admin, "groups", "group", {"name": "g", "domain_id": theirs})
    role = made(admin, "roles", "role", {"name": "r", "domain_id": theirs})
    key = {"type": "ec2", "project_id": project, "user_id": owner, "blob": '{"access": "a", "secret": "b"}'}
    names = {
        "domain_id": theirs, "project_id": project, "user_id": owner, "group_id": group, "role_id": role,
        "implied_id": role, "credential_id": made(admin, "credentials", "credential", key), "access": "a",
    }  # fmt: skip
    targets = {"domains": theirs, "projects": project}
    actors = {"users": owner, "groups": group}
    before, asked = world.commits(), 0
    for route in (
        route for noun in NOUNS for route in noun.ROUTES if "{" in route.path and route.place() is not Runs.STREAM
    ):
        path = route.path
        for kind, id_ in targets.items():
            path = path.replace(f"{kind}/{{target_id}}", f"{kind}/{id_}")
        for kind, id_ in actors.items():
            path = path.replace(f"{kind}/{{actor_id}}", f"{kind}/{id_}")
        path = re.sub(r"\{(\w+)\}", lambda match: names.get(match[1], "0" * 32), path)
        if not any(id_ in path for id_ in (theirs, project, owner, group, role)) or path.endswith("/password"):
            continue
        asked += 1
        answer = mallory.request(route.method, f"/identity{path}", {} if route.body else None)
        assert answer.status in (400, 403, 404), (route.method, path, answer.status, answer.content)
        assert route.body or answer.status in (403, 404), (route.method, path, answer.content)
    assert asked > 90
    assert world.commits() == before


def test_an_operator_adds_to_what_managers_hand_out(world, admin, domain, boss, tmp_path):
    """One decision: who holds the added role is within the manager's reach from then on."""
    custom = made(admin, "roles", "role", {"name": "custom"})
    eve = made(admin, "users", "user", {"name": "eve", "domain_id": domain})
    grant, change = f"{V3}/domains/{domain}/users/{eve}/roles/{custom}", {"user": {"description": "x"}}
    assert admin.put(grant).status == 204
    assert boss.delete(grant).status == boss.patch(f"{V3}/users/{eve}", change).status == 403
    file = tmp_path / "policy.yaml"
    names = " or ".join(f"'{name}':%(target.role.name)s" for name in ("custom", "member"))
    file.write_text(json.dumps({"domain_managed_target_role": names}))
    world.app.policy = Policy([rule for noun in NOUNS for rule in noun.RULES], file)
    assert boss.patch(f"{V3}/users/{eve}", change).status == 200
    assert boss.delete(grant).status == boss.put(grant).status == 204
    assert boss.put(grant.replace(custom, world.role("reader"))).status == 403, "the operator took it away"
    assert boss.put(grant.replace(custom, world.role("admin"))).status == 403
