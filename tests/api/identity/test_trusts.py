"""Trusts: lent, used, passed on, ended."""

from __future__ import annotations

import pytest
from tests.api.identity.setting import TOKENS, V3, by_credential, by_token, own, password

from gureum.foundation import clock
from gureum.services.identity.expired import purge

TRUSTS = f"{V3}/OS-TRUST/trusts"
KEYS = {
    "id", "trustor_user_id", "trustee_user_id", "project_id", "impersonation", "expires_at", "remaining_uses",
    "redelegation_count", "redelegated_trust_id", "deleted_at", "links",
}  # fmt: skip


class Pair:
    """Ann lends, Ben borrows."""

    def __init__(self, world):
        self.world = world
        self.ann = world.member("ann", "manager")
        self.project = own(self.ann)["project"]["id"]
        self.ann_id = own(self.ann)["user"]["id"]
        self.ben_id = world.user("ben")
        self.ben = world.with_token(world.token(password("ben"), "unscoped"))

    def ask(self, client=None, **more):
        body = {
            "trustor_user_id": self.ann_id, "trustee_user_id": self.ben_id, "project_id": self.project,
            "impersonation": False, "roles": [{"name": "member"}], **more,
        }  # fmt: skip
        return (client or self.ann).post(TRUSTS, {"trust": {k: v for k, v in body.items() if v != "-"}})

    def trust(self, client=None, **more):
        answer = self.ask(client, **more)
        assert answer.status == 201, answer.content
        return answer.json()["trust"]

    def use(self, trust, user="ben"):
        return self.world.login(password(user), {"OS-TRUST:trust": {"id": trust["id"]}})

    def borrowed(self, trust, user="ben"):
        answer = self.use(trust, user)
        assert answer.status == 201, answer.content
        return self.world.with_token(answer.headers["x-subject-token"])


@pytest.fixture
def pair(world):
    return Pair(world)


def test_a_trust_and_its_documents(pair, admin):
    trust = pair.trust()
    assert set(trust) == KEYS | {"roles", "roles_links"}
    assert trust["links"]["self"].endswith(f"/v3/OS-TRUST/trusts/{trust['id']}")
    shown = pair.ben.get(f"{TRUSTS}/{trust['id']}").json()["trust"]
    assert shown == trust
    (listed,) = pair.ann.get(f"{TRUSTS}?trustor_user_id={pair.ann_id}").json()["trusts"]
    assert set(listed) == KEYS
    assert pair.ben.get(f"{TRUSTS}?trustee_user_id={pair.ben_id}").json()["trusts"] == [listed]
    assert admin.get(TRUSTS).json()["trusts"] == [listed]
    (role,) = pair.ann.get(f"{TRUSTS}/{trust['id']}/roles").json()["roles"]
    assert role["name"] == "member"
    assert set(role) == {"id", "name", "links"}
    assert pair.ann.get(f"{TRUSTS}/{trust['id']}/roles/{role['id']}").json()["role"] == role
    assert pair.ann.request("HEAD", f"{TRUSTS}/{trust['id']}/roles/{role['id']}").status == 200
    assert pair.ann.get(f"{TRUSTS}/{trust['id']}/roles/{pair.world.role('reader')}").status == 404


def test_a_token_of_a_trust(pair):
    token = pair.use(pair.trust()).json()["token"]
    assert token["user"]["id"] == pair.ben_id
    assert token["project"]["id"] == pair.project
    assert {role["name"] for role in token["roles"]} == {"member", "reader"}
    section = token["OS-TRUST:trust"]
    assert section["impersonation"] is False
    assert section["trustee_user"]["id"] == pair.ben_id
    assert section["trustor_user"]["id"] == pair.ann_id


def test_a_token_that_impersonates(pair):
    token = pair.use(pair.trust(impersonation=True)).json()["token"]
    assert token["user"]["id"] == pair.ann_id
    assert token["OS-TRUST:trust"]["trustee_user"]["id"] == pair.ben_id


def test_strangers_see_nothing_and_use_nothing(pair, demo):
    trust = pair.trust()
    assert demo.get(f"{TRUSTS}/{trust['id']}").status == 403
    assert demo.get(TRUSTS).status == 403
    assert demo.get(f"{TRUSTS}?trustor_user_id={pair.ann_id}").status == 403
    assert demo.delete(f"{TRUSTS}/{trust['id']}").status == 403
    assert pair.use(trust, "demo").status == 403
    assert pair.ben.delete(f"{TRUSTS}/{trust['id']}").status == 403
    assert pair.ask(demo).status == 403


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"roles": []}, 403),
        ({"roles": [{"name": "admin"}]}, 403),
        ({"roles": [{"name": "nothing"}]}, 404),
        ({"roles": [{"name": "member"}], "project_id": "-"}, 400),
        ({"trustee_user_id": "0" * 32}, 404),
        ({"project_id": "0" * 32}, 404),
        ({"expires_at": "bad.123Z"}, 400),
        ({"expires_at": "2001-01-01T00:00:00Z"}, 400),
        ({"remaining_uses": 0}, 400),
        ({"remaining_uses": "two"}, 400),
        ({"remaining_uses": 2, "allow_redelegation": True}, 400),
        ({"allow_redelegation": True, "redelegation_count": 4}, 403),
        ({"impersonation": "-"}, 400),
        ({"redelegated_trust_id": "0" * 32}, 403),
    ],
)
def test_what_no_trust_may_be(pair, more, status):
    before = pair.world.commits()
    assert pair.ask(**more).status == status
    assert pair.world.commits() == before


def test_uses_are_counted(pair):
    trust = pair.trust(remaining_uses=2)
    first, _ = pair.borrowed(trust), pair.borrowed(trust)
    assert pair.use(trust).status == 401
    assert pair.world.alive(first)
    assert pair.ann.get(f"{TRUSTS}/{trust['id']}").json()["trust"]["remaining_uses"] == 0


def test_it_ends_at_its_time_and_so_do_its_tokens(world, virtual_clock):
    pair = Pair(world)
    end = clock.iso_micro(clock.from_seconds(clock.now() + 600))
    trust = pair.trust(expires_at=end)
    assert trust["expires_at"] == end
    answer = pair.use(trust)
    assert answer.json()["token"]["expires_at"] == end
    borrowed = world.with_token(answer.headers["x-subject-token"])
    virtual_clock.advance(599)
    assert world.alive(borrowed)
    virtual_clock.advance(2)
    assert not world.alive(borrowed)
    assert pair.use(trust).status == 401


def test_what_is_long_over_is_removed(world, virtual_clock):
    pair = Pair(world)
    end = clock.iso_micro(clock.from_seconds(clock.now() + 600))
    over, lasting = pair.trust(expires_at=end), pair.trust()
    virtual_clock.advance(86_400)
    purge(world.database)
    admin = world.client()
    assert admin.get(f"{TRUSTS}/{over['id']}").status == 200
    virtual_clock.advance(30 * 86_400)
    purge(world.database)
    admin = world.client()
    assert admin.get(f"{TRUSTS}/{over['id']}").status == 404
    assert admin.get(f"{TRUSTS}/{lasting['id']}").status == 200


def test_deleting_it_ends_its_tokens(pair):
    trust = pair.trust()
    borrowed = pair.borrowed(trust)
    assert pair.world.alive(borrowed)
    assert pair.ann.delete(f"{TRUSTS}/{trust['id']}").status == 204
    assert not pair.world.alive(borrowed)
    assert pair.use(trust).status == 401
    assert pair.ann.get(f"{TRUSTS}/{trust['id']}").status == 404


@pytest.mark.parametrize("side", ["ann", "ben"])
@pytest.mark.parametrize("impersonation", [True, False])
def test_a_side_gone_or_disabled_ends_it(pair, admin, side, impersonation):
    trust = pair.trust(impersonation=impersonation)
    borrowed = pair.borrowed(trust)
    user = pair.ann_id if side == "ann" else pair.ben_id
    assert pair.world.alive(borrowed)
    assert admin.patch(f"{V3}/users/{user}", {"user": {"enabled": False}}).status == 200
    assert not pair.world.alive(borrowed)
    assert admin.patch(f"{V3}/users/{user}", {"user": {"enabled": True}}).status == 200
    assert not pair.world.alive(borrowed)
    if side == "ann":
        assert pair.use(trust).status == 201
    assert admin.delete(f"{V3}/users/{user}").status == 204
    assert not pair.world.alive(borrowed)
    assert admin.get(f"{TRUSTS}/{trust['id']}").status == 404


def test_a_role_taken_from_the_trustor_ends_it(pair, admin):
    trust = pair.trust(roles=[{"name": "manager"}])
    borrowed = pair.borrowed(trust)
    held = f"{V3}/projects/{pair.project}/users/{pair.ann_id}/roles/{pair.world.role('manager')}"
    assert admin.delete(held).status == 204
    assert not pair.world.alive(borrowed)
    assert pair.use(trust).status == 403
    assert admin.put(held).status == 204
    assert pair.use(trust).status == 201


def test_the_project_gone_the_trust_gone(pair, admin):
    trust = pair.trust()
    borrowed = pair.borrowed(trust)
    assert admin.delete(f"{V3}/projects/{pair.project}").status == 204
    assert not pair.world.alive(borrowed)
    assert admin.get(f"{TRUSTS}/{trust['id']}").status == 404


def test_a_new_password_of_the_trustee_ends_the_trusts_tokens(pair, admin):
    borrowed = pair.borrowed(pair.trust(impersonation=True))
    assert admin.patch(f"{V3}/users/{pair.ben_id}", {"user": {"password": "other"}}).status == 200
    assert not pair.world.alive(borrowed)


def test_passing_on_gives_no_more_than_was_given(pair):
    cid = pair.world.user("cid")
    trust = pair.trust(impersonation=True, allow_redelegation=True, redelegation_count=2)
    borrowed = pair.borrowed(trust)
    assert pair.ask(borrowed, trustee_user_id=cid, roles=[{"name": "manager"}]).status == 403
    assert pair.ask(borrowed, trustee_user_id=cid, allow_redelegation=True, redelegation_count=2).status == 403
    child = pair.trust(borrowed, trustee_user_id=cid, impersonation=True, allow_redelegation=True)
    assert child["redelegated_trust_id"] == trust["id"]
    assert child["redelegation_count"] == 1
    section = pair.use(child, "cid").json()["token"]["OS-TRUST:trust"]
    assert section["redelegated_trust_id"] == trust["id"]
    assert section["redelegation_count"] == 1
    again = pair.borrowed(child, "cid")
    last = pair.trust(again, trustee_user_id=pair.ben_id, impersonation=True)
    assert last["redelegation_count"] == 0
    assert pair.ask(pair.borrowed(last), trustee_user_id=cid, impersonation=True).status == 403
    lent = pair.borrowed(last)
    assert pair.ann.delete(f"{TRUSTS}/{trust['id']}").status == 204
    assert not pair.world.alive(lent)
    assert pair.ann.get(f"{TRUSTS}/{last['id']}").status == 404


def test_a_trust_that_was_not_to_be_passed_on(pair):
    borrowed = pair.borrowed(pair.trust(impersonation=True))
    assert pair.ask(borrowed, impersonation=True).status == 403
    other = pair.world.project("other")
    pair.world.grant(f"projects/{other}", f"users/{pair.ann_id}", "member")
    assert pair.ask(borrowed, project_id=other).status == 403


def test_a_trusts_token_is_for_nothing_else(pair):
    """It makes no other token, no credentials, no trust beside its own chain, and deletes none."""
    trust = pair.trust(impersonation=True)
    borrowed = pair.borrowed(trust)
    token = borrowed.headers["X-Auth-Token"]
    for scope in (None, "unscoped", {"project": {"id": pair.project}}):
        assert pair.world.login(by_token(token), scope).status == 403
    url = f"{V3}/users/{pair.ann_id}/application_credentials"
    assert borrowed.post(url, {"application_credential": {"name": "x"}}).status == 403
    blob = {"type": "ec2", "blob": '{"access": "a", "secret": "b"}', "project_id": pair.project}
    assert borrowed.post(f"{V3}/credentials", {"credential": blob}).status == 403
    other = pair.trust(roles=[{"name": "manager"}])
    assert borrowed.get(f"{TRUSTS}/{other['id']}").status == 404
    assert borrowed.delete(f"{TRUSTS}/{trust['id']}").status == 403
    assert [p["id"] for p in borrowed.get(f"{V3}/auth/projects").json()["projects"]] == [pair.project]
    assert borrowed.get(f"{V3}/auth/domains").json()["domains"] == []


def test_application_credentials_and_trusts(pair):
    url = f"{V3}/users/{pair.ann_id}/application_credentials"
    for name, unrestricted, status in (("a", False, 403), ("b", True, 201)):
        body = {"name": name, "unrestricted": unrestricted, "roles": [{"name": "member"}]}
        given = pair.ann.post(url, {"application_credential": body}).json()["application_credential"]
        robot = pair.world.with_token(pair.world.token(by_credential(given)))
        assert pair.ask(robot).status == status
        assert pair.ask(robot, roles=[{"name": "manager"}]).status == 403


def test_a_trust_of_nothing_gives_an_unscoped_token(pair):
    trust = pair.trust(project_id="-", roles=[], impersonation=True)
    token = pair.use(trust).json()["token"]
    assert "project" not in token
    assert "roles" not in token
    assert token["user"]["id"] == pair.ann_id


def test_another_process_validates_a_trusts_token(pair, admin):
    token = pair.borrowed(pair.trust()).headers["X-Auth-Token"]
    pair.world.tokens._checked.clear()
    shown = admin.get(TOKENS, X_Subject_Token=token).json()["token"]
    assert shown["OS-TRUST:trust"]["trustor_user"]["id"] == pair.ann_id


@pytest.mark.parametrize("side", ["trustor", "trustee"])
def test_naming_oneself_beside_another_opens_nothing(pair, side):
    """The list holds the trusts of every user that is named: each of them is asked about."""
    pair.trust()
    stranger = pair.world.member("eve")
    own_id, other = own(stranger)["user"]["id"], pair.ann_id if side == "trustor" else pair.ben_id
    for users in ((other,), (other, own_id), (own_id, other)):
        query = "&".join(f"{side}_user_id={user}" for user in users)
        assert stranger.get(f"{TRUSTS}?{query}").status == 403, users
    assert stranger.get(f"{TRUSTS}?{side}_user_id={own_id}").json()["trusts"] == []
