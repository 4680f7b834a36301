"""JSON home, and the events of revocation."""

from __future__ import annotations

import re

from tests.api.identity.setting import TOKENS, V3, own

HOME = "application/json-home"
REL = "https://docs.openstack.org/api/openstack-identity/3/rel"


def test_json_home_names_where_everything_is(world):
    answer = world.anonymous.get(V3, Accept=HOME)
    assert (answer.status, answer.headers["content-type"]) == (200, HOME)
    resources = answer.json()["resources"]
    assert resources[f"{REL}/auth_tokens"] == {"href": "/auth/tokens"}
    user = resources[f"{REL}/user"]
    assert user["href-template"] == "/users/{user_id}"
    assert user["href-vars"] == {"user_id": "https://docs.openstack.org/api/openstack-identity/3/param/user_id"}
    assert resources[f"{REL.replace('/rel', '/ext/OS-TRUST/1.0/rel')}/trusts"] == {"href": "/OS-TRUST/trusts"}
    top = world.anonymous.get("/identity", Accept=HOME)
    assert top.status == 200
    assert top.json()["resources"][f"{REL}/auth_tokens"] == {"href": "/v3/auth/tokens"}


def test_every_path_of_the_api_is_named_in_it(world):
    """Each path but those that exist for one reader alone."""
    named = {
        "/v3" + re.sub(r"\{[^}]*\}", "{}", entry.get("href") or entry["href-template"])
        for entry in world.anonymous.get(V3, Accept=HOME).json()["resources"].values()
    }
    api = world.app.apis[0]
    mounted = {re.sub(r"\{[^}]*\}", "{}", route.path) for route in api.routes} - {"/", "/v3"}
    beside = {"/v3/projects/{}/cascade"} | {path for path in mounted if "/security_compliance" in path}
    assert mounted - named - beside == set()


def test_the_plain_documents_stay(world):
    for accept in ("application/json", "*/*", f"{HOME}, application/json"):
        assert "version" in world.anonymous.get(V3, Accept=accept).json()
    assert world.anonymous.get("/identity", Accept="*/*").status == 300


def test_events_of_revocation(world, admin):
    eve = world.member("eve")
    me = own(eve)
    assert eve.delete(TOKENS, X_Subject_Token=eve.headers["X-Auth-Token"]).status == 204
    assert admin.patch(f"{V3}/users/{me['user']['id']}", {"user": {"enabled": False}}).status == 200
    service = world.member("nova", "service")
    for client in (admin, service):
        events = client.get(f"{V3}/OS-REVOKE/events").json()["events"]
        assert {"audit_id": me["audit_ids"][0]}.items() <= events[0].items()
        assert any(event.get("user_id") == me["user"]["id"] for event in events)
        assert all(event["issued_before"] for event in events)
    assert admin.get(f"{V3}/OS-REVOKE/events?since=2999-01-01T00:00:00Z").json()["events"] == []
    assert admin.get(f"{V3}/OS-REVOKE/events?since=then").status == 400
    assert world.client("demo").get(f"{V3}/OS-REVOKE/events").status == 403
