"""The placement API on the application in process, with the facade beside it on the same tables."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select
from tests.api.client import Client
from tests.room import mount

from gureum.foundation import ids
from gureum.foundation.caller import Caller
from gureum.foundation.db.engine import Database
from gureum.foundation.db.types import Row
from gureum.foundation.errors import Unauthorized
from gureum.foundation.http.app import App
from gureum.foundation.http.authentication import Authentication
from gureum.foundation.policy import Policy
from gureum.services.placement.facade import PlacementFacade
from gureum.services.placement.model import Allocation, ProviderInventory
from gureum.services.placement.service import SERVICE

CALLERS = {
    "root": Caller(user_id="root", project_id="p0", roles=("admin",)),
    "nova": Caller(user_id="nova", project_id="p0", roles=("service",)),
    "alice": Caller(user_id="alice", project_id="p1", roles=("member", "reader")),
}


def authenticate(token):
    if token not in CALLERS:
        raise Unauthorized
    return CALLERS[token]


def at(version):
    return {"OpenStack_API_Version": f"placement {version}"}


LATEST = at("1.39")


@dataclass
class World:
    app: App
    database: Database
    facade: PlacementFacade

    def as_(self, name):
        return Client(self.app, {"X-Auth-Token": name})

    @property
    def root(self):
        return self.as_("root")

    def provider(self, name, stock=None, *, uuid=None, parent=None, traits=(), aggregates=()):
        """A provider made through the API; returns its uuid. `stock` is class -> total or a whole inventory."""
        uuid = uuid or ids.new_uuid()
        body = {"name": name, "uuid": uuid, "parent_provider_uuid": parent}
        assert self.root.post("/placement/resource_providers", body, **LATEST).status == 200
        one = f"/placement/resource_providers/{uuid}"
        if stock:
            inventories = {k: v if isinstance(v, dict) else {"total": v} for k, v in stock.items()}
            self.put(one + "/inventories", {"inventories": inventories})
        if traits:
            for trait in traits:
                if trait.startswith("CUSTOM_"):
                    self.root.put(f"/placement/traits/{trait}", **LATEST)
            self.put(one + "/traits", {"traits": list(traits)})
        if aggregates:
            self.put(one + "/aggregates", {"aggregates": list(aggregates)})
        return uuid

    def put(self, url, body):
        one = "/".join(url.split("/")[:4])
        generation = self.root.get(one, **LATEST).json()["generation"]
        answer = self.root.put(url, {**body, "resource_provider_generation": generation}, **LATEST)
        assert answer.status == 200, answer.content
        return answer

    def hold(self, consumer, amounts, version="1.28", **more):
        body = {
            "allocations": {uuid: {"resources": classes} for uuid, classes in amounts.items()},
            "project_id": "p1",
            "user_id": "alice",
            "consumer_generation": None,
            **more,
        }
        return self.root.put(f"/placement/allocations/{consumer}", body, **at(version))

    def used(self, uuid):
        return self.root.get(f"/placement/resource_providers/{uuid}/usages", **LATEST).json()["usages"]

    def check_sums(self):
        """What is used of each inventory is the sum of its allocations."""
        with self.database.read() as tx:
            sums = dict(
                tx.execute(
                    select(Allocation.provider_id + Allocation.resource_class, func.sum(Allocation.used)).group_by(
                        Allocation.provider_id, Allocation.resource_class
                    )
                ).all()
            )
            for row in tx.scalars(select(ProviderInventory)):
                assert row.used == sums.pop(row.provider_id + row.resource_class, 0), row.resource_class
        assert sums == {}


def build(database: Database) -> World:
    Row.metadata.create_all(database.engine)
    mounted = mount(SERVICE, database, Path())
    authentication = Authentication(authenticate, authenticate)
    app = App(mounted.apis, database, Policy(SERVICE.rules), authentication, public_url="http://cloud")
    return World(app, database, mounted.facade)
