"""What a new cloud starts with; repeating it changes nothing but the URLs of its own endpoints."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from gureum.foundation import clock, ids
from gureum.foundation.db.engine import Tx
from gureum.services.identity.assignments.model import SYSTEM, Assignment
from gureum.services.identity.catalog.model import Endpoint, Region, Service
from gureum.services.identity.projects.model import DEFAULT_DOMAIN, ROOT, Project
from gureum.services.identity.roles.model import ImpliedRole, Role
from gureum.services.identity.tokens.passwords import Passwords
from gureum.services.identity.users.model import User

SERVICES = (
    ("identity", "keystone", "/identity"),
    ("compute", "nova", "/compute/v2.1"),
    ("network", "neutron", "/network"),
    ("image", "glance", "/image"),
    ("placement", "placement", "/placement"),
)
IMPLICATIONS = (("admin", "manager"), ("manager", "member"), ("member", "reader"))


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """Passwords of the users admin and demo; `public_url` is where the API is reached, without a path."""

    admin_password: str
    demo_password: str
    region: str
    public_url: str


def bootstrap(tx: Tx, wanted: Bootstrap, passwords: Passwords) -> None:
    if tx.get(Project, DEFAULT_DOMAIN) is None:
        _first_time(tx, wanted, passwords)
    _catalog(tx, wanted)


def _first_time(tx: Tx, wanted: Bootstrap, passwords: Passwords) -> None:
    tx.add(Project(id=DEFAULT_DOMAIN, name="Default", domain_id=ROOT, is_domain=True, description="The default domain"))
    tx.flush()
    roles = {}
    for name in ("admin", "manager", "member", "reader", "service"):
        roles[name] = Role(id=ids.new_hex(), name=name)
        tx.add(roles[name])
    tx.flush()
    for prior, implied in IMPLICATIONS:
        tx.add(ImpliedRole(prior_id=roles[prior].id, implied_id=roles[implied].id))
    for name, password, role in (
        ("admin", wanted.admin_password, "admin"),
        ("demo", wanted.demo_password, "member"),
    ):
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
            password_hash=passwords.hash(password),
            password_set_at=clock.utcnow(),
        )
        tx.add_all([project, user])
        _assign(tx, user.id, "project", project.id, roles[role].id)
        if name == "admin":
            _assign(tx, user.id, "domain", DEFAULT_DOMAIN, roles[role].id)
            _assign(tx, user.id, "system", SYSTEM, roles[role].id)


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


def _catalog(tx: Tx, wanted: Bootstrap) -> None:
    if tx.get(Region, wanted.region) is None:
        tx.add(Region(id=wanted.region))
        tx.flush()
    present = {row.type: row for row in tx.scalars(select(Service))}
    endpoints = tx.scalars(select(Endpoint)).all()
    for kind, name, path in SERVICES:
        service = present.get(kind)
        if service is None:
            service = Service(id=ids.new_hex(), type=kind, name=name)
            tx.add(service)
            tx.flush()
        url = wanted.public_url.rstrip("/") + path
        own = {row.interface: row for row in endpoints if row.service_id == service.id}
        for interface in ("public", "internal", "admin"):
            row = own.get(interface)
            if row is None:
                row = Endpoint(id=ids.new_hex(), service_id=service.id, interface=interface, url=url)
                row.region_id = wanted.region
                tx.add(row)
            elif row.url.endswith(path) and row.url != url:
                row.url = url
