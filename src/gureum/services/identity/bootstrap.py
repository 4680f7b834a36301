"""What a new cloud starts with. A later start changes its own endpoints alone (`catalog/own_endpoints.py`)."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from gureum.foundation import clock, ids
from gureum.foundation.db.engine import Tx
from gureum.foundation.service import CatalogEntry
from gureum.services.identity.assignments.model import SYSTEM, Assignment
from gureum.services.identity.catalog.own_endpoints import bring_up_to_date
from gureum.services.identity.projects.model import DEFAULT_DOMAIN, ROOT, Project
from gureum.services.identity.roles.model import ImpliedRole, Role
from gureum.services.identity.tokens.passwords import Passwords
from gureum.services.identity.users.model import User

ROLES = ("admin", "manager", "member", "reader", "service")
IMPLICATIONS = (("admin", "manager"), ("manager", "member"), ("member", "reader"))


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """Passwords of the users admin and demo; `public_url` is where the APIs are reached, without a path.

    `catalog` has an entry for each service of this cloud. Those that are not in it are withdrawn if the process
    `withdraws`.
    """

    admin_password: str
    demo_password: str
    region: str
    public_url: str
    catalog: tuple[CatalogEntry, ...] = ()
    withdraws: bool = False


def bootstrap(tx: Tx, wanted: Bootstrap, passwords: Passwords, changed: Callable[[Tx], None]) -> None:
    """`changed` is called when tokens' catalogs are not what they were."""
    if tx.get(Project, DEFAULT_DOMAIN) is None:
        _first_time(tx, wanted, passwords)
    if bring_up_to_date(tx, wanted.region, wanted.public_url, wanted.catalog, withdraws=wanted.withdraws):
        changed(tx)


def _first_time(tx: Tx, wanted: Bootstrap, passwords: Passwords) -> None:
    people = (("admin", wanted.admin_password, "admin"), ("demo", wanted.demo_password, "member"))
    with ThreadPoolExecutor(len(people)) as pool:  # a hash needs no interpreter: both are made beside the rows
        hashes = {name: pool.submit(passwords.hash, password) for name, password, _ in people}
        domain = Project(
            id=DEFAULT_DOMAIN, name="Default", domain_id=ROOT, is_domain=True, description="The default domain"
        )
        tx.add(domain)
        tx.flush()
        roles = {name: Role(id=ids.new_hex(), name=name) for name in ROLES}
        tx.add_all(roles.values())
        tx.flush()
        for prior, implied in IMPLICATIONS:
            tx.add(ImpliedRole(prior_id=roles[prior].id, implied_id=roles[implied].id))
        tx.flush()
        for name, _, role in people:
            _person(tx, name, hashes[name].result(), roles[role].id)


def _person(tx: Tx, name: str, password_hash: str, role_id: str) -> None:
    """A user with a project of the same name; admin may do everything everywhere."""
    project = Project(
        id=ids.new_hex(),
        name=name,
        domain_id=DEFAULT_DOMAIN,
        parent_id=DEFAULT_DOMAIN,
        description=f"{name} project",
    )
    user = User(
        id=ids.new_hex(),
        name=name,
        domain_id=DEFAULT_DOMAIN,
        password_hash=password_hash,
        password_set_at=clock.utcnow(),
    )
    tx.add_all([project, user])
    _assign(tx, user.id, "project", project.id, role_id)
    if name == "admin":
        _assign(tx, user.id, "domain", DEFAULT_DOMAIN, role_id)
        _assign(tx, user.id, "system", SYSTEM, role_id)


def _assign(tx: Tx, user_id: str, kind: str, target_id: str, role_id: str) -> None:
    tx.add(
        Assignment(
            actor_kind="user",
            actor_id=user_id,
            target_kind=kind,
            target_id=target_id,
            role_id=role_id,
            inherited=False,
        )
    )
