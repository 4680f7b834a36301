"""Two domains with two projects each, and a user with a token for every role in every place.

The things of the matrix are owned by the project `alpha-one` of the domain `alpha`. Roles are implied as identity
implies them: each user holds one role, and its token shows what that implies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.api.client import Client
from tests.cloud import SimulatedCloud

V3 = "/identity/v3"
PASSWORD = "pass-word-1"
ALPHA, BETA = "alpha", "beta"


@dataclass(frozen=True)
class Place:
    """Where a token is scoped to. `letters` are the roles that are asked for there: (r)eader, (m)ember, ma(n)ager,
    (a)dmin, (s)ervice.
    """

    name: str
    letters: str


OWN_PROJECT = Place("own project", "rmnas")
OWN_DOMAIN = Place("own domain", "rmnas")
SYSTEM = Place("system", "rmnas")
SIBLING = Place("sibling project", "rmn")
OTHER_PROJECT = Place("other project", "rmns")
OTHER_DOMAIN = Place("other domain", "rmnas")
UNSCOPED = Place("unscoped", "-")
PLACES = (OWN_PROJECT, OWN_DOMAIN, SYSTEM, SIBLING, OTHER_PROJECT, OTHER_DOMAIN, UNSCOPED)
ROLES = {"r": "reader", "m": "member", "n": "manager", "a": "admin", "s": "service"}


@dataclass(frozen=True)
class Persona:
    """`client` has the persona's token. A project's administrator is the cloud's, a domain's is that domain's."""

    place: Place
    letter: str
    client: Client
    user_id: str

    @property
    def name(self) -> str:
        return f"{self.place.name} {ROLES.get(self.letter, '')}".strip()

    @property
    def is_outsider(self) -> bool:
        """Whether it has no part in the project that owns the things."""
        return self.place in (SIBLING, OTHER_PROJECT, OTHER_DOMAIN)


class People:
    """Makes domains, projects and users through the API as the cloud's administrator."""

    def __init__(self, cloud: SimulatedCloud) -> None:
        self._app = cloud.control.app
        self.admin = cloud.client()
        self.roles = {row["name"]: row["id"] for row in self.admin.get(f"{V3}/roles").json()["roles"]}
        self.domains = {name: self.new("domains", "domain", {"name": name}) for name in (ALPHA, BETA)}
        names = {"alpha-one": ALPHA, "alpha-two": ALPHA, "alpha-third": ALPHA, "beta-one": BETA, "beta-two": BETA}
        self.projects = {
            name: self.new("projects", "project", {"name": name, "domain_id": self.domains[domain]})
            for name, domain in names.items()
        }

    def new(self, collection: str, noun: str, body: dict[str, Any]) -> str:
        answer = self.admin.post(f"{V3}/{collection}", {noun: body})
        assert answer.status == 201, answer.content
        return str(answer.json()[noun]["id"])

    def user(self, name: str, domain: str) -> str:
        return self.new(
            "users",
            "user",
            {"name": name, "password": PASSWORD, "domain_id": self.domains[domain], "email": f"{name}@x"},
        )

    def grant(self, target: str, user_id: str, role: str) -> None:
        answer = self.admin.put(f"{V3}/{target}/users/{user_id}/roles/{self.roles[role]}")
        assert answer.status == 204, answer.content

    def client(self, user_id: str, scope: Any) -> Client:
        identity = {"methods": ["password"], "password": {"user": {"id": user_id, "password": PASSWORD}}}
        answer = Client(self._app).post(f"{V3}/auth/tokens", {"auth": {"identity": identity, "scope": scope}})
        assert answer.status == 201, answer.content
        return Client(self._app, {"X-Auth-Token": answer.headers["x-subject-token"]})

    def personas(self) -> list[Persona]:
        return [self._persona(place, letter) for place in PLACES for letter in place.letters]

    def _persona(self, place: Place, letter: str) -> Persona:
        domain = BETA if place in (OTHER_PROJECT, OTHER_DOMAIN) else ALPHA
        target, scope = self._target(place)
        user_id = self.user(f"{domain}-{place.name.replace(' ', '-')}-{letter}", domain)
        self.grant(target, user_id, ROLES.get(letter, "member"))
        return Persona(place, letter, self.client(user_id, scope), user_id)

    def _target(self, place: Place) -> tuple[str, Any]:
        projects = {OWN_PROJECT: "alpha-one", SIBLING: "alpha-two", OTHER_PROJECT: "beta-one", UNSCOPED: "alpha-one"}
        domains = {OWN_DOMAIN: ALPHA, OTHER_DOMAIN: BETA}
        if place is SYSTEM:
            return "system", {"system": {"all": True}}
        if place in domains:
            domain_id = self.domains[domains[place]]
            return f"domains/{domain_id}", {"domain": {"id": domain_id}}
        project_id = self.projects[projects[place]]
        scope = "unscoped" if place is UNSCOPED else {"project": {"id": project_id}}
        return f"projects/{project_id}", scope
