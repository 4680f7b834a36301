"""Identity alone behind the HTTP edge: a bootstrapped cloud, tokens made through the API itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.api.client import Answer, Client
from tests.room import mount

from gureum.foundation.db.engine import Database
from gureum.foundation.db.types import Row
from gureum.foundation.http.app import App
from gureum.foundation.policy import Policy
from gureum.roles.assembly import CATALOGUE
from gureum.services.identity.bootstrap import Bootstrap
from gureum.services.identity.config import AuthConfig, IdentityConfig
from gureum.services.identity.facade import IdentityFacade
from gureum.services.identity.service import SERVICE
from gureum.services.identity.tokens.issuing import Tokens

V3 = "/identity/v3"
TOKENS = f"{V3}/auth/tokens"
DEFAULT = {"id": "default"}
PASSWORDS = {"admin": "admin-secret", "demo": "demo-secret"}
ENTRIES = tuple(CATALOGUE.service(name).catalog for name in CATALOGUE.packages)
CHEAP = AuthConfig(hash_time_cost=1, hash_memory_kib=8)


def password(user: str, secret: str = "", **more: Any) -> dict[str, Any]:
    """The identity part of a request by name and password in the default domain."""
    who = {"name": user, "domain": DEFAULT, "password": secret or PASSWORDS.get(user, f"{user}-secret"), **more}
    return {"methods": ["password"], "password": {"user": who}}


def by_token(token: str) -> dict[str, Any]:
    return {"methods": ["token"], "token": {"id": token}}


def by_credential(credential: dict[str, Any], **more: Any) -> dict[str, Any]:
    method = {"id": credential["id"], "secret": credential["secret"], **more}
    return {"methods": ["application_credential"], "application_credential": method}


@dataclass
class World:
    """One process of identity. `login` is the raw request, `client` a caller with the token that it gave."""

    database: Database
    app: App
    facade: IdentityFacade
    tokens: Tokens

    @property
    def anonymous(self) -> Client:
        return Client(self.app)

    def login(self, identity: dict[str, Any], scope: Any = None, query: str = "") -> Answer:
        auth = {"identity": identity} if scope is None else {"identity": identity, "scope": scope}
        return self.anonymous.post(TOKENS + query, {"auth": auth})

    def token(self, identity: dict[str, Any], scope: Any = None) -> str:
        answer = self.login(identity, scope)
        assert answer.status == 201, answer.content
        return answer.headers["x-subject-token"]

    def with_token(self, token: str) -> Client:
        return Client(self.app, {"X-Auth-Token": token})

    def client(self, user: str = "admin", scope: Any = None, secret: str = "") -> Client:
        """The user's own project by default."""
        scope = scope or {"project": {"name": user, "domain": DEFAULT}}
        return self.with_token(self.token(password(user, secret), scope))

    def alive(self, client: Client) -> bool:
        """Whether the client's token still opens something that needs nothing but a token."""
        return client.get(f"{V3}/auth/projects").status == 200

    def role(self, name: str) -> str:
        return found(self.client(), "roles", name)

    def user(self, name: str, **more: Any) -> str:
        body = {"name": name, "password": f"{name}-secret", "domain_id": "default", **more}
        return made(self.client(), "users", "user", body)

    def project(self, name: str, **more: Any) -> str:
        return made(self.client(), "projects", "project", {"name": name, **more})

    def domain(self, name: str) -> str:
        return made(self.client(), "domains", "domain", {"name": name})

    def grant(self, target: str, actor: str, role: str) -> None:
        """`target` is e.g. projects/ID or domains/ID or system, `actor` users/ID or groups/ID, `role` a name."""
        answer = self.client().put(f"{V3}/{target}/{actor}/roles/{self.role(role)}")
        assert answer.status == 204, answer.content

    def member(self, name: str, role: str = "member") -> Client:
        """A new user with a role in a new project of its own."""
        user, project = self.user(name), self.project(name)
        self.grant(f"projects/{project}", f"users/{user}", role)
        return self.client(name)

    def domain_user(self, name: str, domain_id: str, role: str) -> Client:
        """A new user of a domain with a role on it, scoped to it."""
        user = self.user(name, domain_id=domain_id)
        self.grant(f"domains/{domain_id}", f"users/{user}", role)
        identity = {"methods": ["password"], "password": {"user": {"id": user, "password": f"{name}-secret"}}}
        return self.with_token(self.token(identity, {"domain": {"id": domain_id}}))

    def commits(self) -> int:
        return self.database.counters.commits


def build(database: Database, keys, options: IdentityConfig | None = None) -> World:
    """One process over a database and a folder of keys."""
    auth = AuthConfig(keys=str(keys), hash_time_cost=CHEAP.hash_time_cost, hash_memory_kib=CHEAP.hash_memory_kib)
    mounted = mount(SERVICE, database, keys.parent, auth, options or IdentityConfig(), catalog=ENTRIES)
    app = App(mounted.apis, database, Policy(SERVICE.rules), mounted.authentication, public_url="http://cloud")
    mounted.facade.read_revocations()
    return World(database, app, mounted.facade, mounted.apis[0].deps.tokens)


def bootstrapped(database: Database, folder, options: IdentityConfig | None = None) -> World:
    Row.metadata.create_all(database.engine)
    world = build(database, folder / "keys", options)
    wanted = Bootstrap(PASSWORDS["admin"], PASSWORDS["demo"], "RegionOne", "http://cloud", ENTRIES)
    database.write(lambda tx: world.facade.bootstrap(tx, wanted))
    return world


def made(client: Client, collection: str, noun: str, body: dict[str, Any]) -> str:
    answer = client.post(f"{V3}/{collection}", {noun: body})
    assert answer.status == 201, answer.content
    return answer.json()[noun]["id"]


def found(client: Client, collection: str, name: str) -> str:
    (one,) = client.get(f"{V3}/{collection}?name={name}").json()[collection]
    return one["id"]


def own(client: Client) -> dict[str, Any]:
    """The client's own token, as validation shows it."""
    return client.get(TOKENS, X_Subject_Token=client.headers["X-Auth-Token"]).json()["token"]
