"""keystoneauth's plugins sign in: password, token, application credential, totp, several factors, trust, OAuth."""

from __future__ import annotations

import base64
import time
from typing import Any
from uuid import uuid4

import pytest
from keystoneauth1 import session
from keystoneauth1.exceptions import MissingAuthMethods, Unauthorized
from keystoneauth1.identity import v3

from gureum.services.identity.users.totp import code

pytestmark = pytest.mark.filterwarnings("ignore")

SECRET = b"12345678901234567890"


class Person:
    """A new user with the role member in the project demo."""

    def __init__(self, cloud: Any) -> None:
        self.cloud, self.admin = cloud, cloud.connection("gureum-admin").identity
        self.name, self.password = f"user-{uuid4().hex}", "a-Secret-1"
        self.id = self.admin.create_user(name=self.name, password=self.password, domain_id="default").id
        self.project = self.admin.find_project("demo", domain_id="default").id
        role = self.admin.find_role("member")
        self.admin.assign_project_role_to_user(self.project, self.id, role)

    @property
    def url(self) -> str:
        return f"{self.cloud.url}/identity/v3"

    def signed_in(self, plugin: Any) -> Any:
        """The facts of the token that a plugin gets."""
        return plugin.get_access(session.Session(auth=plugin))

    def plain(self, **more: Any) -> Any:
        more = more or {"project_id": self.project}
        return v3.Password(self.url, user_id=self.id, password=self.password, **more)

    def options(self, **options: Any) -> None:
        answer = self.admin.patch(f"/users/{self.id}", json={"user": {"options": options}})
        assert answer.status_code == 200, answer.text

    def passcode(self) -> str:
        return code(SECRET, int(time.time()) // 30)

    def learn_totp(self) -> None:
        blob = base64.b32encode(SECRET).decode()
        body = {"credential": {"type": "totp", "blob": blob, "user_id": self.id}}
        assert self.admin.post("/credentials", json=body).status_code == 201


@pytest.fixture
def person(simulated):
    return Person(simulated)


def test_password_and_token(person):
    access = person.signed_in(person.plain())
    assert (access.user_id, access.project_id) == (person.id, person.project)
    again = v3.Token(person.url, access.auth_token, project_id=person.project)
    assert person.signed_in(again).expires == access.expires
    wrong = v3.Password(person.url, user_id=person.id, password="wrong", project_id=person.project)
    with pytest.raises(Unauthorized):
        person.signed_in(wrong)


def test_application_credential(person):
    own = session.Session(auth=person.plain())
    body = {"application_credential": {"name": "robot"}}
    url = f"{person.url}/users/{person.id}/application_credentials"
    given = own.post(url, json=body).json()["application_credential"]
    plugin = v3.ApplicationCredential(
        person.url, application_credential_id=given["id"], application_credential_secret=given["secret"]
    )
    assert person.signed_in(plugin).project_id == person.project


def test_totp(person):
    person.learn_totp()
    plugin = v3.TOTP(person.url, user_id=person.id, passcode=person.passcode(), project_id=person.project)
    assert person.signed_in(plugin).user_id == person.id


def test_several_factors_at_once_and_one_after_the_other(person):
    person.learn_totp()
    person.options(multi_factor_auth_rules=[["password", "totp"]])
    with pytest.raises(MissingAuthMethods) as missing:
        person.signed_in(person.plain())
    assert missing.value.required_auth_methods == [["password", "totp"]]
    second = v3.TOTP(person.url, user_id=person.id, passcode=person.passcode(), project_id=person.project)
    second.add_method(v3.ReceiptMethod(receipt=missing.value.receipt))
    assert person.signed_in(second).user_id == person.id
    person.options(multi_factor_auth_enabled=False)
    assert person.signed_in(person.plain()).user_id == person.id
    person.options(multi_factor_auth_enabled=True)
    time.sleep(30 - time.time() % 30)  # a pass code lets in once
    both = v3.MultiFactor(
        person.url,
        ["v3password", "v3totp"],
        user_id=person.id,
        password=person.password,
        passcode=person.passcode(),
        project_id=person.project,
    )
    assert person.signed_in(both).user_id == person.id


def test_trust(person, simulated):
    other = Person(simulated)
    body = {
        "trustor_user_id": person.id,
        "trustee_user_id": other.id,
        "project_id": person.project,
        "impersonation": True,
        "roles": [{"name": "member"}],
    }
    lent = session.Session(auth=person.plain()).post(f"{person.url}/OS-TRUST/trusts", json={"trust": body})
    trust = lent.json()["trust"]["id"]
    access = other.signed_in(other.plain(trust_id=trust))
    assert (access.user_id, access.trust_id, access.trustee_user_id) == (person.id, trust, other.id)


def test_system_and_domain(simulated):
    url, password = f"{simulated.url}/identity/v3", simulated.passwords["admin"]
    names = {"username": "admin", "user_domain_id": "default", "password": password}
    for scope, found in (({"system_scope": "all"}, "system_scoped"), ({"domain_id": "default"}, "domain_scoped")):
        plugin = v3.Password(url, **names, **scope)
        access = plugin.get_access(session.Session(auth=plugin))
        assert getattr(access, found)
